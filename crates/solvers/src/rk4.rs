//! The classical Runge-Kutta method, for any ordinary differential equation in time.
//!
//! `x_s = x_t + (b_1 + 2 b_2 + 2 b_3 + b_4) h/6`, `b_1 = b(x_t, t)`, `b_2 = b(x_t + b_1 h/2, t + h/2)`,
//! `b_3 = b(x_t + b_2 h/2, t + h/2)`, `b_4 = b(x_t + b_3 h, s)`, `h = s - t`
//!
//! Kutta 1901; Hairer, Nørsett & Wanner 1993, section II.1, table 1.2, <https://doi.org/10.1007/978-3-540-78862-1>.
//! Order 4, four evaluations a step. Where the process is undefined at the end of a step, that step is Euler's, of one
//! evaluation and first order, as the predictor that Heun's method keeps there.
//!
//! It uses no structure: for equations that have none, for likelihoods, and for references at small steps. For a
//! diffusion at few evaluations the structured methods are better.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Sde;

use crate::Solver;

/// The classical Runge-Kutta method of order 4.
///
/// # Panics
/// A step panics if the diffusion of the process is not 0 at its start or in its middle: there is no noise in this method,
/// and without it a reverse stochastic equation would have the wrong law. Give it the flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rk4;

impl<P: Sde<D> + ?Sized, const D: usize> Solver<P, D> for Rk4 {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        _: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let h = span.step();
        let middle = span.from + 0.5 * h;
        for t in [span.from, middle] {
            let diffusion = process.diffusion(t);
            assert!(
                diffusion == 0.0,
                "the Runge-Kutta method solves equations without noise, found diffusion {diffusion} at time {t}"
            );
        }
        if !process.is_defined_at(span.to) {
            return process.advance(x, span.from, h);
        }
        let second = process.advance(x.clone(), span.from, 0.5 * h);
        let slope = process.drift(second.clone(), middle);
        let third = combine([(1.0, x.clone()), (0.5 * h, slope)]);
        let slope = process.drift(third.clone(), middle);
        let fourth = combine([(1.0, x.clone()), (h, slope)]);
        // The slopes b_1, b_2 and b_3 are in the stages: x_s = (second + 2 third + fourth - x)/3 + b_4 h/6.
        let last = process.advance(fourth, span.to, 0.5 * h);
        combine([
            (-1.0 / 3.0, x),
            (1.0 / 3.0, second),
            (2.0 / 3.0, third),
            (1.0 / 3.0, last),
        ])
    }
}
