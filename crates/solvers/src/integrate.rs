//! One step, and many.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, TimeGrid};
use tweedie_sde::Process;

use crate::SolveError;

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
///
/// Whether the state stays finite is counted on its device and read back once, at the end.
///
/// # Errors
/// [`SolveError::OutsideHorizon`] when the grid starts beyond the horizon of the process, [`SolveError::Diverged`] with the
/// first bad step when the last state is not finite.
pub fn integrate<P: Process + ?Sized, S: Solver<P, D>, const D: usize>(
    process: &P,
    solver: &S,
    start: Tensor<D>,
    grid: &TimeGrid,
    noise: &mut dyn Noise<D>,
    mut observe: impl FnMut(Step<'_, D>),
) -> Result<Tensor<D>, SolveError> {
    require_within(process, grid.start())?;
    let mut memory = S::Memory::default();
    let mut state = start;
    let mut health = Health::new(&state);
    for (index, span) in grid.spans().enumerate() {
        state = solver.step(process, &mut memory, state, span, noise);
        health.record(&state);
        observe(Step {
            index,
            steps: grid.steps(),
            span,
            state: &state,
        });
    }
    match health.first_bad_step(&state) {
        None => Ok(state),
        Some(step) => Err(SolveError::Diverged {
            step,
            steps: grid.steps(),
            time: grid.times()[step],
        }),
    }
}

/// Fails if a run starts at a time beyond the horizon, by more than rounding.
pub(crate) fn require_within<P: Process + ?Sized>(
    process: &P,
    time: f64,
) -> Result<(), SolveError> {
    let horizon = process.horizon();
    if time <= horizon * (1.0 + 4.0 * f64::EPSILON) {
        return Ok(());
    }
    Err(SolveError::OutsideHorizon { time, horizon })
}

/// Finds the first step whose state is not finite, without reading anything back before the end.
///
/// The sums of the states are kept on their device. What is not finite stays so, hence the finite sums tell the first bad
/// step.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_solvers::Health;
///
/// let state = Tensor::<1>::ones([2], &Device::flex());
/// let mut health = Health::new(&state);
/// health.record(&state);
/// let bad = state / 0.0;
/// health.record(&bad);
/// assert_eq!(health.first_bad_step(&bad), Some(2));
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    sums: Vec<Tensor<1>>,
}

impl Health {
    /// For a run on the device of `state`.
    pub fn new<const D: usize>(_: &Tensor<D>) -> Self {
        Self { sums: Vec::new() }
    }

    /// Counts the state after a step.
    pub fn record<const D: usize>(&mut self, state: &Tensor<D>) {
        // A sum is one pass without a write; it is finite unless a term is not, or the terms are near the largest float.
        self.sums.push(state.clone().without_autodiff().sum());
    }

    /// Number of the first bad step, from 1; none if `last` is finite.
    pub fn first_bad_step<const D: usize>(self, last: &Tensor<D>) -> Option<usize> {
        let last = last.clone().without_autodiff();
        if last.is_finite().all().into_scalar::<bool>() {
            return None;
        }
        let finite = |sums| Tensor::<1>::cat(sums, 0).is_finite().int().sum();
        let finite_steps = (!self.sums.is_empty()).then(|| finite(self.sums).into_scalar::<i64>());
        Some(finite_steps.unwrap_or(0) as usize + 1)
    }
}
