//! Moment matching posterior sampling (MMPS): the covariance of the denoised estimate from the denoiser's own Jacobian.
//! Rozet et al. 2024, section 4.2, <https://arxiv.org/abs/2405.13712>.
//!
//! `p(x_0 | x_sigma) ~ N(D(x; sigma), V)` with `V = Cov[x_0 | x_sigma] = sigma^2 J^T`, `J` the Jacobian of `D` at `x`
//! (Tweedie's formula for the covariance). So `p(y | x_sigma) ~ N(A D(x; sigma), noise_std^2 I + A V A^T)` and
//! `grad_x log p(y | x) ~ J^T A^T (noise_std^2 I + sigma^2 A J^T A^T)^-1 (y - A D(x; sigma))`, `V` held fixed.
//!
//! The system is solved by conjugate gradients in measurement space (Hestenes & Stiefel 1952, section 3,
//! <https://doi.org/10.6028/jres.049.044>). A product with its matrix takes one vector-Jacobian product `J^T A^T p`.
//! The solution is a sum of directions `a_k p_k`, so `J^T A^T` of it is the sum of the `a_k J^T A^T p_k`, which are at
//! hand: the gradient costs no further product, and the first product yields `D(x; sigma)` as well.
//!
//! - Needs: a linear operator; Gaussian noise or none.
//! - Cost: one evaluation and one backward pass an iteration, 5 iterations a step.
//! - Gaussian prior: exact with as many iterations as measurements; off by 0.02 deviations with 5 (inpainting).
//! - Use: linear operators, when draws must be right and back-propagation is affordable.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, value_and_vjp};
use tweedie_physics::{LinearOperator, dot};

use super::{misfit, scalar_per_row};
use crate::{FidelityError, Guided, NoisyFidelity, error::require_non_negative};

/// A sample has converged when its residual is that many epsilons of the first one. What is left is rounding error;
/// where the matrix is singular, part of it lies in the null space, and steps along that would be arbitrarily long.
const CONVERGED: f64 = 8.0;

/// MMPS for Gaussian noise and a linear operator: per iteration one forward and one backward pass of the prior, none
/// beside.
///
/// deepinv's `MomentMatchingDataFidelity` solves the same system, in 3 iterations by default and with one forward pass
/// for all products; a tape of burn serves one backward pass, so here each product has a forward pass of its own.
///
/// Exact when the prior is Gaussian, with any covariance, and there are as many iterations as measurements. The
/// Jacobian of an exact denoiser is symmetric and positive semi-definite; that of a network need not be. A sample whose
/// search direction has no positive curvature stays where it is.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianPrior};
/// use tweedie_fidelity::{Mmps, Posterior};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 2, 2], &device), 1.0);
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &device);
/// let guidance = Mmps::new(Identity, y, 1.0)?;
/// let estimate = Posterior { prior, guidance }.denoise(Tensor::zeros([1, 1, 2, 2], &device), 1.0);
/// // Three sources of unit variance: the prior at 0, the noisy image at 0, the measurement at 1.
/// assert!((estimate.mean().into_scalar::<f32>() - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mmps<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    iterations: usize,
}

impl<A, const Y: usize> Mmps<A, Y> {
    /// 5 iterations. `y` has one row for all images, or one for each; `noise_std >= 0` is in the units of `y`. Without
    /// noise `y` must be in the range of the operator, 0 where a pixel is missing; the posterior mean then meets the
    /// measurement, once the iterations suffice.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_non_negative("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            iterations: 5,
        })
    }

    /// The same guidance with another number of conjugate gradient iterations.
    ///
    /// # Errors
    /// If `iterations` is 0.
    pub fn with_iterations(self, iterations: usize) -> Result<Self, FidelityError> {
        if iterations == 0 {
            return Err(FidelityError::OutOfRange {
                name: "iterations",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self { iterations, ..self })
    }
}

impl<const D: usize, const Y: usize, A: LinearOperator<D, Y>> NoisyFidelity<D> for Mmps<A, Y> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let misfit = |estimate| misfit(&self.y, self.operator.forward(estimate));
        let (denoised, mut pull) = value_and_vjp(
            noisy.clone(),
            |x| prior.denoise(x, sigma),
            |estimate| self.operator.adjoint(misfit(estimate)),
        );
        let mut search = Search::new(misfit(denoised.clone()));
        let mut likelihood_score = noisy.zeros_like();
        for iteration in 0..self.iterations {
            if iteration > 0 {
                let direction = search.direction.clone();
                (_, pull) = value_and_vjp(
                    noisy.clone(),
                    |x| prior.denoise(x, sigma),
                    |_| self.operator.adjoint(direction),
                );
            }
            let uncertainty = self
                .operator
                .forward(pull.clone())
                .mul_scalar(sigma * sigma);
            let noise = search
                .direction
                .clone()
                .mul_scalar(self.noise_std * self.noise_std);
            let step = search.advance(uncertainty + noise);
            likelihood_score = likelihood_score + pull.clone() * scalar_per_row(step);
        }
        Guided {
            denoised,
            likelihood_score,
        }
    }
}

/// Conjugate gradients that leave the product with the matrix to the caller.
struct Search<const Y: usize> {
    /// What the matrix is to be applied to next.
    direction: Tensor<Y>,
    residual: Tensor<Y>,
    residual_sq: Tensor<Y>,
    /// Squared residual of a converged sample.
    floor: Tensor<Y>,
}

impl<const Y: usize> Search<Y> {
    fn new(rhs: Tensor<Y>) -> Self {
        let residual_sq = dot(rhs.clone(), rhs.clone());
        let epsilon = rhs.dtype().finfo().map_or(0.0, |float| float.epsilon);
        Self {
            direction: rhs.clone(),
            residual: rhs,
            floor: residual_sq
                .clone()
                .mul_scalar((CONVERGED * epsilon).powi(2)),
            residual_sq,
        }
    }

    /// Steps along the direction, whose product with the matrix is `image`, and turns to the next one. The length of
    /// the step is `[batch, 1, ..]`.
    fn advance(&mut self, image: Tensor<Y>) -> Tensor<Y> {
        let curvature = dot(self.direction.clone(), image.clone());
        let stays = curvature
            .clone()
            .lower_equal_elem(0.0)
            .bool_or(self.residual_sq.clone().lower_equal(self.floor.clone()));
        let step = (self.residual_sq.clone() / curvature.mask_fill(stays.clone(), 1.0))
            .mask_fill(stays, 0.0);
        self.residual = self.residual.clone() - image * step.clone();
        let next_sq = dot(self.residual.clone(), self.residual.clone());
        let vanished = self.residual_sq.clone().equal_elem(0.0);
        let turn = next_sq.clone() / self.residual_sq.clone().mask_fill(vanished, 1.0);
        self.direction = self.residual.clone() + self.direction.clone() * turn;
        self.residual_sq = next_sq;
        step
    }
}
