//! Annealed Langevin dynamics (ALD): the likelihood of the noisy image itself.
//! Jalal et al. 2021, <https://arxiv.org/abs/2108.01368>.
//!
//! `grad_x log p(y | x_sigma = x) ~ A^T (y - A x) / (noise_std^2 + gamma^2)`, as if the noise of the image reached the
//! measurement as independent noise of standard deviation `gamma`. The paper leaves the annealing of `gamma` open; here
//! it is proportional to `sigma`. With `gamma = sigma` it is the score of `y` given `x_sigma` for `A A^T = I` and a
//! flat prior. The paper takes Langevin steps at each level. Along a flow the noise of the image is shrunk twice, by
//! the prior and by this term, so the draws spread the less the higher the first level is.
//!
//! - Needs: a differentiable operator; Gaussian noise or none.
//! - Cost: one evaluation a step, no gradient of the network.
//! - Gaussian prior: biased: mean off by 0.41 and 0.48 deviations, spread 0.69 and 0.46 (inpainting, blur).
//! - Use: many cheap steps with fresh noise; the estimate plays no part in the data term.

use burn::tensor::Tensor;
use tweedie_core::Denoiser;
use tweedie_physics::ForwardOperator;

use super::misfit;
use crate::{
    FidelityError, Guided, NoisyFidelity,
    error::{require_non_negative, require_positive},
};

/// ALD for Gaussian noise and any differentiable operator: one evaluation of the prior, no backward pass through it.
#[derive(Clone, Debug)]
pub struct Ald<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    gamma_per_sigma: f64,
}

impl<A, const Y: usize> Ald<A, Y> {
    /// `gamma = sigma`. `y` has one row for all images, or one for each; `noise_std >= 0` is in the units of `y`.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_non_negative("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            gamma_per_sigma: 1.0,
        })
    }

    /// The same guidance with `gamma = gamma_per_sigma * sigma`.
    ///
    /// # Errors
    /// Unless `gamma_per_sigma` is finite and above 0.
    pub fn with_gamma_per_sigma(self, gamma_per_sigma: f64) -> Result<Self, FidelityError> {
        require_positive("gamma_per_sigma", gamma_per_sigma)?;
        Ok(Self {
            gamma_per_sigma,
            ..self
        })
    }
}

impl<const D: usize, const Y: usize, A: ForwardOperator<D, Y>> NoisyFidelity<D> for Ald<A, Y> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let gamma = self.gamma_per_sigma * sigma;
        let variance = self.noise_std * self.noise_std + gamma * gamma;
        let misfit = misfit(&self.y, self.operator.forward(noisy.clone()));
        let pull = self.operator.vjp(noisy.clone(), misfit);
        Guided {
            denoised: prior.denoise(noisy, sigma),
            likelihood_score: pull.mul_scalar(variance.recip()),
        }
    }
}
