//! Gaussian guidance: a Gaussian about the denoised estimate, with any model of its covariance. Peng et al. 2024,
//! <https://arxiv.org/abs/2402.02149>; Rozet et al. 2024, section 4.2, <https://arxiv.org/abs/2405.13712>.
//!
//! `p(x_0 | x_sigma) ~ N(D(x; sigma), V)`, so `p(y | x_sigma) ~ N(A D(x; sigma), noise_std^2 I + A V A^T)` and
//! `grad_x log p(y | x) ~ J^T A^T (noise_std^2 I + A V A^T)^-1 (y - A D(x; sigma))`, `J` the Jacobian of `D` at `x`,
//! `V` held fixed. [`Pigdm`](crate::Pigdm) is the case `V = r^2 I`, where operators have closed forms, and
//! [`Mmps`](crate::Mmps) the case `V = sigma^2 J^T`. Here the system is solved in measurement space by conjugate
//! gradients with products `A V A^T p`, which leave the prior alone.
//!
//! - Needs: a linear operator; Gaussian noise or none.
//! - Cost: one evaluation and one backward pass a step; a linear system without the network.
//! - Gaussian prior: exact with the covariance of the prior.
//! - Use: where the covariance of the data, or of each pixel, is known.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, value_and_vjp};
use tweedie_physics::{ConjugateGradient, LinearOperator};

use super::misfit;
use crate::{FidelityError, Guided, NoisyFidelity, TweedieCovariance, error::require_non_negative};

/// Guidance for Gaussian noise, a linear operator and a [`TweedieCovariance`]: one forward and one backward pass of the
/// prior.
///
/// Exact when the prior is Gaussian, `C` is its covariance, and there are as many iterations as measurements.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianPrior};
/// use tweedie_fidelity::{Diagonal, GaussianGuidance, Posterior};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let variances = Tensor::<2>::from_floats([[0.5, 1.0]], &device);
/// let prior = GaussianPrior::diagonal(Tensor::zeros([1, 2], &device), variances.clone())?;
/// let y = Tensor::<2>::ones([1, 2], &device);
/// let guidance = GaussianGuidance::new(Identity, y, 1.0, Diagonal::new(variances)?)?;
/// let estimate = Posterior { prior, guidance }.denoise(Tensor::zeros([1, 2], &device), 1.0);
/// // Sources of variances (1/2, 1) at 0, (1, 1) at 0 and (1, 1) at 1.
/// let estimate = estimate.into_data().to_vec::<f32>().unwrap();
/// assert!((estimate[0] - 1.0 / 4.0).abs() < 1e-6 && (estimate[1] - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GaussianGuidance<A, C, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    covariance: C,
    cg: ConjugateGradient,
}

impl<A, C, const Y: usize> GaussianGuidance<A, C, Y> {
    /// `y` has one row for all images, or one for each; `noise_std >= 0` is in the units of `y`. Without noise `y` must
    /// be in the range of the operator, 0 where a pixel is missing.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0.
    pub fn new(
        operator: A,
        y: Tensor<Y>,
        noise_std: f64,
        covariance: C,
    ) -> Result<Self, FidelityError> {
        require_non_negative("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            covariance,
            cg: ConjugateGradient::default(),
        })
    }

    /// The same guidance with another budget for the system.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        Self { cg, ..self }
    }
}

impl<const D: usize, const Y: usize, A, C> NoisyFidelity<D> for GaussianGuidance<A, C, Y>
where
    A: LinearOperator<D, Y>,
    C: TweedieCovariance<D>,
{
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let noise = self.noise_std * self.noise_std;
        let total = |p: Tensor<Y>| {
            let spread = self
                .covariance
                .apply(self.operator.adjoint(p.clone()), sigma);
            self.operator.forward(spread) + p.mul_scalar(noise)
        };
        let (denoised, likelihood_score) = value_and_vjp(
            noisy,
            |x| prior.denoise(x, sigma),
            |estimate| {
                let misfit = misfit(&self.y, self.operator.forward(estimate));
                self.operator.adjoint(self.cg.solve(total, misfit))
            },
        );
        Guided {
            denoised,
            likelihood_score,
        }
    }
}
