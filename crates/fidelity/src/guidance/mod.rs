//! Guidance: data terms seen through the noise of a diffusion, one paper per file.
//!
//! By Bayes' rule the score of the noisy posterior is `grad log p_sigma(x) + grad_x log p(y | x_sigma = x)`. The
//! likelihood `p(y | x_sigma) = integral p(y | x_0) p(x_0 | x_sigma) dx_0` has no closed form for a learnt prior; the
//! methods differ in how they approximate `p(x_0 | x_sigma)`.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, value_and_vjp};
use tweedie_physics::ForwardOperator;

use crate::misfit::misfit;

mod ald;
mod class_likelihood;
mod dps;
mod gaussian;
mod lgd_mc;
mod mmps;
mod pigdm;
mod reconstruction;
mod sda;
mod tmpd;

pub use ald::Ald;
pub use class_likelihood::ClassLikelihood;
pub use dps::Dps;
pub use gaussian::GaussianGuidance;
pub use lgd_mc::LgdMc;
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
///
/// What the approximations cost a Gaussian prior, whose posterior is known: the limit of many steps along the
/// probability flow from `sigma = 100`, for a 4 x 4 image with correlated pixels of variance 0.0425, which
/// [`Isotropic`](crate::Isotropic) is given, and `noise_std = 0.1`. The error is that of the mean, root mean square
/// over the pixels, in standard deviations of the posterior; the spread is the standard deviation of the draws over
/// that of the posterior.
///
/// | guidance | inpainting: error | spread | circular blur: error | spread |
/// |---|---|---|---|---|
/// | [`GaussianGuidance`], [`Full`](crate::Full) covariance | 0.00 | 1.00 | 0.00 | 1.00 |
/// | [`Mmps`], 5 iterations | 0.02 | 1.00 | 0.00 | 1.00 |
/// | [`Pigdm`]; [`GaussianGuidance`], [`Diagonal`](crate::Diagonal) | 0.39 | 0.93 | 0.21 | 0.91 |
/// | [`Dps::annealed`] | 0.39 | 0.93 | 0.35 | 1.08 |
/// | [`Tmpd`] | 0.48 | 1.09 | 0.58 | 1.24 |
/// | [`Sda`], `gamma = 1` | 0.58 | 1.32 | 0.68 | 1.31 |
/// | [`Ald`] | 0.41 | 0.69 | 0.48 | 0.46 |
/// | [`Dps::new`] | 0.60 | 0.66 | 0.58 | 0.77 |
/// | [`ReconstructionGuidance`], `weight = 1` | 2.08 | 0.34 | 1.29 | 0.50 |
///
/// For a linear operator [`LgdMc`] tends to [`Pigdm`] with the number of its draws; before, its law is not Gaussian.
pub trait NoisyFidelity<const D: usize = 4> {
    /// Denoises `noisy` with `prior` and differentiates the likelihood, in one evaluation of the prior. Both results
    /// have the shape of `noisy`; `sigma > 0` is in the units of pixels in [0, 1].
    ///
    /// # Panics
    /// Unless the measurement fits: the shape that the operator gives to `noisy`, of as many rows or of one.
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
            let pull = misfit(y, operator.forward(estimate.clone()));
            operator.vjp(estimate, pull).mul_scalar(variance.recip())
        },
    );
    Guided {
        denoised,
        likelihood_score,
    }
}

/// `[batch, 1, ..]` at another rank.
fn scalar_per_row<const Y: usize, const D: usize>(scalars: Tensor<Y>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = scalars.dims()[0];
    scalars.reshape(shape)
}
