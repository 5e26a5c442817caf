//! Priors whose denoiser is known exactly, for tests and for calibration.

use burn::tensor::Tensor;

use crate::Denoiser;

/// `x_0 ~ N(mean, variance I)`, with its exact posterior mean.
///
/// `D(x; sigma) = (variance x + sigma^2 mean) / (variance + sigma^2)`. With `variance = 0` it is a point mass, for which
/// DDIM, DDPM and exponential integrators are exact at any step size.
#[derive(Clone, Debug)]
pub struct GaussianPrior<const D: usize = 4> {
    mean: Tensor<D>,
    variance: f64,
}

impl<const D: usize> GaussianPrior<D> {
    /// `mean` has one row, or one for each row of the batch; `variance >= 0` holds for each pixel.
    ///
    /// # Panics
    /// If `variance` is negative or not finite.
    pub fn new(mean: Tensor<D>, variance: f64) -> Self {
        assert!(
            variance >= 0.0 && variance.is_finite(),
            "variance must be finite and at least 0, got {variance}"
        );
        Self { mean, variance }
    }
}

impl<const D: usize> Denoiser<D> for GaussianPrior<D> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let noise = sigma * sigma;
        let total = self.variance + noise;
        noisy.mul_scalar(self.variance / total) + self.mean.clone().mul_scalar(noise / total)
    }
}
