//! Pixels of another range.

use burn::tensor::Tensor;

use crate::Denoiser;

/// A denoiser of images in `[low, high]` made into one of images in [0, 1].
///
/// With `z = low + r x` and `r = high - low` a noise level `sigma` becomes `r sigma`, so
/// `D_01(x; sigma) = (D(low + r x; r sigma) - low) / r`.
#[derive(Clone, Debug)]
pub struct UnitRange<T> {
    /// The denoiser of images in `[low, high]`.
    pub inner: T,
    /// Value of a black pixel.
    pub low: f64,
    /// Value of a white pixel, above `low`.
    pub high: f64,
}

impl<T> UnitRange<T> {
    /// Of a denoiser of images in [-1, 1].
    pub fn symmetric(inner: T) -> Self {
        Self {
            inner,
            low: -1.0,
            high: 1.0,
        }
    }
}

impl<T> UnitRange<T> {
    fn range(&self) -> f64 {
        self.high - self.low
    }

    fn is_unit(&self) -> bool {
        self.low == 0.0 && self.range() == 1.0
    }

    fn own<const D: usize>(&self, image: Tensor<D>) -> Tensor<D> {
        if self.is_unit() {
            return image;
        }
        image.mul_scalar(self.range()).add_scalar(self.low)
    }

    fn unit<const D: usize>(&self, image: Tensor<D>) -> Tensor<D> {
        if self.is_unit() {
            return image;
        }
        image.sub_scalar(self.low).mul_scalar(1.0 / self.range())
    }
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for UnitRange<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        self.unit(self.inner.denoise(self.own(noisy), self.range() * sigma))
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let level = self.range() * sigma;
        let (clean, share) = self.inner.denoise_with_variance(self.own(noisy), level);
        (self.unit(clean), share)
    }
}
