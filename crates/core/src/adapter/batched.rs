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

impl<T> Batched<T> {
    /// What `of` makes of each part.
    fn parts<const D: usize, O>(&self, noisy: Tensor<D>, of: impl Fn(Tensor<D>) -> O) -> Vec<O> {
        assert!(self.size > 0, "parts of a batch have at least 1 row");
        let rows = noisy.dims()[0];
        if rows <= self.size {
            return vec![of(noisy)];
        }
        let firsts = (0..rows).step_by(self.size);
        firsts
            .map(|first| of(noisy.clone().narrow(0, first, self.size.min(rows - first))))
            .collect()
    }
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for Batched<T> {
    /// # Panics
    /// If `size` is 0.
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        joined(self.parts(noisy, |part| self.inner.denoise(part, sigma)))
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let parts = self.parts(noisy, |part| self.inner.denoise_with_variance(part, sigma));
        let (clean, shares): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let shares: Option<Vec<_>> = shares.into_iter().collect();
        (joined(clean), shares.map(joined))
    }
}

/// Parts of a batch as one; a single one is not copied.
fn joined<const D: usize>(mut parts: Vec<Tensor<D>>) -> Tensor<D> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
