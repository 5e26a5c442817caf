//! The loop of the samplers that have a step of their own.

use burn::tensor::Tensor;
use tweedie_core::{Schedule, Span, TimeGrid};
use tweedie_solvers::Step;

use crate::{SampleError, draw::finite};

/// A step in the unscaled image `u = x/s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) span: Span,
    /// Noise level at its start, above 0.
    pub(crate) from: f64,
    /// Noise level at its end.
    pub(crate) to: f64,
}

/// Walks `start`, an unscaled state at the first time of `grid`, to its last; the observer sees the scaled states.
pub(crate) fn walk<const D: usize>(
    schedule: &dyn Schedule,
    grid: &TimeGrid,
    start: Tensor<D>,
    observe: &mut dyn FnMut(Step<'_, D>),
    mut step: impl FnMut(Tensor<D>, Level) -> Tensor<D>,
) -> Result<Tensor<D>, SampleError> {
    let mut state = start;
    for (index, span) in grid.spans().enumerate() {
        let level = Level {
            span,
            from: schedule.sigma(span.from),
            to: schedule.sigma(span.to),
        };
        state = step(state, level);
        let scale = schedule.scale(span.to);
        observe(Step {
            index,
            steps: grid.steps(),
            span,
            state: &state.clone().mul_scalar(scale),
        });
    }
    finite(state)
}
