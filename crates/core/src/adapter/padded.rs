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

/// An image with a height and a width divisible by `multiple`: rows and columns are added at the bottom and at the right by
/// repeating the edge.
pub fn enlarged(image: Tensor<4>, multiple: usize) -> Tensor<4> {
    let [_, _, height, width] = image.dims();
    let bottom = height.next_multiple_of(multiple) - height;
    let right = width.next_multiple_of(multiple) - width;
    if bottom == 0 && right == 0 {
        return image;
    }
    image.pad((0, right, 0, bottom), PadMode::Edge)
}

/// The upper left part of an image that was enlarged.
fn cut(image: Tensor<4>, height: usize, width: usize) -> Tensor<4> {
    let [batch, channels, rows, columns] = image.dims();
    if (rows, columns) == (height, width) {
        return image;
    }
    image.slice([0..batch, 0..channels, 0..height, 0..width])
}

impl<T: Denoiser> Denoiser for Padded<T> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let [_, _, height, width] = noisy.dims();
        let clean = self.inner.denoise(enlarged(noisy, self.multiple), sigma);
        cut(clean, height, width)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<4>,
        sigma: f64,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let [_, _, height, width] = noisy.dims();
        let padded = enlarged(noisy, self.multiple);
        let (clean, share) = self.inner.denoise_with_variance(padded, sigma);
        let share = share.map(|share| cut(share, height, width));
        (cut(clean, height, width), share)
    }
}
