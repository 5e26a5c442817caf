//! The loop of the samplers that have a step of their own.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Schedule, Span, TimeGrid, combine};
use tweedie_solvers::{Health, Step};

use crate::SampleError;

/// The advice of a method without a setting that could make it diverge.
pub(crate) const DAMAGED: &str = "the network's weights or the measurement may be damaged";

/// A step in the unscaled image `u = x/s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) span: Span,
    /// Noise level at its start, above 0.
    pub(crate) from: f64,
    /// Noise level at its end.
    pub(crate) to: f64,
}

impl Level {
    /// The DDIM step of stochasticity `eta` (Song et al. 2021, eq. (12), <https://arxiv.org/abs/2010.02502>).
    pub(crate) fn ddim(&self, eta: f64) -> DdimStep {
        let ratio = self.to / self.from;
        let fresh = eta * eta * (1.0 - ratio * ratio);
        DdimStep {
            span: self.span,
            kept: ratio * (1.0 - fresh).sqrt(),
            strength: self.to * fresh.sqrt(),
        }
    }
}

/// `u' = kept u + (1 - kept) d + strength z` for a denoised image `d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DdimStep {
    span: Span,
    pub(crate) kept: f64,
    pub(crate) strength: f64,
}

impl DdimStep {
    /// The state at the end of the step.
    pub(crate) fn apply<const D: usize>(
        &self,
        u: Tensor<D>,
        denoised: Tensor<D>,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let shape = u.dims();
        let moved = combine([(self.kept, u), (1.0 - self.kept, denoised)]);
        if self.strength == 0.0 {
            return moved;
        }
        let fresh = noise.normal_over(shape, self.span.from, self.span.to);
        combine([(1.0, moved), (self.strength, fresh)])
    }
}

/// `N(0, sigma^2 I)` at the first time of `grid`: the unscaled start of a run about which nothing is known.
pub(crate) fn pure_noise<const D: usize>(
    schedule: &dyn Schedule,
    grid: &TimeGrid,
    shape: [usize; D],
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    noise.normal(shape).mul_scalar(schedule.sigma(grid.start()))
}

/// Walks `start`, an unscaled state at the first time of `grid`, to its last; the observer sees the scaled states.
///
/// A state that is not finite ends in [`SampleError::Diverged`] with `advice`.
pub(crate) fn walk<const D: usize>(
    schedule: &dyn Schedule,
    grid: &TimeGrid,
    start: Tensor<D>,
    advice: &'static str,
    observe: &mut dyn FnMut(Step<'_, D>),
    step: impl FnMut(Tensor<D>, Level) -> Tensor<D>,
) -> Result<Tensor<D>, SampleError> {
    let spans: Vec<Span> = grid.spans().collect();
    walk_spans(schedule, &spans, start, advice, observe, step)
}

/// [`walk`] along steps that need not continue each other.
pub(crate) fn walk_spans<const D: usize>(
    schedule: &dyn Schedule,
    spans: &[Span],
    start: Tensor<D>,
    advice: &'static str,
    observe: &mut dyn FnMut(Step<'_, D>),
    mut step: impl FnMut(Tensor<D>, Level) -> Tensor<D>,
) -> Result<Tensor<D>, SampleError> {
    let steps = spans.len();
    let mut state = start;
    let mut health = Health::new(&state);
    for (index, &span) in spans.iter().enumerate() {
        let level = Level {
            span,
            from: schedule.sigma(span.from),
            to: schedule.sigma(span.to),
        };
        state = step(state, level);
        health.record(&state);
        let scale = schedule.scale(span.to);
        observe(Step {
            index,
            steps,
            span,
            state: &combine([(scale, state.clone())]),
        });
    }
    match health.first_bad_step(&state) {
        None => Ok(state),
        Some(step) => Err(SampleError::Diverged {
            step,
            steps,
            sigma: schedule.sigma(spans[step - 1].from),
            advice,
        }),
    }
}
