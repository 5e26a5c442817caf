//! Coverage: ends of intervals by hand, z-tests of exact draws, and samplers that must fail.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::{Coverage, coverage, quantiles};
use tweedie_testkit::{assert_z, device, exact, z_bound};

use crate::host::{host, upload};

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

fn z_score(found: &Coverage) -> f64 {
    (found.fraction() - found.level) / found.standard_error()
}

/// Draws `1, 2, .., count` of one pixel, and whether `truth` is covered.
fn is_covered(truth: f64, count: usize, level: f64) -> bool {
    let mut draws: Vec<f64> = (1..=count).map(|i| i as f64).collect();
    draws.reverse();
    let found = coverage(exact(&[truth], [1, 1]), exact(&draws, [count, 1]), level);
    assert_eq!(found.tests, 1);
    found.covered == 1
}

#[test]
fn intervals_end_where_they_should() {
    // Draws, level, and the lower end (k + 1)(1 - q)/2; the upper end mirrors it.
    for (count, level, lower) in [
        (19, 0.9, 1.0),
        (39, 0.9, 2.0),
        (39, 0.95, 1.0),
        (24, 0.9, 1.25),
        (9, 0.5, 2.5),
    ] {
        let upper = (count + 1) as f64 - lower;
        for (inside, end) in [(1e-9, lower), (-1e-9, upper)] {
            assert!(is_covered(end + inside, count, level), "{count} {level}");
            assert!(!is_covered(end - inside, count, level), "{count} {level}");
        }
    }
}

#[test]
fn exact_draws_cover_their_level() {
    // Any continuous law where the ends are draws: normal, and its cube.
    for (case, (count, level)) in [(19, 0.9), (39, 0.9), (39, 0.5), (3, 0.5)]
        .into_iter()
        .enumerate()
    {
        let mut rng = rng(case as u64);
        let scale: Tensor<4> = rng.uniform([1, 2, 70, 70]) + 0.1;
        let draws = rng.normal([count, 2, 70, 70]) * scale.clone() + 0.3;
        let truth = rng.fork(1).normal([1, 2, 70, 70]) * scale + 0.3;
        for power in [1, 3] {
            let found = coverage(
                truth.clone().powi_scalar(power),
                draws.clone().powi_scalar(power),
                level,
            );
            assert_eq!(found.tests, 9800);
            let z = z_score(&found);
            assert!(z.abs() < z_bound(8), "{count} {level}: {found:?}, z {z}");
        }
    }
    // Ends between two draws: the chance is the level for a uniform law.
    let mut rng = rng(9);
    let draws: Tensor<2> = rng.uniform([24, 40_000]);
    let truth = rng.fork(1).uniform([1, 40_000]);
    let found = coverage(truth, draws, 0.9);
    assert_z(
        "uniform",
        &[found.fraction()],
        &[0.9],
        &[found.standard_error()],
    );
}

#[test]
fn wrong_draws_do_not() {
    let mut rng = rng(5);
    let draws: Tensor<2> = rng.normal([39, 10_000]);
    let truth: Tensor<2> = rng.fork(1).normal([1, 10_000]);
    let narrow = coverage(truth.clone(), draws.clone() * 0.8, 0.9);
    let wide = coverage(truth.clone(), draws.clone() * 1.25, 0.9);
    let biased = coverage(truth.clone(), draws.clone() + 0.5, 0.9);
    assert!(z_score(&narrow) < -10.0, "{narrow:?}");
    assert!(z_score(&wide) > 10.0, "{wide:?}");
    assert!(z_score(&biased) < -10.0, "{biased:?}");
    // Nor does the interval between the 5 % and 95 % quantiles: (k - 1)/(k + 1) of the level.
    let ends = quantiles(draws, &[0.05, 0.95]);
    let (ends, truth) = (host(ends), host(truth));
    let covered = (0..10_000).filter(|i| ends[*i] <= truth[*i] && truth[*i] <= ends[10_000 + i]);
    let between = covered.count() as f64 / 1e4;
    assert_z("quantiles", &[between], &[0.9 * 38.0 / 40.0], &[0.0035]);
}

#[test]
fn the_error_is_that_of_independent_tests() {
    let found = Coverage {
        level: 0.9,
        covered: 890,
        tests: 1000,
    };
    assert!((found.standard_error() - 0.009_486_832_980_505_138).abs() < 1e-16);
    // Its spread over many repetitions, as an estimate of the variance with 400 degrees of freedom.
    let mut rng = rng(6);
    let scores: Vec<f64> = (0..400)
        .map(|_| {
            let draws: Tensor<2> = rng.normal([19, 200]);
            let truth = rng.normal([1, 200]);
            z_score(&coverage(truth, draws, 0.9))
        })
        .collect();
    let variance = scores.iter().map(|z| z * z).sum::<f64>() / 400.0;
    assert_z("variance", &[variance], &[1.0], &[(2.0f64 / 400.0).sqrt()]);
}

#[test]
fn tests_add_up() {
    let mut rng = rng(7);
    let draws: Tensor<4> = rng.normal([19, 3, 5, 4]);
    let truth: Tensor<4> = rng.normal([1, 3, 5, 4]);
    let whole = coverage(truth.clone(), draws.clone(), 0.9);
    let part = |start, len| {
        let draws = draws.clone().narrow(1, start, len).flip([0]);
        coverage(truth.clone().narrow(1, start, len), draws, 0.9)
    };
    assert_eq!(part(0, 1).merge(part(1, 2)), whole);
}

mod on_device {
    use super::*;

    #[test]
    fn known_pixels_are_covered() {
        let draws = upload(vec![0.5; 19 * 4], [19, 1, 2, 2]);
        let truth = upload(vec![0.5, 0.5, 0.4, 0.5], [1, 1, 2, 2]);
        let found = coverage(truth, draws, 0.9);
        assert_eq!((found.covered, found.tests), (3, 4));
    }
}

#[test]
#[should_panic(expected = "level 0.95 need at least 39 draws, found 38")]
fn too_few_draws_are_refused() {
    let _ = coverage(exact(&[0.0], [1, 1]), exact(&[0.0; 38], [38, 1]), 0.95);
}

#[test]
#[should_panic(expected = "is not a number")]
fn draws_that_are_no_numbers_are_refused() {
    let draws = exact(&[0.0, f64::NAN, 1.0], [3, 1]);
    let _ = coverage(exact(&[0.0], [1, 1]), draws, 0.5);
}

#[test]
#[should_panic(expected = "shape of one draw")]
fn one_truth_at_a_time() {
    let _ = coverage(exact(&[0.0; 3], [3, 1]), exact(&[0.0; 3], [3, 1]), 0.5);
}
