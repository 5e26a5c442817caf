//! Distances of Gaussians in closed form, and of few points by independent formulas.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::{max_sliced_wasserstein, sliced_wasserstein};
use tweedie_testkit::{assert_z, device, exact};

use crate::host::upload;

const DIMENSION: usize = 12;

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// The points `+- sqrt(d) e_i`: mean 0 and covariance I, exactly.
fn white() -> Tensor<2> {
    let mut values = vec![0.0; 2 * DIMENSION * DIMENSION];
    for i in 0..DIMENSION {
        values[2 * i * DIMENSION + i] = (DIMENSION as f64).sqrt();
        values[(2 * i + 1) * DIMENSION + i] = -(DIMENSION as f64).sqrt();
    }
    exact(&values, [2 * DIMENSION, DIMENSION])
}

fn shift() -> (Tensor<2>, f64) {
    let values: Vec<f64> = (0..DIMENSION).map(|i| 0.3 * i as f64 - 1.0).collect();
    let length_sq = values.iter().map(|value| value * value).sum();
    (exact(&values, [1, DIMENSION]), length_sq)
}

#[test]
fn laws_that_differ_by_a_shift_and_a_scale_are_as_far_apart_as_gaussians() {
    // W2^2 between N(0, I) and N(m, s^2 I) along theta is (theta . m)^2 + (1 - s)^2.
    let (shift, length_sq) = shift();
    let d = DIMENSION as f64;
    for scale in [1.0, 0.2, 1.9] {
        let (x, y) = (white(), white() * scale + shift.clone());
        let directions = 4000;
        let found = sliced_wasserstein(x.clone(), y.clone(), 2, directions, &mut rng(1)).powi(2);
        let expected = length_sq / d + (1.0 - scale) * (1.0 - scale);
        let variance = length_sq * length_sq * 2.0 * (d - 1.0) / (d * d * (d + 2.0));
        let error = (variance / directions as f64).sqrt();
        assert_z("sliced", &[found], &[expected], &[error]);
        // The shift alone would be seen.
        assert!(((found - length_sq / d) / error).abs() > 10.0 || scale == 1.0);

        // The maximum is at theta = m / |m|.
        let found = max_sliced_wasserstein(x, y, 2, 10, &mut rng(1)).powi(2);
        let expected = length_sq + (1.0 - scale) * (1.0 - scale);
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{scale}: {found}, expected {expected}"
        );
    }
}

#[test]
fn samples_of_gaussians_come_near_their_distance() {
    // On a line; W2 of N(0, 1) and N(1, 2^2) is sqrt(2). The error of the square is that of means and variances:
    // a (mean of y) has se 2/sqrt(n), and so on; together below 8/sqrt(n).
    let n = 20_000;
    let mut rng = rng(2);
    let x: Tensor<2> = rng.normal([n, 1]);
    let y: Tensor<2> = rng.normal([n, 1]) * 2.0 + 1.0;
    let found = sliced_wasserstein(x, y, 2, 1, &mut rng).powi(2);
    assert_z("W2", &[found], &[2.0], &[8.0 / (n as f64).sqrt()]);
}

/// `int |F - G|`, which is W1 on a line.
fn area(x: &[f64], y: &[f64]) -> f64 {
    let mut points = [x, y].concat();
    points.sort_by(f64::total_cmp);
    let below = |set: &[f64], t: f64| {
        set.iter().filter(|value| **value <= t).count() as f64 / set.len() as f64
    };
    let gaps = points.windows(2);
    gaps.map(|ends| (ends[1] - ends[0]) * (below(x, ends[0]) - below(y, ends[0])).abs())
        .sum()
}

