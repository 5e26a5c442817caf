//! Diffusion posterior sampling (DPS): the likelihood of the denoised estimate.
//! Chung et al. 2023, eq. (16), <https://arxiv.org/abs/2209.14687>.
//!
//! `p(y | x_sigma) ~ p(y | x_0 = D(x_sigma; sigma))`, so
//! `grad_x log p(y | x) ~ -grad_x |y - A(D(x; sigma))|^2 / (2 noise_std^2)`. This is the law of a point mass: it takes
//! the estimate as certain, and is far too strong where `sigma` exceeds `noise_std`. The paper's algorithm 1 therefore
//! replaces the factor by a step length that it tunes. The annealed form keeps the likelihood a density instead, and
//! adds the uncertainty `r^2` of the estimate to the noise of each entry:
//! `-grad_x |y - A(D(x; sigma))|^2 / (2 (noise_std^2 + r^2))`.
//!
//! - Needs: a differentiable operator; Gaussian noise, or none if annealed.
//! - Cost: one evaluation and one backward pass a step.
//! - Gaussian prior: biased: spread 0.66 and 0.77 by eq. (16), 0.93 and 1.08 annealed (inpainting, blur).
//! - Use: non-linear operators, annealed; eq. (16) to compare with the paper.

use burn::tensor::Tensor;
use tweedie_core::Denoiser;
use tweedie_physics::ForwardOperator;

use super::estimate_guidance;
use crate::{
    FidelityError, Guided, Isotropic, NoisyFidelity,
    error::{require_non_negative, require_positive},
};

/// DPS for Gaussian noise and any differentiable operator: one evaluation of the prior and one backward pass.
///
/// [`annealed`](Self::annealed) pulls the estimate at most onto the measurement (its gain is at most 1 for a prior of
/// variance `v` and an `A` with singular values up to 1), so it is stable at any number of steps; prefer it.
/// [`new`](Self::new) is eq. (16) to the letter: its gain is of order `v / noise_std^2`, and a solver with fewer steps
/// than that overshoots.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianPrior};
/// use tweedie_fidelity::{Dps, Isotropic, Posterior};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 2, 2], &device), 1.0);
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &device);
/// let guidance = Dps::annealed(Identity, y, 1.0, Isotropic::new(1.0)?)?;
/// let estimate = Posterior { prior, guidance }.denoise(Tensor::zeros([1, 1, 2, 2], &device), 1.0);
/// assert!((estimate.mean().into_scalar::<f32>() - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dps<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    spread: Option<Isotropic>,
}

impl<A, const Y: usize> Dps<A, Y> {
    /// Eq. (16) as published. `y` has one row for all images, or one for each; `noise_std > 0` is in the units of `y`.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and above 0.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_positive("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            spread: None,
        })
    }

    /// The annealed form, with the uncertainty of the denoised estimate. `noise_std >= 0`.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0.
    pub fn annealed(
        operator: A,
        y: Tensor<Y>,
        noise_std: f64,
        spread: Isotropic,
    ) -> Result<Self, FidelityError> {
        require_non_negative("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            spread: Some(spread),
        })
    }

    /// Variance of an entry of `y` given the denoised estimate at noise level `sigma`.
    fn variance_at(&self, sigma: f64) -> f64 {
        let uncertainty = self.spread.map_or(0.0, |spread| spread.variance_at(sigma));
        self.noise_std * self.noise_std + uncertainty
    }
}

impl<const D: usize, const Y: usize, A: ForwardOperator<D, Y>> NoisyFidelity<D> for Dps<A, Y> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let variance = self.variance_at(sigma);
        estimate_guidance(&self.operator, &self.y, variance, prior, noisy, sigma)
    }
}
