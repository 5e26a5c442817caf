//! The loop of the samplers whose state is an image without noise.

use burn::tensor::Tensor;
use tweedie_core::Span;
use tweedie_solvers::{Health, Step};

use crate::SampleError;

/// One round of an iteration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Number of the round, from 0.
    pub(crate) index: usize,
    /// What the observer is told.
    pub(crate) span: Span,
    /// Its noise level.
    pub(crate) sigma: f64,
}

/// Applies `step` in each round, from `start`. A state that is not finite ends in [`SampleError::Diverged`] with
/// `advice`.
pub(crate) fn rounds<const D: usize>(
    rounds: &[Round],
    start: Tensor<D>,
    advice: &'static str,
    observe: &mut dyn FnMut(Step<'_, D>),
    mut step: impl FnMut(Tensor<D>, Round) -> Tensor<D>,
) -> Result<Tensor<D>, SampleError> {
    let mut health = Health::new(&start);
    let mut state = start;
    for round in rounds {
        state = step(state, *round);
        health.record(&state);
        observe(Step {
            index: round.index,
            steps: rounds.len(),
            span: round.span,
            state: &state,
        });
    }
    match health.first_bad_step(&state) {
        None => Ok(state),
        Some(step) => Err(SampleError::Diverged {
            step,
            steps: rounds.len(),
            sigma: rounds[step - 1].sigma,
            advice,
        }),
    }
}
