//! Sizes that a network does not take.

use burn::tensor::{Tensor, ops::PadMode};

use crate::Denoiser;

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
