//! Brownian paths: one path whatever the grid and the batch, and the right law.

use burn::tensor::{DType, Tensor};
use tweedie_core::{BrownianError, BrownianPath, Noise, Rng};
use tweedie_testkit::{assert_close, assert_z, device, values, z_bound};

const START: f64 = 0.9;
const END: f64 = 0.1;

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

fn path(resolution: f64) -> BrownianPath {
    BrownianPath::new(&exact_rng(3), START, END, resolution).unwrap()
}

/// `w(to) - w(from)`.
fn increment(path: &mut BrownianPath, shape: [usize; 2], from: f64, to: f64) -> Vec<f64> {
    let normal: Tensor<2> = path.normal_over(shape, from, to);
    let width = (to - from).abs().sqrt();
    values(&normal).iter().map(|z| width * z).collect()
}

/// `steps + 1` times from `START` to `END`, none of them dyadic but for the ends.
fn times(steps: usize) -> Vec<f64> {
    let fraction = |k: usize| (k as f64 / steps as f64).powf(1.1);
    (0..=steps)
        .map(|k| START + (END - START) * fraction(k))
        .collect()
}

/// The path at the times of a grid, walked in order.
fn walk(path: &mut BrownianPath, shape: [usize; 2], times: &[f64]) -> Vec<Vec<f64>> {
    let mut at = vec![0.0; shape[0] * shape[1]];
    let mut seen = vec![at.clone()];
    for pair in times.windows(2) {
        let step = increment(path, shape, pair[0], pair[1]);
        at.iter_mut().zip(step).for_each(|(w, dw)| *w += dw);
        seen.push(at.clone());
    }
    seen
}

#[test]
fn increments_add_up() {
    let mut path = path(1e-3);
    let shape = [3, 4];
    let whole = increment(&mut path, shape, 0.83, 0.21);
    for middle in [0.829, 0.5, 0.333, 0.2101] {
        let first = increment(&mut path, shape, 0.83, middle);
        let second = increment(&mut path, shape, middle, 0.21);
        let sum: Vec<f64> = first.iter().zip(second).map(|(a, b)| a + b).collect();
        // Ten levels of sums of numbers of order one.
        assert_close("two parts", &sum, &whole, 1e-14);
    }
    // Forwards in time the increment has the other sign.
    let back: Vec<f64> = increment(&mut path, shape, 0.21, 0.83)
        .iter()
        .map(|w| -w)
        .collect();
    assert_close("forwards", &back, &whole, 1e-14);
}

#[test]
fn grids_and_orders_sample_one_path() {
    let shape = [2, 3];
    let fine = times(96);
    let seen = walk(&mut path(1e-3), shape, &fine);
    for skip in [2, 3, 8, 96] {
        let coarse: Vec<f64> = fine.iter().copied().step_by(skip).collect();
        let coarse_seen = walk(&mut path(1e-3), shape, &coarse);
        for (expected, found) in seen.iter().step_by(skip).zip(&coarse_seen) {
            assert_close("a coarser grid", found, expected, 1e-13);
        }
    }
    let mut scattered = path(1e-3);
    for k in [95, 1, 48, 47, 0, 60, 2] {
        let found = increment(&mut scattered, shape, START, fine[k + 1]);
        assert_close("any order", &found, &seen[k + 1], 1e-13);
    }
    // Negative control: fresh numbers on the same grid are another path.
    let mut fresh = exact_rng(3);
    let width = (START - END).sqrt();
    let other: Tensor<2> = Noise::<2>::normal_over(&mut fresh, shape, START, END);
    let gap = values(&other)
        .iter()
        .zip(&seen[96])
        .map(|(z, w)| (width * z - w).abs())
        .fold(0.0, f64::max);
    assert!(gap > 0.1, "{gap}");
}

#[test]
fn a_row_depends_on_seed_and_index_alone() {
    let grid = times(11);
    let together = walk(&mut path(0.01), [4, 3], &grid);
    for row in 0..4 {
        let rng = exact_rng(3).starting_at(row as u64);
        let mut alone = BrownianPath::new(&rng, START, END, 0.01).unwrap();
        for (all, one) in together.iter().zip(walk(&mut alone, [1, 3], &grid)) {
            assert_eq!(one, all[3 * row..3 * row + 3]);
        }
    }
    // A batch of another size in between changes nothing.
    let mut mixed = path(0.01);
    increment(&mut mixed, [2, 3], 0.8, 0.7);
    assert_eq!(walk(&mut mixed, [4, 3], &grid), together);
    let mut other = BrownianPath::new(&exact_rng(4), START, END, 0.01).unwrap();
    assert_ne!(walk(&mut other, [4, 3], &grid), together);
}

