//! Streaming moments against two passes in `f64`.

use burn::tensor::Tensor;
use tweedie_metrics::Welford;

use crate::host::{assert_close, host, upload};

const PIXELS: usize = 2 * 3 * 5;

/// Draws `[count, 2, 3, 5]` around `offset` with spreads that differ by pixel, and their exact values.
fn draws(count: usize, offset: f32) -> (Tensor<4>, Vec<f64>) {
    let device = tweedie_testkit::device();
    let noise: Tensor<4> = tweedie_core::Rng::seeded(9, &device).normal([count, 2, 3, 5]);
    let values: Vec<f32> = host(noise)
        .iter()
        .enumerate()
        .map(|(i, value)| offset + (0.5 + (i % PIXELS) as f32 / 10.0) * *value as f32)
        .collect();
    let exact = values.iter().map(|value| f64::from(*value)).collect();
    (upload(values, [count, 2, 3, 5]), exact)
}

/// Mean and unbiased variance of each pixel.
fn two_pass(values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let count = (values.len() / PIXELS) as f64;
    let pixel = |p: usize| values.iter().skip(p).step_by(PIXELS);
    let means: Vec<f64> = (0..PIXELS).map(|p| pixel(p).sum::<f64>() / count).collect();
    let variances = (0..PIXELS)
        .map(|p| pixel(p).map(|v| (v - means[p]).powi(2)).sum::<f64>() / (count - 1.0))
        .collect();
    (means, variances)
}

fn in_batches(draws: &Tensor<4>, sizes: &[usize]) -> Welford {
    let mut statistics = Welford::default();
    let mut start = 0;
    for size in sizes {
        statistics.update(draws.clone().narrow(0, start, *size));
        start += size;
    }
    assert_eq!(start, draws.dims()[0], "the sizes must use all draws");
    statistics
}

#[test]
fn it_agrees_with_two_passes_for_every_batching() {
    for offset in [0.0, 1e4] {
        let (draws, exact) = draws(60, offset);
        let (means, variances) = two_pass(&exact);
        for sizes in [
            vec![60],
            vec![1; 60],
            vec![1, 59],
            vec![59, 1],
            vec![7, 20, 3, 30],
        ] {
            let statistics = in_batches(&draws, &sizes);
            assert_eq!(statistics.count(), 60);
            // The mean carries one rounding per batch of a number of the size of the offset. That
            // error, where batches meet, is all that reaches the variance (largest spread: 3.4).
            let ulp = f64::from(f32::EPSILON);
            let mean_error = ulp * (f64::from(offset) + 10.0) * sizes.len() as f64;
            let found = host(statistics.mean().unwrap());
            assert_close(&found, &means, mean_error);
            let found = host(statistics.variance().unwrap());
            assert_close(
                &found,
                &variances,
                4.0 * 3.4 * mean_error + 60.0 * ulp * 12.0,
            );
            let deviations: Vec<f64> = found.iter().map(|variance| variance.sqrt()).collect();
            assert_close(&host(statistics.std().unwrap()), &deviations, 1e-5);
        }
    }
}

#[test]
fn the_sum_of_squares_would_fail() {
    // The negative control of the test above: E[x^2] - E[x]^2 in f32, at the same offset.
    let (draws, exact) = draws(60, 1e4);
    let (_, variances) = two_pass(&exact);
    let mean = draws.clone().mean_dim(0);
    let naive = (draws.square().mean_dim(0) - mean.square()) * (60.0 / 59.0);
    let worst = host(naive)
        .iter()
        .zip(&variances)
        .map(|(found, expected)| (found / expected - 1.0).abs())
        .fold(0.0, f64::max);
    assert!(
        worst > 0.5,
        "the naive variance is off by a factor of {worst} only"
    );
}

#[test]
fn merging_equals_counting_in_one_place() {
    let (draws, exact) = draws(40, 3.0);
    let (means, variances) = two_pass(&exact);
    let mut left = in_batches(&draws.clone().narrow(0, 0, 13), &[5, 8]);
    let right = in_batches(&draws.narrow(0, 13, 27), &[27]);
    left.merge(right.clone());
    assert_eq!(left.count(), 40);
    assert_close(&host(left.mean().unwrap()), &means, 1e-5);
    assert_close(&host(left.variance().unwrap()), &variances, 1e-4);

    // Nothing is a neutral element on both sides.
    let mut empty = Welford::default();
    empty.merge(right.clone());
    let mut full = right.clone();
    full.merge(Welford::default());
    for merged in [empty, full] {
        assert_eq!(merged.count(), right.count());
        assert_eq!(
            host(merged.variance().unwrap()),
            host(right.variance().unwrap())
        );
    }
}

#[test]
fn moments_exist_from_the_first_and_second_draw_on() {
    let mut statistics = Welford::<2>::default();
    assert_eq!(statistics.count(), 0);
    assert!(statistics.mean().is_none() && statistics.variance().is_none());
    statistics.update(Tensor::zeros([0, 3], &tweedie_testkit::device()));
    assert_eq!(statistics.count(), 0);
    statistics.update(upload(vec![1.0, 2.0, 4.0], [1, 3]));
    assert_eq!(statistics.count(), 1);
    assert_eq!(host(statistics.mean().unwrap()), [1.0, 2.0, 4.0]);
    assert!(statistics.variance().is_none() && statistics.std().is_none());
    statistics.update(upload(vec![3.0, 2.0, 0.0], [1, 3]));
    assert_eq!(statistics.count(), 2);
    assert_eq!(host(statistics.mean().unwrap()), [2.0, 2.0, 2.0]);
    assert_eq!(host(statistics.variance().unwrap()), [2.0, 0.0, 8.0]);
}

#[test]
fn equal_draws_have_no_variance_at_all() {
    let draws = Tensor::<4>::full([7, 1, 2, 2], 0.1, &tweedie_testkit::device());
    let mut statistics = in_batches(&draws, &[3, 4]);
    assert_eq!(host(statistics.variance().unwrap()), [0.0; 4]);
    statistics.update(draws);
    assert_eq!(host(statistics.std().unwrap()), [0.0; 4]);
}

#[test]
#[should_panic(expected = "one shape")]
fn draws_of_another_shape_are_refused() {
    let mut statistics = Welford::<2>::default();
    statistics.update(upload(vec![1.0, 2.0, 4.0], [1, 3]));
    statistics.update(upload(vec![1.0], [1, 1]));
}
