//! Time travel: stretches of a walk are made several times, with the noise put back before each repetition.
//!
//! The walk over `N` steps is cut into blocks of `length` steps, counted backwards from the start of its last step,
//! which is made once, as is a first block that is cut short. At the end of a block, of noise level `lo`, the state is
//! taken back to the block's start, of noise level `hi`, by the exact transition `u + sqrt(hi^2 - lo^2) z`, and the
//! block is made again, `repeat` times in all. Lugmayr et al. 2022, section 4.2, <https://arxiv.org/abs/2201.09865>:
//! jump length and number of resamplings; Wang et al. 2023, section 3.3, <https://arxiv.org/abs/2212.00490>: travel
//! length and repeat times.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Schedule, Span, TimeGrid, combine};
use tweedie_solvers::Step;

use crate::{
    SampleError,
    error::require_some,
    fresh::Fresh,
    walk::{Level, walk_spans},
};

/// How often each block of a walk is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Travel {
    length: usize,
    repeat: usize,
    until: f64,
}

impl Travel {
    /// Blocks of `length` steps, each made `repeat` times; `names` are what the caller's settings are called.
    pub(crate) fn new(
        names: [&'static str; 2],
        length: usize,
        repeat: usize,
    ) -> Result<Self, SampleError> {
        for (name, value) in names.into_iter().zip([length, repeat]) {
            require_some(name, value)?;
        }
        Ok(Self {
            length,
            repeat,
            until: 0.0,
        })
    }

    /// The same, but blocks that go below the time `until` are made once.
    pub(crate) fn until(self, until: f64) -> Self {
        Self { until, ..self }
    }

    /// The steps in the order in which they are made. Where one starts noisier than the step before it ended, the noise
    /// in between is put back.
    pub(crate) fn spans(self, grid: &TimeGrid) -> Vec<Span> {
        let spans: Vec<Span> = grid.spans().collect();
        let (blocks, last) = spans.split_at(spans.len() - 1);
        let (short, whole) = blocks.split_at(blocks.len() % self.length);
        let mut walked = short.to_vec();
        for block in whole.chunks(self.length) {
            let again = block.iter().all(|span| span.to >= self.until);
            walked.extend(block.repeat(if again { self.repeat } else { 1 }));
        }
        walked.extend(last);
        walked
    }

    /// Walks `start` as [`walk`](crate::walk::walk) does, with the repetitions. The noise of a step is handed to
    /// `step`.
    pub(crate) fn walk<const D: usize>(
        self,
        schedule: &dyn Schedule,
        grid: &TimeGrid,
        (start, noise): (Tensor<D>, &mut dyn Noise<D>),
        advice: &'static str,
        observe: &mut dyn FnMut(Step<'_, D>),
        mut step: impl FnMut(Tensor<D>, Level, &mut dyn Noise<D>) -> Tensor<D>,
    ) -> Result<Tensor<D>, SampleError> {
        let mut at = grid.start();
        let mut cleanest = at;
        walk_spans(
            schedule,
            &self.spans(grid),
            start,
            advice,
            observe,
            |u, level| {
                let Span { from, to } = level.span;
                let u = match at < from {
                    true => noised(u, schedule.sigma(at), level.from, noise),
                    false => u,
                };
                at = to;
                if to < cleanest {
                    cleanest = to;
                    return step(u, level, noise);
                }
                // The increment of a path over this step has been used.
                step(u, level, &mut Fresh(noise))
            },
        )
    }
}

/// Takes the unscaled image `u` of noise level `lo` to the noise level `hi`.
fn noised<const D: usize>(u: Tensor<D>, lo: f64, hi: f64, noise: &mut dyn Noise<D>) -> Tensor<D> {
    let fresh = noise.normal(u.dims());
    combine([(1.0, u), ((hi * hi - lo * lo).sqrt(), fresh)])
}
