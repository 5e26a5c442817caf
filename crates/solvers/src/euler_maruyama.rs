//! Euler-Maruyama: the plain first-order step for any stochastic differential equation.
//!
//! `x_s = x_t + drift(x_t, t) (s - t) + diffusion(t) sqrt(|s - t|) z`
//!
//! Kloeden & Platen 1992, section 10.2, <https://doi.org/10.1007/978-3-662-12616-5>. One evaluation a step. With additive noise,
//! as here, its strong order is 1; it is of order 1 for the ordinary differential equation (Euler's method).

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Sde;

use crate::{Solver, kick::kick};

/// The Euler-Maruyama method; Euler's where the diffusion is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EulerMaruyama;

impl<P: Sde<D> + ?Sized, const D: usize> Solver<P, D> for EulerMaruyama {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let strength = process.diffusion(span.from) * span.step().abs().sqrt();
        let moved = process.advance(x, span.from, span.step());
        kick([(1.0, moved)], strength, span, noise)
    }
}
