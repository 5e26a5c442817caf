//! DDPM ancestral sampling with the variance that the network has learnt.
//!
//! The step of [`Ddpm`](crate::Ddpm), of which each pixel has the variance `exp(v ln beta + (1 - v) ln beta_tilde)`: Nichol & Dhariwal
//! 2021, eq. (15), <https://arxiv.org/abs/2102.09672>. `beta = s_t^2 (sigma_t^2 - sigma_s^2)` is the variance of the forward step from
//! `s` to `t` and `beta_tilde` that of its posterior, so that `beta/beta_tilde = (s_t sigma_t/(s_s sigma_s))^2`: with both of the step
//! that is taken, steps of any length may be, as in section 4 there. The schedule is the one that the network was trained with. A step
//! that ends without noise draws none. One evaluation a step.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{Solver, ddpm::posterior, levels::Levels};

/// The DDPM method with learnt variances.
///
/// # Panics
/// A step panics if the denoiser has no variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedDdpm;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for LearnedDdpm {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let (clean, share) = process.denoised_with_variance(x.clone(), span.from);
        let share = share.expect("learnt variances need a denoiser that has them");
        let (mean, least) = posterior(levels, x, clean);
        let mean = combine(mean);
        if least == 0.0 {
            return mean;
        }
        // ln(beta/beta_tilde)/2.
        let widest = (levels.s_from * levels.sigma_from / (levels.s_to * levels.sigma_to)).ln();
        let std = share.mul_scalar(widest).exp().mul_scalar(least);
        let fresh = noise.normal_over(mean.dims(), span.from, span.to);
        mean + std * fresh
    }
}
