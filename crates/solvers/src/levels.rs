//! A step in the variable `u = x/s`, in which every diffusion is the same function of its noise level.

use burn::tensor::Tensor;
use tweedie_core::{Schedule, Span, combine};

/// Scales and noise levels at the ends of a step.
///
/// Along the flow `du/dsigma = (u - D(u; sigma))/sigma`, with the exact solution
/// `u_to = r u_from + sigma_to int e^lambda D dlambda`, `r = sigma_to/sigma_from`, `lambda = -ln sigma`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    pub(crate) s_from: f64,
    pub(crate) s_to: f64,
    pub(crate) sigma_from: f64,
    pub(crate) sigma_to: f64,
}

impl Levels {
    pub(crate) fn of(schedule: &dyn Schedule, span: Span) -> Self {
        Self {
            s_from: schedule.scale(span.from),
            s_to: schedule.scale(span.to),
            sigma_from: schedule.sigma(span.from),
            sigma_to: schedule.sigma(span.to),
        }
    }

    /// `sigma_to / sigma_from`, 0 for a step that ends without noise.
    pub(crate) fn ratio(&self) -> f64 {
        self.sigma_to / self.sigma_from
    }

    /// Length of the step in `lambda = -ln sigma`; infinite for one that ends without noise.
    pub(crate) fn h(&self) -> f64 {
        -self.ratio().ln()
    }

    /// The step from the start to the geometric mean of the two noise levels, their middle in `lambda`, and the time
    /// there.
    pub(crate) fn first_half(&self, schedule: &dyn Schedule, span: Span) -> (Self, f64) {
        let middle = schedule.time_at((self.sigma_from * self.sigma_to).sqrt());
        let half = Span {
            from: span.from,
            to: middle,
        };
        (Self::of(schedule, half), middle)
    }

    /// The exact step for a denoised image that stays `clean`; one that ends without noise returns `s_to clean`.
    pub(crate) fn held<const D: usize>(&self, x: Tensor<D>, clean: Tensor<D>) -> Tensor<D> {
        let ratio = self.ratio();
        combine([
            (self.s_to * ratio / self.s_from, x),
            (self.s_to * (1.0 - ratio), clean),
        ])
    }
}
