//! Gap between an estimate and the best one.
//!
//! `10 log10(||estimate - x||^2 / ||E[x | y] - x||^2)`: no estimate has a smaller mean squared error than the posterior
//! mean.
//!
//! Zach, Haouchat & Unser 2026, <https://arxiv.org/abs/2509.12821>.

use burn::tensor::Tensor;

use crate::mse;

/// MMSE gap of each sample in decibels: by how much `estimate`, such as the mean of draws, misses the
/// reference more than the exact posterior mean does.
///
/// All three `[batch, channels, height, width]`; the result `[batch]`. The gap of one sample may be
/// negative by luck: its mean over many is what a benchmark states. Infinite where only one of the two
/// errors is 0, and not a number where both are.
///
/// # Panics
///
/// Panics if the shapes differ.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let image = |level: f64| Tensor::<4>::full([1, 1, 4, 4], level, &Device::flex());
/// let gap = tweedie_metrics::mmse_gap(image(0.9), image(0.6), image(0.5)).into_scalar::<f32>();
/// assert!((gap - 12.041).abs() < 1e-3);
/// ```
pub fn mmse_gap(estimate: Tensor<4>, posterior_mean: Tensor<4>, reference: Tensor<4>) -> Tensor<1> {
    let decibels_per_nat = 10.0 / std::f64::consts::LN_10;
    let nats = mse(estimate, reference.clone()).log() - mse(posterior_mean, reference).log();
    nats * decibels_per_nat
}