#[test]
fn a_finer_resolution_keeps_the_coarse_times() {
    // A quarter is two halvings, and the ends of its intervals are exact in binary.
    let rng = exact_rng(5);
    let mut coarse = BrownianPath::new(&rng, 1.0, 0.0, 0.25).unwrap();
    let mut fine = BrownianPath::new(&rng, 1.0, 0.0, 0.01).unwrap();
    for pair in [1.0, 0.75, 0.5, 0.25, 0.0].windows(2) {
        let [a, b] = [&mut coarse, &mut fine].map(|path| increment(path, [2, 2], pair[0], pair[1]));
        assert_close("an interval of the coarse path", &b, &a, 1e-15);
    }
}

#[test]
fn other_numbers_are_those_of_the_rows() {
    let mut rng = exact_rng(3);
    rng.normal([2, 2]);
    let mut path = BrownianPath::new(&rng, START, END, 0.1).unwrap();
    increment(&mut path, [2, 2], 0.8, 0.7);
    let drawn: Tensor<2> = Noise::<2>::normal(&mut path, [2, 2]);
    assert_eq!(values(&drawn), values(&rng.normal([2, 2])));
}

/// Z-scores of mean 0, variance 1 and fourth moment 3 in each step, and of no correlation between steps; `n` draws each.
fn scores(steps: &[Vec<f64>]) -> Vec<f64> {
    let n = steps[0].len() as f64;
    let mean = |v: &mut dyn Iterator<Item = f64>| v.sum::<f64>() / n;
    let mut scores = Vec::new();
    for (k, step) in steps.iter().enumerate() {
        let moment = |power: i32| mean(&mut step.iter().map(|z| z.powi(power)));
        scores.push(moment(1) * n.sqrt());
        scores.push((moment(2) - 1.0) * (n / 2.0).sqrt());
        scores.push((moment(4) - 3.0) * (n / 96.0).sqrt());
        for other in &steps[..k] {
            scores.push(mean(&mut step.iter().zip(other).map(|(a, b)| a * b)) * n.sqrt());
        }
    }
    scores
}

fn standard_steps(path: &mut BrownianPath, times: &[f64]) -> Vec<Vec<f64>> {
    times
        .windows(2)
        .map(|pair| {
            let normal: Tensor<2> = path.normal_over([400, 50], pair[0], pair[1]);
            values(&normal)
        })
        .collect()
}

#[test]
fn increments_are_independent_with_the_variance_of_their_span() {
    // Steps of unequal length across all levels, the shortest of the size of the resolution.
    let grid = [0.9, 0.8, 0.79, 0.61, 0.6, 0.5, 0.487, 0.3, 0.2, 0.1];
    let z = scores(&standard_steps(&mut path(0.01), &grid));
    assert_z("increments", &z, &vec![0.0; z.len()], &vec![1.0; z.len()]);
    // A resolution as long as the path leaves one bridge, exact for one time inside.
    let z = scores(&standard_steps(&mut path(1.0), &[0.9, 0.37, 0.1]));
    assert_z("one bridge", &z, &vec![0.0; z.len()], &vec![1.0; z.len()]);
    // Negative control: two times inside of one interval, where the path is smooth.
    let z = scores(&standard_steps(&mut path(1.0), &[0.9, 0.37, 0.33, 0.1]));
    let worst = z.iter().map(|z| z.abs()).fold(0.0, f64::max);
    assert!(worst > z_bound(z.len()), "{worst}");
}

#[test]
fn ends_and_resolution_out_of_range_are_refused() {
    let rng = exact_rng(1);
    let make =
        |start, end, resolution| BrownianPath::new(&rng, start, end, resolution).unwrap_err();
    assert_eq!(
        make(0.1, 0.9, 0.1),
        BrownianError::Interval {
            start: 0.1,
            end: 0.9
        }
    );
    assert!(matches!(
        make(f64::NAN, 0.0, 0.1),
        BrownianError::Interval { .. }
    ));
    assert!(matches!(
        make(f64::INFINITY, 0.0, 0.1),
        BrownianError::Interval { .. }
    ));
    let least = 2f64.powi(-52);
    for found in [0.0, -1.0, 1e-17, f64::INFINITY] {
        assert_eq!(
            make(1.0, 0.0, found),
            BrownianError::Resolution { least, found }
        );
    }
    assert!(BrownianPath::new(&rng, 1.0, 0.0, least).is_ok());
}

#[test]
#[should_panic(expected = "a Brownian path from 0.9 to 0.1 was asked for time 0.95")]
fn a_time_outside_of_the_path_panics() {
    increment(&mut path(0.1), [1, 1], 0.95, 0.5);
}

#[test]
fn a_row_alone_draws_its_own_numbers() {
    let mut batch = exact_rng(8);
    let first = values(&batch.normal([3, 2]));
    let second = values(&batch.normal([3, 2]));
    let mut rng = exact_rng(8);
    for row in [2, 0, 1] {
        let draw = |rng: &mut Rng| values::<2>(&rng.row(row).normal([1, 2]));
        assert_eq!(draw(&mut rng), first[2 * row..2 * row + 2]);
        assert_eq!(draw(&mut rng), second[2 * row..2 * row + 2]);
    }
    // And leaves the batch where it would have been.
    assert_eq!(values(&rng.normal([3, 2])), values(&batch.normal([3, 2])));
}
