//! A denoiser that tells what its use has cost.

use std::cell::Cell;

use tweedie::{burn::tensor::Tensor, core::Denoiser};

/// Counts the images that were denoised, and those of them that a tape recorded to run backward.
pub(crate) struct Probe<T> {
    inner: T,
    denoised: Cell<usize>,
    taped: Cell<usize>,
}

impl<T> Probe<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            denoised: Cell::new(0),
            taped: Cell::new(0),
        }
    }

    /// Evaluations of the denoiser for each of `draws`. A particle method makes one for each particle.
    pub(crate) fn calls(&self, draws: usize) -> usize {
        self.denoised.get() / draws
    }

    /// Vector-Jacobian products for each of `draws`. Each records an evaluation of its own: a tape runs backward once.
    pub(crate) fn vjps(&self, draws: usize) -> usize {
        self.taped.get() / draws
    }
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for Probe<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let rows = noisy.dims()[0];
        self.denoised.set(self.denoised.get() + rows);
        if noisy.is_tracked() {
            self.taped.set(self.taped.get() + rows);
        }
        self.inner.denoise(noisy, sigma)
    }
}
