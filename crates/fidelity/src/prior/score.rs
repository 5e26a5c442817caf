//! A learnt prior at one noise level: `grad f(x) = weight (x - D(x; sigma)) / sigma^2`.
//!
//! By Tweedie's formula it is `-weight grad log p_sigma(x)`, `p_sigma` the prior smoothed by noise of level `sigma`:
//! the prior of plug-and-play Langevin sampling (Laumont et al. 2022, section 3, <https://arxiv.org/abs/2103.04715>,
//! with `epsilon = sigma^2` and `alpha = weight`).
//!
//! A denoiser that is not the mean but the mode of the clean image, `D(x; sigma) = prox_{sigma^2 g}(x)` for a prior
//! `exp(-g)` with `g` convex, gives the gradient of another smoothing of it: of `weight g_lambda`, `g_lambda` the Moreau-Yosida
//! envelope with `lambda = sigma^2`, the same that [`MoreauEnvelope`](crate::MoreauEnvelope) has. Langevin steps with it
//! are those of MYULA.

use burn::tensor::Tensor;
use tweedie_core::{AnalyticPrior, Denoiser};

use crate::{DataFidelity, FidelityError, Gradient, Smooth, error::require_positive};

/// `grad f(x) = weight (x - D(x; sigma)) / sigma^2`, one evaluation of the denoiser.
///
/// A network's `D` is the gradient of no function, so it has no value: methods that need one, such as a Metropolis test,
/// refuse this prior when they are compiled. An [`AnalyticPrior`] has, `f(x) = -weight log p_sigma(x)` with the
/// normalisation of `p_sigma`. None has a proximal operator here.
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
    residual_lipschitz: f64,
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
            residual_lipschitz: 1.0,
        })
    }

    /// The same prior where the residual `x - D(x; sigma)` has the Lipschitz constant `constant > 0`, in place of 1: known of
    /// networks that were trained for it.
    ///
    /// # Errors
    /// Unless `constant` is finite and above 0.
    pub fn with_residual_lipschitz(self, constant: f64) -> Result<Self, FidelityError> {
        require_positive("residual Lipschitz constant", constant)?;
        Ok(Self {
            residual_lipschitz: constant,
            ..self
        })
    }
}

impl<P> Smooth for ScorePrior<P> {
    /// `weight / sigma^2`: exact where the prior is log-concave, since then `0 <= J_D <= I` (its Hessian is `(I - J_D)/sigma^2`).
    /// For another prior, or a network, it holds as far as its Jacobian stays in that range, or times the constant of
    /// [`with_residual_lipschitz`](ScorePrior::with_residual_lipschitz).
    fn lipschitz(&self) -> Option<f64> {
        Some(self.weight * self.residual_lipschitz / (self.sigma * self.sigma))
    }
}

impl<const X: usize, P: Denoiser<X>> Gradient<X> for ScorePrior<P> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let denoised = self.denoiser.denoise(x.clone(), self.sigma);
        // As the score says, but in one multiplication.
        (x - denoised).mul_scalar(self.weight / (self.sigma * self.sigma))
    }
}

impl<const X: usize, P: AnalyticPrior<X>> DataFidelity<X> for ScorePrior<P> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        self.denoiser
            .log_density(x, self.sigma)
            .mul_scalar(-self.weight)
    }
}
