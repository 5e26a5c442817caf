//! Guidance: data terms seen through the noise of a diffusion, one paper per file.
//!
//! By Bayes' rule the score of the noisy posterior is `grad log p_sigma(x) + grad_x log p(y | x_sigma = x)`. The likelihood
//! `p(y | x_sigma) = integral p(y | x_0) p(x_0 | x_sigma) dx_0` has no closed form for a learnt prior; the methods differ in
//! how they approximate `p(x_0 | x_sigma)`.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, value_and_vjp};
use tweedie_physics::ForwardOperator;

mod ald;
mod dps;
mod isotropic;
mod mmps;
mod pigdm;
mod reconstruction;
mod sda;
mod tmpd;

pub use ald::Ald;
pub use dps::Dps;
pub use isotropic::Isotropic;
pub use mmps::Mmps;
pub use pigdm::Pigdm;
pub use reconstruction::ReconstructionGuidance;
pub use sda::Sda;
pub use tmpd::Tmpd;

/// What one guided evaluation of the prior yields.
#[derive(Clone, Debug)]
pub struct Guided<const D: usize = 4> {
    /// The prior's `D(x; sigma)`.
    pub denoised: Tensor<D>,
    /// An approximation of `grad_x log p(y | x_sigma = x)`.
    pub likelihood_score: Tensor<D>,
}

/// An approximation of `grad_x log p(y | x_sigma = x)`, with `x_sigma = x_0 + sigma n`.
pub trait NoisyFidelity<const D: usize = 4> {
    /// Denoises `noisy` with `prior` and differentiates the likelihood, in one evaluation of the prior. Both results have
    /// the shape of `noisy`; `sigma > 0` is in the units of pixels in [0, 1].
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D>;
}

impl<const D: usize, T: NoisyFidelity<D> + ?Sized> NoisyFidelity<D> for &T {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        (**self).guide(prior, noisy, sigma)
    }
}

impl<const D: usize, T: NoisyFidelity<D> + ?Sized> NoisyFidelity<D> for Box<T> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        (**self).guide(prior, noisy, sigma)
    }
}

/// A prior and a guidance composed: a denoiser for `E[x_0 | x_sigma, y]`.
///
/// By Tweedie's formula for the posterior it is `D(x; sigma) + sigma^2 grad_x log p(y | x_sigma = x)`.
#[derive(Clone, Debug)]
pub struct Posterior<P, G> {
    /// The prior's denoiser.
    pub prior: P,
    /// The likelihood.
    pub guidance: G,
}

impl<const D: usize, P: Denoiser<D>, G: NoisyFidelity<D>> Denoiser<D> for Posterior<P, G> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let guided = self.guidance.guide(&self.prior, noisy, sigma);
        guided.denoised + guided.likelihood_score.mul_scalar(sigma * sigma)
    }
}

/// The guidance of `N(y | A(D(x; sigma)), variance I)`, with one forward and one backward pass of the prior.
fn estimate_guidance<const D: usize, const Y: usize>(
    operator: &impl ForwardOperator<D, Y>,
    y: &Tensor<Y>,
    variance: f64,
    prior: &dyn Denoiser<D>,
    noisy: Tensor<D>,
    sigma: f64,
) -> Guided<D> {
    let (denoised, likelihood_score) = value_and_vjp(
        noisy,
        |x| prior.denoise(x, sigma),
        |estimate| {
            let misfit = y.clone() - operator.forward(estimate.clone());
            operator.vjp(estimate, misfit).mul_scalar(variance.recip())
        },
    );
    Guided {
        denoised,
        likelihood_score,
    }
}
