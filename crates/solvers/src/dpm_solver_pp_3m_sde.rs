//! SDE-DPM-Solver++(3M): the linear part of the reverse equation solved exactly, `D` extrapolated from three steps.
//!
//! `u_s = r^k u_t + k int e^(-k (lambda_s - lambda)) Q(lambda) dlambda + sigma_s sqrt(1 - r^(2 eta^2)) z`,
//! `k = 1 + eta^2`
//!
//! The member after the two-step method of Lu et al. 2023, section 5, <https://arxiv.org/abs/2211.01095>: `Q` is the
//! parabola in `lambda = -ln sigma` through the last three `D`, with its exact weights; a line at the second step,
//! constant at the first and at one that ends without noise. `u = x/s`, `r = sigma_s/sigma_t`, and `eta^2` is the
//! stochasticity of the equation; that of the process is not used. One evaluation a step. For `eta = 0` order 3, but
//! for the error of the first step: of order 2, and small where a run starts in strong noise, since `D` hardly moves
//! there. For `eta > 0` order 2 of the law, and strong order 1. Exact at any step size for a point mass.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{
    SolveError, Solver,
    error::require,
    levels::Levels,
    variation::{Evaluation, Variation},
};

/// The SDE-DPM-Solver++(3M) method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSolverPp3MSde {
    alpha: f64,
}

impl DpmSolverPp3MSde {
    /// `eta` from 0 (deterministic) to 1 (the reverse equation itself).
    ///
    /// # Errors
    /// Unless `eta` lies in [0, 1].
    pub fn new(eta: f64) -> Result<Self, SolveError> {
        require("eta", eta, (0.0..=1.0).contains(&eta), "in [0, 1]")?;
        Ok(Self { alpha: eta * eta })
    }
}

/// Weights of the last three `D`, newest first, for steps of length `before` and `earlier` between them in `lambda`.
fn weights(variation: &Variation, before: f64, earlier: f64) -> [f64; 3] {
    // Q = D + y d1 + y (y + before) d2, with d1 = (D - D')/before and d2 = (d1 - (D' - D'')/earlier)/(before +
    // earlier).
    let (line, square) = (variation.linear(), variation.square());
    let bend = (square + before * line) / (before + earlier);
    let newer = (line + bend) / before;
    let older = bend / earlier;
    [variation.constant() + newer, -newer - older, older]
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for DpmSolverPp3MSde {
    /// At most two, newest first.
    type Memory = VecDeque<Evaluation<D>>;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let variation = Variation::new(levels, self.alpha);
        let clean = process.denoised(x.clone(), span.from);
        let now = variation.evaluation(&clean);

        let constant = [1.0, 0.0, 0.0].map(|share| share * variation.constant());
        let [first, second, third] = match (memory.front(), memory.back()) {
            (Some(last), Some(oldest)) if levels.sigma_to > 0.0 => {
                let before = now.lambda - last.lambda;
                // A single past value is its own predecessor: an infinite distance leaves the line through two.
                let earlier = match memory.len() {
                    1 => f64::INFINITY,
                    _ => last.lambda - oldest.lambda,
                };
                weights(&variation, before, earlier)
            }
            _ => constant,
        };
        let past = |index: usize| memory.get(index).map_or(&clean, |past| &past.clean).clone();
        let terms = [(first, clean.clone()), (second, past(0)), (third, past(1))];
        memory.push_front(now);
        memory.truncate(2);
        variation.step(x, terms, span, noise)
    }
}
