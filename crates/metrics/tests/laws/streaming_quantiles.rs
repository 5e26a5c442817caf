//! Streaming quantiles against order statistics of all draws.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::{EXACT_DRAWS, Interval, StreamingQuantiles, coverage, tails};
use tweedie_testkit::{device, exact};

use crate::host::{assert_close, host, upload};

const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// `[draws, pixels]` of the standard normal law.
fn normal(draws: usize, pixels: usize, seed: u64) -> Tensor<2> {
    let mut rng = Rng::seeded(seed, &device()).with_dtype(DType::F64);
    rng.normal([draws, pixels])
}

/// In batches of `size`.
fn streamed(draws: &Tensor<2>, levels: &[f64], size: usize) -> Vec<f64> {
    let mut found = StreamingQuantiles::new(levels);
    for batch in draws.clone().split(size, 0) {
        found.update(batch);
    }
    assert_eq!(found.count(), draws.dims()[0]);
    host(found.quantiles().unwrap())
}

/// The draws of one pixel in ascending order.
fn sorted(draws: &[f64], pixels: usize, pixel: usize) -> Vec<f64> {
    let mut column: Vec<f64> = draws.iter().skip(pixel).step_by(pixels).copied().collect();
    column.sort_by(f64::total_cmp);
    column
}

/// `x_(h)`, `h = (k + 1) p`, straight from the definition.
fn definition(sorted: &[f64], level: f64) -> f64 {
    let place = ((sorted.len() + 1) as f64 * level).clamp(1.0, sorted.len() as f64);
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len());
    sorted[below - 1] + (place - below as f64) * (sorted[above - 1] - sorted[below - 1])
}

fn expected(draws: &Tensor<2>, levels: &[f64]) -> Vec<f64> {
    let pixels = draws.dims()[1];
    let values = host(draws.clone());
    let columns: Vec<Vec<f64>> = (0..pixels).map(|p| sorted(&values, pixels, p)).collect();
    let at = |level: &f64| {
        columns
            .iter()
            .map(|column| definition(column, *level))
            .collect::<Vec<_>>()
    };
    levels.iter().flat_map(at).collect()
}

#[test]
fn up_to_the_bound_they_are_the_order_statistics() {
    let draws = normal(EXACT_DRAWS, 7, 1);
    let levels = [0.0, 0.01, 0.05, 0.5, 0.975, 1.0];
    for count in [1, 2, 19, 50, EXACT_DRAWS - 1, EXACT_DRAWS] {
        let some = draws.clone().narrow(0, 0, count);
        assert_close(
            &streamed(&some, &levels, 16),
            &expected(&some, &levels),
            1e-14,
        );
    }
    // By hand: of 1 2 4 8 and -3 0 0 5, places 1.25, 2.5 and 4.
    let draws = exact(&[4.0, 0.0, 1.0, 5.0, 8.0, -3.0, 2.0, 0.0], [4, 2]);
    let found = streamed(&draws, &[0.25, 0.5, 0.9], 3);
    assert_close(&found, &[1.25, -2.25, 3.0, 0.0, 8.0, 5.0], 1e-14);
}

#[test]
fn batches_change_no_bit() {
    let draws = normal(400, 5, 2);
    let reference = streamed(&draws, &LEVELS, 400);
    for size in [1, 7, 100, 255, 256, 257] {
        assert_eq!(
            streamed(&draws, &LEVELS, size),
            reference,
            "batches of {size}"
        );
    }
}

