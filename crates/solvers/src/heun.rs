//! Heun: the trapezoidal predictor-corrector step, of second order for the probability-flow equation.
//!
//! `x~ = x_t + b(x_t, t) h + g(t) dw`, `x_s = x_t + (b(x_t, t) + b(x~, s)) h/2 + (g(t) + g(s)) dw/2`, `h = s - t`
//!
//! Karras et al. 2022, algorithm 1, <https://arxiv.org/abs/2206.00364>, for `g = 0`; with noise both stages share one
//! Brownian increment (Kloeden & Platen 1992, section 15.5). Two evaluations a step, one where the process is undefined at
//! the end of the step: there the predictor is kept, as in the paper.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Sde;

use crate::Solver;

/// Heun's method; stochastic where the diffusion is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heun;

impl<P: Sde<D> + ?Sized, const D: usize> Solver<P, D> for Heun {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let diffusion = process.diffusion(span.from);
        let increment = (diffusion > 0.0).then(|| noise.increment(x.dims(), span.from, span.to));
        let kick = |x: Tensor<D>, strength: f64| match &increment {
            Some(increment) => x + increment.clone().mul_scalar(strength),
            None => x,
        };
        let first = process.drift(x.clone(), span.from);
        let predicted = kick(x.clone() + first.clone().mul_scalar(span.step()), diffusion);
        if !process.is_defined_at(span.to) {
            return predicted;
        }
        let second = process.drift(predicted, span.to);
        let mean_diffusion = 0.5 * (diffusion + process.diffusion(span.to));
        kick(
            x + (first + second).mul_scalar(0.5 * span.step()),
            mean_diffusion,
        )
    }
}
