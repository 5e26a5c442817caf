//! The MMSE gap of estimates of known error.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::mmse_gap;
use tweedie_testkit::{assert_z, device, exact};

use crate::host::{assert_close, host, upload};

#[test]
fn it_is_the_ratio_of_errors_of_each_sample() {
    let zero = exact(&[0.0; 4], [2, 1, 1, 2]);
    // Squared errors 4 and 2 of the estimate, 1 and 8 of the posterior mean.
    let estimate = exact(&[2.0, 0.0, 1.0, 1.0], [2, 1, 1, 2]);
    let mean = exact(&[0.0, -1.0, 2.0, 2.0], [2, 1, 1, 2]);
    let found = host(mmse_gap(estimate.clone(), mean.clone(), zero.clone()));
    let decibels = [6.020_599_913_279_624, -6.020_599_913_279_624];
    assert_close(&found, &decibels, 1e-12);
    // Pixels are measured from the reference.
    let offset = exact(&[0.3, -2.0, 0.7, 1.5], [2, 1, 1, 2]);
    let moved = mmse_gap(
        estimate + offset.clone(),
        mean.clone() + offset.clone(),
        zero + offset.clone(),
    );
    assert_close(&host(moved), &decibels, 1e-12);
    assert_close(&host(mmse_gap(mean.clone(), mean, offset)), &[0.0; 2], 0.0);
}

#[test]
fn the_mean_of_draws_has_the_gap_of_its_variance() {
    // The mean of K posterior draws adds 1/K of the posterior variance: 10 log10(1 + 1/K) = 1.761 dB for K = 2.
    let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
    let (samples, size) = (500, 400);
    let truth: Tensor<4> = rng.normal([samples, 1, 20, 20]);
    let mut draw = || rng.normal([samples, 1, 20, 20]);
    let estimate = (draw() + draw()) * 0.5;
    let gaps = host(mmse_gap(estimate, truth.zeros_like(), truth));
    let mean = gaps.iter().sum::<f64>() / samples as f64;
    let expected = 10.0 * 1.5f64.log10();
    // Each error is chi-square with 400 degrees of freedom: relative variance 2/400 each, correlation 2/3.
    let decibels = 10.0 / std::f64::consts::LN_10;
    let error = decibels * (2.0 / size as f64 * 2.0 * (1.0 - 2.0 / 3.0) / samples as f64).sqrt();
    assert_z("gap", &[mean], &[expected], &[error]);
}

mod on_device {
    use super::*;

    #[test]
    fn a_ten_times_larger_error_is_20_decibels() {
        let image = |level: f32| upload(vec![level; 12], [1, 3, 2, 2]);
        let found = host(mmse_gap(image(1.0), image(0.1), image(0.0)));
        assert_close(&found, &[20.0], 1e-4);
    }
}

#[test]
#[should_panic(expected = "one shape")]
fn shapes_must_agree() {
    let (one, two) = (exact(&[0.0], [1, 1, 1, 1]), exact(&[0.0; 2], [2, 1, 1, 1]));
    let _ = mmse_gap(one.clone(), two, one);
}
