//! The split Gibbs sampler: a likelihood step and a prior step in turn, at a coupling that tightens.
//!
//! Both draw from the two conditionals of `exp(-f(x)) p(z) N(x; z, rho^2 I)`. The one of `z` is the law of a clean
//! image given that its noisy version of level `rho` is `x`, and that is where the reverse equation with all of its
//! noise, started at `x` itself, ends: a process run back from a known state has the law of the past given that state.
//! The flow would give one point of it.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Noise, Span};
use tweedie_solvers::Step;

use crate::{
    LikelihoodStep, Near, SampleError,
    descent::Descent,
    error::require,
    rounds::{Round, rounds},
};

/// Levels of the coupling, and how the prior is drawn from at each.
#[derive(Clone, Debug)]
pub(crate) struct SplitGibbs {
    rounds: Vec<Round>,
    descent: Descent,
}

/// The steps of a prior draw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PriorSteps {
    pub(crate) steps: usize,
    pub(crate) sigma_min: f64,
}

impl SplitGibbs {
    /// `spreads` are `rho` round by round, all finite and above 0.
    pub(crate) fn new(spreads: &[f64], prior: PriorSteps) -> Result<Self, SampleError> {
        let highest = spreads.iter().copied().fold(0.0, f64::max);
        let lowest = spreads.iter().copied().fold(f64::INFINITY, f64::min);
        let PriorSteps { steps, sigma_min } = prior;
        let descent = Descent::new(1.0, highest, sigma_min, steps, "prior_steps")?;
        let below = "below the last level of the coupling";
        require("sigma_min", sigma_min, sigma_min < lowest, below)?;
        let rounds = spreads.iter().enumerate().map(|(index, &sigma)| Round {
            index,
            span: Span {
                from: sigma,
                to: 0.0,
            },
            sigma,
        });
        Ok(Self {
            rounds: rounds.collect(),
            descent,
        })
    }

    /// From `N(0, rho^2 I)` at the first level; the result is the image of the last prior step.
    pub(crate) fn sample_with<const D: usize>(
        &self,
        prior: &impl Denoiser<D>,
        likelihood: &impl LikelihoodStep<D>,
        shape: [usize; D],
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        likelihood.require_shape(shape)?;
        let start = noise.normal(shape).mul_scalar(self.rounds[0].sigma);
        let mut state = start.clone();
        let count = self.rounds.len() as f64;
        let advice = likelihood.advice();
        rounds(&self.rounds, start, advice, observe, |centre, round| {
            let near = Near {
                state: state.clone(),
                centre,
                spread: round.sigma,
                remaining: 1.0 - round.index as f64 / count,
            };
            state = likelihood.draw(near, noise);
            self.descent.run(prior, state.clone(), round.sigma, noise)
        })
    }
}
