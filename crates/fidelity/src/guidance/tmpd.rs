//! Tweedie moment projected diffusion (TMPD), the form with a diagonal covariance.
//! Boys et al. 2023, <https://arxiv.org/abs/2310.06721>.
//!
//! `p(y | x_sigma) ~ N(A D(x; sigma), noise_std^2 I + A V A^T)` with `V = Cov[x_0 | x_sigma] = sigma^2 J^T`, `J` the
//! Jacobian of `D` at `x` (Tweedie's formula for the covariance). The diagonal form replaces `A V A^T` by the diagonal
//! matrix of its row sums, `v = sigma^2 A J^T A^T 1`, so that no system is left to solve:
//! `grad_x log p(y | x) ~ J^T A^T ((y - A D(x; sigma)) / (noise_std^2 + v))`, entry by entry.
//!
//! - Needs: a linear operator; Gaussian noise above 0.
//! - Cost: two evaluations and two backward passes a step.
//! - Gaussian prior: exact for independent pixels behind a mask; else spread 1.09 and 1.24 (inpainting, blur).
//! - Use: inpainting, when the network's own variances matter.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, value_and_vjp};
use tweedie_physics::LinearOperator;

use super::misfit;
use crate::{FidelityError, Guided, NoisyFidelity, error::require_positive};

/// TMPD for Gaussian noise and a linear operator: two forward and two backward passes of the prior.
///
/// Exact when the prior is Gaussian with independent pixels and `A` picks pixels. Where pixels are correlated the row
/// sums count their covariances as variance: positive ones weaken the guidance. A row sum below 0, which no variance
/// can be, counts as 0.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianPrior};
/// use tweedie_fidelity::{Posterior, Tmpd};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 2, 2], &device), 1.0);
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &device);
/// let guidance = Tmpd::new(Identity, y, 1.0)?;
/// let estimate = Posterior { prior, guidance }.denoise(Tensor::zeros([1, 1, 2, 2], &device), 1.0);
/// assert!((estimate.mean().into_scalar::<f32>() - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tmpd<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
}

impl<A, const Y: usize> Tmpd<A, Y> {
    /// `y` has one row for all images, or one for each; `noise_std > 0` is in the units of `y`. Without noise the
    /// variance of a missing pixel would be 0.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and above 0.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_positive("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
        })
    }
}

impl<const D: usize, const Y: usize, A: LinearOperator<D, Y>> NoisyFidelity<D> for Tmpd<A, Y> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let measured = |estimate| self.operator.forward(estimate);
        let (_, pulled_ones) = value_and_vjp(
            noisy.clone(),
            |x| prior.denoise(x, sigma),
            |estimate| self.operator.adjoint(measured(estimate).ones_like()),
        );
        let row_sums = measured(pulled_ones).mul_scalar(sigma * sigma);
        let variance = row_sums
            .clamp_min(0.0)
            .add_scalar(self.noise_std * self.noise_std);
        let (denoised, likelihood_score) = value_and_vjp(
            noisy,
            |x| prior.denoise(x, sigma),
            |estimate| {
                let misfit = misfit(&self.y, measured(estimate));
                self.operator.adjoint(misfit / variance)
            },
        );
        Guided {
            denoised,
            likelihood_score,
        }
    }
}
