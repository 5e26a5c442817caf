//! The range that clean images have.

use burn::tensor::Tensor;

use crate::Denoiser;

/// Clips a denoiser's output to the range that clean images have.
///
/// The conditional mean of images in `[low, high]` lies in `[low, high]`, so clipping never increases the error of an
/// estimate of it. Networks that predict noise need it: at large `sigma` their error is multiplied by `sigma`. Ho et al. 2020
/// sample this way (their code's `clip_denoised`).
///
/// Where the output is clipped its gradient is zero; to guide by a gradient, clip the guided denoiser and not the prior.
#[derive(Clone, Debug)]
pub struct Clipped<T> {
    /// The denoiser.
    pub inner: T,
    /// Least value of a clean image.
    pub low: f64,
    /// Largest value of a clean image.
    pub high: f64,
}

impl<T> Clipped<T> {
    /// Clips to [0, 1], where images lie.
    pub fn unit(inner: T) -> Self {
        Self {
            inner,
            low: 0.0,
            high: 1.0,
        }
    }
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for Clipped<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        self.inner.denoise(noisy, sigma).clamp(self.low, self.high)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (clean, share) = self.inner.denoise_with_variance(noisy, sigma);
        (clean.clamp(self.low, self.high), share)
    }
}
