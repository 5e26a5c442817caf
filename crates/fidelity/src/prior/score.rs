//! A learnt prior at one noise level: `grad f(x) = weight (x - D(x; sigma)) / sigma^2`.
//!
//! By Tweedie's formula it is `-weight grad log p_sigma(x)`, `p_sigma` the prior smoothed by noise of level `sigma`:
//! the prior of plug-and-play Langevin sampling (Laumont et al. 2022, section 3, <https://arxiv.org/abs/2103.04715>,
//! with `epsilon = sigma^2` and `alpha = weight`).

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Score};

use crate::{FidelityError, Gradient, Smooth, error::require_positive};

/// `grad f(x) = weight (x - D(x; sigma)) / sigma^2`, one evaluation of the denoiser.
///
/// A network's `D` is the gradient of no function, so there is no value and no proximal operator: methods that need
/// them refuse this prior when they are compiled.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::GaussianPrior;
/// use tweedie_fidelity::{Gradient, ScorePrior};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let zero = Tensor::<4>::zeros([1, 1, 2, 2], &Device::flex());
/// let prior = ScorePrior::new(GaussianPrior::new(zero.clone(), 0.75), 0.5, 1.0)?;
/// assert_eq!(prior.grad(zero + 1.0).mean().into_scalar::<f32>(), 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ScorePrior<P> {
    denoiser: P,
    sigma: f64,
    weight: f64,
}

impl<P> ScorePrior<P> {
    /// `sigma > 0` is in the units of pixels in [0, 1]; `weight > 0`, 1 for Bayes' rule.
    ///
    /// # Errors
    /// Unless `sigma` and `weight` are finite and above 0.
    pub fn new(denoiser: P, sigma: f64, weight: f64) -> Result<Self, FidelityError> {
        require_positive("sigma", sigma)?;
        require_positive("weight", weight)?;
        Ok(Self {
            denoiser,
            sigma,
            weight,
        })
    }
}

impl<P> Smooth for ScorePrior<P> {
    /// `weight / sigma^2`: exact where the prior is log-concave, since then `0 <= J_D <= I` (its Hessian is `(I - J_D)/sigma^2`).
    /// For another prior, or a network, it holds as far as its Jacobian stays in that range.
    fn lipschitz(&self) -> Option<f64> {
        Some(self.weight / (self.sigma * self.sigma))
    }
}

impl<const X: usize, P: Denoiser<X>> Gradient<X> for ScorePrior<P> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        self.denoiser.score(x, self.sigma).mul_scalar(-self.weight)
    }
}