/// Draws of four laws: smooth, skewed, of two far clusters, with an atom.
fn laws(draws: usize, pixels: usize) -> [(&'static str, Tensor<2>); 4] {
    let z = normal(draws, pixels, 3);
    let other = normal(draws, pixels, 4);
    [
        ("normal", z.clone()),
        (
            "exponential",
            (z.clone().square() + other.clone().square()) * 0.5,
        ),
        ("two clusters", z.clone() + other.sign() * 10.0 + 3.0),
        ("clipped", z.clamp_min(-0.5)),
    ]
}

/// Root mean square of `found - best` over pixels, in units of the standard deviation of `best`.
fn relative_error(found: &[f64], best: &[f64]) -> f64 {
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / best.len() as f64;
    let center = mean(&mut best.iter().copied());
    let spread = mean(&mut best.iter().map(|b| (b - center).powi(2)));
    let error = mean(&mut found.iter().zip(best).map(|(f, b)| (f - b).powi(2)));
    if error == 0.0 {
        0.0
    } else {
        (error / spread).sqrt()
    }
}

#[test]
fn beyond_the_bound_they_are_off_by_what_is_documented() {
    let pixels = 200;
    // Tails, levels between them, and the median between two clusters.
    for (count, documented) in [(1000, [0.19, 0.08, 0.26]), (10_000, [0.23, 0.10, 0.52])] {
        let mut worst = [0.0_f64; 3];
        for (law, draws) in laws(count, pixels) {
            let found = streamed(&draws, &LEVELS, count);
            let best = expected(&draws, &LEVELS);
            for (i, level) in LEVELS.iter().enumerate() {
                let row = i * pixels..(i + 1) * pixels;
                let kind = match (law, *level) {
                    ("two clusters", 0.5) => 2,
                    (_, 0.05 | 0.95) => 0,
                    _ => 1,
                };
                worst[kind] = relative_error(&found[row.clone()], &best[row]).max(worst[kind]);
            }
        }
        assert_close(&worst, &documented, 0.005);
    }
}

/// For each law, level and pixel: the quantile and the order statistic lie in one gap of the first draws, or beyond
/// them.
#[test]
fn the_order_statistic_lies_in_the_same_gap_for_certain() {
    let (count, pixels) = (800, 40);
    let levels = [0.001, 0.05, 0.5, 0.9, 0.999];
    for (law, draws) in laws(count, pixels) {
        let values = host(draws.clone());
        let first = &values[..EXACT_DRAWS * pixels];
        let found = streamed(&draws, &levels, 50);
        for (i, level) in levels.iter().enumerate() {
            for pixel in 0..pixels {
                let all = sorted(&values, pixels, pixel);
                let mut edges = sorted(first, pixels, pixel);
                edges.insert(0, all[0]);
                edges.push(all[count - 1]);
                let place = ((count + 1) as f64 * level).clamp(1.0, count as f64);
                let [low, high] = [place.floor(), place.ceil()].map(|p| all[p as usize - 1]);
                let below = edges.iter().rev().find(|edge| **edge <= low).unwrap();
                let above = edges.iter().find(|edge| **edge >= high).unwrap();
                let value = found[i * pixels + pixel];
                assert!(
                    (below..=above).contains(&&value),
                    "{law} {level}: {value} outside of {below} to {above}"
                );
            }
        }
    }
}

#[test]
fn draws_that_repeat_are_no_interval() {
    // Six in ten draws are 0 and the others spread over (0, 1): quantiles up to 0.6 are 0, and the law of the rest is
    // uniform.
    let mut rng = Rng::seeded(5, &device()).with_dtype(DType::F64);
    let uniform: Tensor<2> = rng.uniform([2000, 50]);
    let draws = ((uniform - 0.6) * 2.5).clamp_min(0.0);
    let found = streamed(&draws, &[0.0, 0.05, 0.3, 0.5, 0.8, 0.95], 500);
    assert_eq!(found[..200], [0.0; 200]);
    assert_close(
        &found,
        &expected(&draws, &[0.0, 0.05, 0.3, 0.5, 0.8, 0.95]),
        0.02,
    );

    let constant = Tensor::<2>::full([300, 3], 0.25, &device());
    assert_eq!(streamed(&constant, &LEVELS, 64), [0.25; 15]);
}

#[test]
fn the_smallest_and_the_largest_are_exact_and_levels_never_cross() {
    for (law, draws) in laws(700, 30) {
        let levels = [0.0, 0.02, 0.03, 0.5, 0.51, 0.99, 1.0];
        let found = streamed(&draws, &levels, 100);
        let best = expected(&draws, &levels);
        assert_eq!(found[..30], best[..30], "{law}");
        assert_eq!(found[180..], best[180..], "{law}");
        for pair in found.chunks(30).collect::<Vec<_>>().windows(2) {
            assert!(pair[0].iter().zip(pair[1]).all(|(a, b)| a <= b), "{law}");
        }
    }
}

#[test]
fn the_first_draws_alone_would_fail() {
    // The negative control: quantiles of the first draws, which hold as much memory, are off by their own sampling
    // error.
    let draws = normal(10_000, 300, 3);
    let first = draws.clone().narrow(0, 0, EXACT_DRAWS);
    let error = relative_error(&streamed(&first, &[0.5], 256), &expected(&draws, &[0.5]));
    // Of 256 draws instead of 10 000: sqrt(10 000/256 - 1) = 6.2.
    assert!(error > 5.0, "{error}");
}

#[test]
fn a_draw_that_is_no_number_spoils_its_own_pixel_only() {
    for row in [3, EXACT_DRAWS - 1, EXACT_DRAWS, 290] {
        for nan in [f64::NAN, -f64::NAN] {
            let mut values = host(normal(300, 2, 6));
            values[2 * row] = nan;
            let draws = exact(&values, [300, 2]);
            let found = streamed(&draws, &LEVELS, 100);
            assert!(found.iter().step_by(2).all(|q| q.is_nan()));
            assert!(found.iter().skip(1).step_by(2).all(|q| q.is_finite()));
        }
    }
}

#[test]
fn there_are_none_before_the_first_draw() {
    let mut found = StreamingQuantiles::<2>::new(&[0.5]);
    found.update(Tensor::zeros([0, 3], &device()));
    assert!(found.quantiles().is_none() && found.count() == 0);
    assert_eq!(found.levels(), [0.5]);
}

#[test]
fn the_interval_of_two_tails_is_that_of_coverage() {
    // Ends between and at draws, and truths on both sides of each.
    for (count, level) in [(19, 0.9), (24, 0.9), (60, 0.5)] {
        let draws = normal(count, 400, 7);
        let mut ends = StreamingQuantiles::new(&tails(level));
        ends.update(draws.clone());
        let ends = ends.quantiles().unwrap();
        let interval = Interval {
            level,
            lower: ends.clone().narrow(0, 0, 1),
            upper: ends.narrow(0, 1, 1),
        };
        let truth = normal(1, 400, 8);
        let found = interval.coverage(truth.clone());
        assert_eq!(found, coverage(truth, draws, level));
        assert!(found.covered < 400);
        let width = host(interval.width());
        assert!(width.iter().all(|width| *width > 0.0));
        assert_eq!(interval.coverage(interval.lower.clone()).fraction(), 1.0);
        assert_eq!(interval.coverage(interval.upper.clone() + 1e-9).covered, 0);
    }
}

mod on_device {
    use super::*;

    #[test]
    fn they_return_to_the_device_in_its_type() {
        let values: Vec<f32> = (0..400).map(|i| (i * 7 % 400) as f32).collect();
        let draws: Tensor<4> = upload(values, [400, 1, 1, 1]);
        let mut found = StreamingQuantiles::new(&[0.0, 0.5, 1.0]);
        found.update(draws.clone());
        let found = found.quantiles().unwrap();
        assert_eq!((found.dims(), found.dtype()), ([3, 1, 1, 1], draws.dtype()));
        assert_close(&host(found), &[0.0, 199.5, 399.0], 1.0);
    }
}

#[test]
#[should_panic(expected = "levels must lie in [0, 1], found -0.5")]
fn levels_below_0_are_refused() {
    let _ = StreamingQuantiles::<2>::new(&[0.5, -0.5]);
}

#[test]
#[should_panic(expected = "one shape")]
fn draws_of_another_shape_are_refused() {
    let mut found = StreamingQuantiles::<2>::new(&[0.5]);
    found.update(upload(vec![1.0, 2.0], [1, 2]));
    found.update(upload(vec![1.0], [1, 1]));
}

#[test]
#[should_panic(expected = "must lie in (0, 1), found 1")]
fn an_interval_of_level_1_has_no_ends() {
    let _ = tails(1.0);
}
