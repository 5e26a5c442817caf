//! Heun: the trapezoidal predictor-corrector step, of second order in law.
//!
//! `x~ = x_t + b(x_t, t) h + g(t) dw`, `x_s = x_t + (b(x_t, t) + b(x~, s)) h/2 + (g(t) + g(s)) dw/2`, `h = s - t`
//!
//! Karras et al. 2022, algorithm 1, <https://arxiv.org/abs/2206.00364>, for `g = 0`; with noise both stages share one
//! Brownian increment (Kloeden & Platen 1992, section 15.5, <https://doi.org/10.1007/978-3-662-12616-5>). Order 2 for the
//! probability-flow equation and, as the noise is additive, weak order 2 and strong order 1 with noise. Two evaluations a
//! step, one where the process is undefined at the end of the step: there the predictor is kept, as in the paper.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
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
        let width = span.step().abs().sqrt();
        let strength = process.diffusion(span.from) * width;
        let fresh = (strength > 0.0).then(|| noise.normal_over(x.dims(), span.from, span.to));
        let kicked = |moved: Tensor<D>, strength: f64| match &fresh {
            Some(fresh) => combine([(1.0, moved), (strength, fresh.clone())]),
            None => moved,
        };
        let moved = process.advance(x.clone(), span.from, span.step());
        let predicted = kicked(moved, strength);
        if !process.is_defined_at(span.to) {
            return predicted;
        }
        // The mean of x and of x after two Euler steps is x + (b + b~) h/2, with half of the first kick.
        let twice = process.advance(predicted, span.to, span.step());
        let rest = 0.5 * process.diffusion(span.to) * width;
        kicked(combine([(0.5, x), (0.5, twice)]), rest)
    }
}
