//! Denoisers around denoisers: pixel range, image size and clipping.

use burn::tensor::{Tensor, ops::PadMode};

use crate::Denoiser;

/// A denoiser of images in [-1, 1] made into one of images in [0, 1].
///
/// With `z = 2x - 1` a noise level `sigma` becomes `2 sigma`, so `D_01(x; sigma) = (D(2x - 1; 2 sigma) + 1) / 2`.
#[derive(Clone, Debug)]
pub struct UnitRange<T>(
    /// The denoiser of images in [-1, 1].
    pub T,
);

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for UnitRange<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let symmetric = noisy.mul_scalar(2.0).sub_scalar(1.0);
        self.0
            .denoise(symmetric, 2.0 * sigma)
            .add_scalar(1.0)
            .mul_scalar(0.5)
    }
}

/// Runs a denoiser that needs sizes divisible by `multiple` at any size: rows and columns are added at the bottom and at the
/// right by repeating the edge, and cut off again.
#[derive(Clone, Debug)]
pub struct Padded<T> {
    /// The denoiser.
    pub inner: T,
    /// What height and width must be divisible by; at least 1.
    pub multiple: usize,
}

impl<T: Denoiser> Denoiser for Padded<T> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let [batch, channels, height, width] = noisy.dims();
        let bottom = height.next_multiple_of(self.multiple) - height;
        let right = width.next_multiple_of(self.multiple) - width;
        if bottom == 0 && right == 0 {
            return self.inner.denoise(noisy, sigma);
        }
        let padded = noisy.pad((0, right, 0, bottom), PadMode::Edge);
        self.inner
            .denoise(padded, sigma)
            .slice([0..batch, 0..channels, 0..height, 0..width])
    }
}

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
}