#[test]
fn unequal_numbers_of_samples_agree_with_the_area_between_distributions() {
    for (seed, (n, m)) in [(7, 7), (7, 3), (4, 9), (1, 5), (6, 12)]
        .into_iter()
        .enumerate()
    {
        let mut rng = rng(seed as u64);
        let x: Tensor<2> = rng.normal([n, 1]);
        let y: Tensor<2> = rng.normal([m, 1]) * 1.5 + 0.4;
        let expected = area(&tweedie_testkit::values(&x), &tweedie_testkit::values(&y));
        for function in [sliced_wasserstein::<2>, max_sliced_wasserstein::<2>] {
            let found = function(x.clone(), y.clone(), 1, 3, &mut rng);
            assert!(
                (found - expected).abs() < 1e-12,
                "{n} {m}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn repeating_samples_changes_nothing() {
    let mut source = rng(3);
    let x: Tensor<4> = source.normal([4, 2, 3, 2]);
    let y: Tensor<4> = source.normal([6, 2, 3, 2]) * 0.5;
    for order in [1, 2, 3] {
        for function in [sliced_wasserstein::<4>, max_sliced_wasserstein::<4>] {
            let apart = |x: &Tensor<4>, y: &Tensor<4>| {
                function(x.clone(), y.clone(), order, 5, &mut rng(4))
            };
            let found = apart(&x, &y);
            // 12 rows each: the coupling of equal numbers.
            let equal = apart(&x.clone().repeat_dim(0, 3), &y.clone().repeat_dim(0, 2));
            let swapped = apart(&y, &x);
            let permuted = apart(&x.clone().flip([0]), &y);
            let doubled = apart(&(x.clone() * 2.0 + 1.0), &(y.clone() * 2.0 + 1.0)) / 2.0;
            for other in [equal, swapped, permuted, doubled] {
                assert!((found - other).abs() < 1e-10 * found, "{found} {other}");
            }
            assert!(found > 0.1);
            assert_eq!(apart(&x, &x), 0.0);
        }
    }
}

#[test]
fn the_largest_distance_is_above_the_average_and_orders_are_ordered() {
    let mut source = rng(5);
    let x: Tensor<2> = source.normal([30, 8]);
    let y: Tensor<2> = source.normal([20, 8]);
    let mut previous = 0.0;
    for order in [1, 2, 3] {
        let mean = sliced_wasserstein(x.clone(), y.clone(), order, 20, &mut rng(6));
        let largest = max_sliced_wasserstein(x.clone(), y.clone(), order, 20, &mut rng(6));
        assert!(largest > 1.2 * mean, "{order}: {largest}, {mean}");
        assert!(mean > previous);
        previous = mean;
    }
    // The climb from the best of 50 directions beats 2000 random ones.
    let climbed = max_sliced_wasserstein(x.clone(), y.clone(), 2, 50, &mut rng(7));
    let best =
        (0..2000).map(|seed| sliced_wasserstein(x.clone(), y.clone(), 2, 1, &mut rng(1000 + seed)));
    assert!(climbed > best.fold(0.0, f64::max));
}

/// The largest distance in the plane, over a grid of directions, by sorting equal numbers of samples.
fn largest_in_the_plane(x: &[f64], y: &[f64], order: i32) -> f64 {
    let angles = (0..4000).map(|i| std::f64::consts::PI * f64::from(i) / 4000.0);
    let distances = angles.map(|angle| {
        let projected = |points: &[f64]| {
            let along = |point: &[f64]| point[0] * angle.cos() + point[1] * angle.sin();
            let mut line: Vec<f64> = points.chunks_exact(2).map(along).collect();
            line.sort_by(f64::total_cmp);
            line
        };
        let (x, y) = (projected(x), projected(y));
        let powers = x.iter().zip(&y).map(|(x, y)| (x - y).abs().powi(order));
        (powers.sum::<f64>() / x.len() as f64).powf(1.0 / f64::from(order))
    });
    distances.fold(0.0, f64::max)
}

#[test]
fn one_direction_climbs_to_the_largest_distance() {
    // The grid and the end of the climb are at most pi/8000 and, where it stops at the corner between
    // two couplings of 300 points, some 1/300 away from the maximum, and lose about the square of that.
    let (step, corner) = (std::f64::consts::PI / 8000.0, 1.0 / 300.0f64);
    for seed in 0..4 {
        let mut source = rng(20 + seed);
        let x: Tensor<2> = source.normal([300, 2]);
        let y: Tensor<2> = source.normal([300, 2]) * exact(&[3.0, 0.4], [1, 2]) + 0.7;
        let values = [&x, &y].map(tweedie_testkit::values);
        for order in [1, 2, 3] {
            let expected = largest_in_the_plane(&values[0], &values[1], order);
            let mut rng = rng(30 + seed);
            let found = max_sliced_wasserstein(x.clone(), y.clone(), order as u32, 1, &mut rng);
            let excess = found / expected - 1.0;
            let loss = if order == 1 { corner } else { step };
            assert!(
                excess > -4.0 * loss * loss && excess < 4.0 * step * step,
                "order {order}, seed {seed}: {excess:e} above the grid"
            );
        }
    }
}

#[test]
fn a_sample_that_is_no_number_is_no_distance() {
    let x = exact(&[0.0, f64::NAN], [2, 1]);
    let y = exact(&[0.0, 1.0], [2, 1]);
    for function in [sliced_wasserstein::<2>, max_sliced_wasserstein::<2>] {
        assert!(function(x.clone(), y.clone(), 1, 2, &mut rng(8)).is_nan());
    }
}

mod on_device {
    use super::*;

    #[test]
    fn single_precision_shifts_have_their_length() {
        let x = upload(vec![0.0, 1.0, 5.0, 2.0, -1.0, 3.0], [3, 2]);
        let mut rng = Rng::seeded(9, &device());
        let found = max_sliced_wasserstein(x.clone() + 3.0, x, 1, 4, &mut rng);
        assert!((found - 18f64.sqrt()).abs() < 1e-6, "{found}");
    }
}

#[test]
#[should_panic(expected = "one shape")]
fn samples_have_one_shape() {
    let (x, y) = (exact(&[0.0; 2], [1, 2]), exact(&[0.0; 3], [1, 3]));
    let _ = sliced_wasserstein(x, y, 1, 1, &mut rng(0));
}

#[test]
#[should_panic(expected = "order must be at least 1, found 0")]
fn order_0_is_refused() {
    let x = exact(&[0.0; 2], [1, 2]);
    let _ = max_sliced_wasserstein(x.clone(), x, 0, 1, &mut rng(0));
}

#[test]
#[should_panic(expected = "at least one direction")]
fn no_directions_are_refused() {
    let x = exact(&[0.0; 2], [1, 2]);
    let _ = sliced_wasserstein(x.clone(), x, 1, 0, &mut rng(0));
}
