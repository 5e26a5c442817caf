//! DDPM ancestral sampling: the exact posterior step of the forward chain, with the denoised image in place of `x_0`.
//!
//! `x_s = s_s (r^2 x_t/s_t + (1 - r^2) D + sigma_s sqrt(1 - r^2) z)`, `r = sigma_s/sigma_t`
//!
//! Ho, Jain & Abbeel 2020, eqs. (6)-(7), <https://arxiv.org/abs/2006.11239>, written in noise levels, so that steps of any
//! length may be taken. Of the paper's two variances it is the posterior's (`beta tilde`), right for a point mass at any step
//! size. One evaluation a step. The stochasticity of the process is not used: it is 1.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::Solver;

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
        let schedule = process.schedule();
        let (s_from, s_to) = (schedule.scale(span.from), schedule.scale(span.to));
        let sigma_to = schedule.sigma(span.to);
        let kept = (sigma_to / schedule.sigma(span.from)).powi(2);

        let clean = process.denoised(x.clone(), span.from);
        let moved = x.mul_scalar(s_to * kept / s_from) + clean.mul_scalar(s_to * (1.0 - kept));
        if sigma_to == 0.0 {
            return moved;
        }
        let shape = moved.dims();
        let fresh = noise.normal(shape);
        moved + fresh.mul_scalar(s_to * sigma_to * (1.0 - kept).sqrt())
    }
}
