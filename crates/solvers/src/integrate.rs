//! One step, and many.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, TimeGrid};

/// One integration step. The bound on `P` in an implementation states what the method needs of the process.
pub trait Solver<P: ?Sized, const D: usize = 4> {
    /// What the method keeps between the steps of one run: `()`, or past evaluations.
    type Memory: Default;

    /// The state at `span.to`, given the state `x` at `span.from`.
    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D>;
}

/// What an observer sees after each step.
#[derive(Debug)]
pub struct Step<'a, const D: usize = 4> {
    /// Number of the step, from 0.
    pub index: usize,
    /// How many steps the run has.
    pub steps: usize,
    /// Where it went.
    pub span: Span,
    /// The state at its end.
    pub state: &'a Tensor<D>,
}

/// Runs `solver` over `grid` from `start`, the state at the grid's first time, and returns the state at its last.
///
/// `observe` is called after each step: a progress bar, a [`Recorder`](crate::Recorder), or nothing. The state is that of the
/// process, scaled by `s(t)`; at time 0 the scale is one.
pub fn integrate<P: ?Sized, S: Solver<P, D>, const D: usize>(
    process: &P,
    solver: &S,
    start: Tensor<D>,
    grid: &TimeGrid,
    noise: &mut dyn Noise<D>,
    mut observe: impl FnMut(Step<'_, D>),
) -> Tensor<D> {
    let mut memory = S::Memory::default();
    let mut state = start;
    for (index, span) in grid.spans().enumerate() {
        state = solver.step(process, &mut memory, state, span, noise);
        observe(Step {
            index,
            steps: grid.steps(),
            span,
            state: &state,
        });
    }
    state
}
