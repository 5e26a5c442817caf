//! Classifier-free guidance: `D(x; sigma) = D_u(x; sigma) + w (D_c(x; sigma) - D_u(x; sigma))`.
//!
//! Ho & Salimans 2022, eq. (6), <https://arxiv.org/abs/2207.12598>, whose `w` is this `w - 1`; for noise levels in an interval only:
//! Kynkäänniemi et al. 2024, section 3, <https://arxiv.org/abs/2404.07724>.

use burn::tensor::Tensor;

use crate::Denoiser;

/// Leads a denoiser of a condition away from the one without it.
///
/// Scale 1 is the condition's own denoiser, the one of `p(x_0 | c)`; above 1, images are more typical of the condition and less
/// varied, and their law is the posterior of no prior; 0 leaves the condition out. It costs two evaluations at the noise levels in
/// the interval and one at the others, as it does at scale 1.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{ClassifierFree, Denoiser, GaussianPrior};
///
/// let device = Device::flex();
/// let prior = |mean| GaussianPrior::new(Tensor::<4>::full([1, 1, 2, 2], mean, &device), 1.0);
/// let guided = ClassifierFree::new(prior(0.6), prior(0.5), 3.0);
/// let clean = guided.denoise(Tensor::zeros([1, 1, 2, 2], &device), 1.0);
/// assert!((clean.mean().into_scalar::<f32>() - 0.4).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct ClassifierFree<C, U> {
    /// `D_c`.
    pub conditional: C,
    /// `D_u`.
    pub unconditional: U,
    /// `w`, at least 0.
    pub scale: f64,
    /// The noise levels, above the first and up to the second, at which there is guidance; at others the scale is 1.
    pub interval: [f64; 2],
}

impl<C, U> ClassifierFree<C, U> {
    /// At all noise levels.
    pub fn new(conditional: C, unconditional: U, scale: f64) -> Self {
        Self {
            conditional,
            unconditional,
            scale,
            interval: [0.0, f64::INFINITY],
        }
    }
}

impl<C, U> ClassifierFree<C, U> {
    fn is_guided_at(&self, sigma: f64) -> bool {
        let [low, high] = self.interval;
        self.scale != 1.0 && sigma > low && sigma <= high
    }

    fn away_from<const D: usize>(&self, without: Tensor<D>, with: Tensor<D>) -> Tensor<D> {
        with.mul_scalar(self.scale) + without.mul_scalar(1.0 - self.scale)
    }
}

impl<const D: usize, C: Denoiser<D>, U: Denoiser<D>> Denoiser<D> for ClassifierFree<C, U> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let with = self.conditional.denoise(noisy.clone(), sigma);
        if !self.is_guided_at(sigma) {
            return with;
        }
        self.away_from(self.unconditional.denoise(noisy, sigma), with)
    }

    /// The variance is that of the conditional denoiser.
    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (with, share) = self.conditional.denoise_with_variance(noisy.clone(), sigma);
        if !self.is_guided_at(sigma) {
            return (with, share);
        }
        let without = self.unconditional.denoise(noisy, sigma);
        (self.away_from(without, with), share)
    }
}
