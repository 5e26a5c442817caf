//! Batches larger than memory.

use burn::tensor::Tensor;

use crate::Denoiser;

/// Denoises at most `size` rows at a time.
///
/// A denoiser's rows know nothing of each other, so the result is that of the whole batch, with the memory of a part. A gradient
/// keeps the tapes of all parts, and so saves none.
#[derive(Clone, Debug)]
pub struct Batched<T> {
    /// The denoiser.
    pub inner: T,
    /// The most rows of a part; at least 1.
    pub size: usize,
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for Batched<T> {
    /// # Panics
    /// If `size` is 0.
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        assert!(self.size > 0, "parts of a batch have at least 1 row");
        let rows = noisy.dims()[0];
        if rows <= self.size {
            return self.inner.denoise(noisy, sigma);
        }
        let part = |first: usize| {
            let count = self.size.min(rows - first);
            let part = noisy.clone().narrow(0, first, count);
            self.inner.denoise(part, sigma)
        };
        Tensor::cat((0..rows).step_by(self.size).map(part).collect(), 0)
    }
}
