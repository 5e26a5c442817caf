//! DDPM ancestral sampling: the exact posterior step of the forward chain, with the denoised image in place of `x_0`.
//!
//! `x_s = s_s (r^2 x_t/s_t + (1 - r^2) D + sigma_s sqrt(1 - r^2) z)`, `r = sigma_s/sigma_t`
//!
//! Ho, Jain & Abbeel 2020, eqs. (6)-(7), <https://arxiv.org/abs/2006.11239>, written in noise levels, so that steps of any
//! length may be taken. Of the paper's two variances it is the posterior's (`beta tilde`), right for a point mass at any step
//! size; [`LearnedDdpm`](crate::LearnedDdpm) takes one between the two. One evaluation a step. The stochasticity of the process is not used: it is 1.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{Solver, kick::kick, levels::Levels};

/// The DDPM method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ddpm;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for Ddpm {
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
        let clean = process.denoised(x.clone(), span.from);
        let (mean, std) = posterior(levels, x, clean);
        kick(mean, std, span, noise)
    }
}

/// Mean, as a sum, and standard deviation of the state after the step, given that before it and the clean image.
pub(crate) fn posterior<const D: usize>(
    levels: Levels,
    x: Tensor<D>,
    clean: Tensor<D>,
) -> ([(f64, Tensor<D>); 2], f64) {
    let kept = levels.ratio().powi(2);
    let mean = [
        (levels.s_to * kept / levels.s_from, x),
        (levels.s_to * (1.0 - kept), clean),
    ];
    (mean, levels.s_to * levels.sigma_to * (1.0 - kept).sqrt())
}
