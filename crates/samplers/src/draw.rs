//! Any number of draws, in batches, with their mean and standard deviation.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::Rng;
use tweedie_metrics::Welford;
use tweedie_solvers::Step;

use crate::{PosteriorSampler, SampleError};

/// How many samples, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawConfig {
    /// Samples in all, at least 1.
    pub samples: usize,
    /// Samples held in memory at once, at least 1. It changes speed and memory, never a sample.
    pub batch_size: usize,
}

/// What a caller of [`draw`] is told.
#[non_exhaustive]
pub enum Draw<'a> {
    /// A step was made.
    Step {
        /// Number of the batch's first sample.
        first: usize,
        /// The step and its state.
        step: Step<'a>,
    },
    /// A batch was finished.
    Batch {
        /// Number of its first sample.
        first: usize,
        /// The samples, `[batch, channels, height, width]`.
        samples: &'a Tensor<4>,
    },
}

/// Statistics of the draws, pixel by pixel.
#[derive(Clone, Debug)]
pub struct Draws {
    /// Their mean, `[1, channels, height, width]`.
    pub mean: Tensor<4>,
    /// Their standard deviation (with `samples - 1`), of the shape of the mean; none for a single sample.
    pub std: Option<Tensor<4>>,
    /// How many they are.
    pub samples: usize,
}

/// Draws samples of one image shape, `[channels, height, width]`.
///
/// Sample `i` reads row `rng.first_row() + i` of `rng`, whatever the batch size. Only one batch is held at a time:
/// `observe` keeps the samples it wants.
///
/// # Errors
/// [`SampleError::Batch`] when a batch has no finite samples, [`SampleError::Zero`] when none are asked for.
pub fn draw(
    sampler: &dyn PosteriorSampler,
    image: [usize; 3],
    config: DrawConfig,
    rng: &Rng,
    mut observe: impl FnMut(Draw<'_>),
) -> Result<Draws, SampleError> {
    for (field, value) in [
        ("samples", config.samples),
        ("batch_size", config.batch_size),
    ] {
        if value == 0 {
            return Err(SampleError::Zero { field });
        }
    }
    let [channels, height, width] = image;
    let mut moments = Welford::default();
    for first in (0..config.samples).step_by(config.batch_size) {
        let batch = config.batch_size.min(config.samples - first);
        let mut rows = rng.clone().starting_at(rng.first_row() + first as u64);
        let shape = [batch, channels, height, width];
        let samples = sampler
            .sample(shape, &mut rows, &mut |step| {
                observe(Draw::Step { first, step })
            })
            .and_then(finite)
            .map_err(|source| SampleError::Batch {
                first,
                last: first + batch - 1,
                source: Box::new(source),
            })?;
        observe(Draw::Batch {
            first,
            samples: &samples,
        });
        // One by one: merging whole batches would make the last digits depend on their size.
        for row in 0..batch {
            moments.update(samples.clone().slice(row..row + 1));
        }
    }
    let std = moments.std();
    let Some(mean) = moments.mean() else {
        return Err(SampleError::Zero { field: "samples" });
    };
    Ok(Draws {
        mean,
        std,
        samples: config.samples,
    })
}

/// The samples, if all of their numbers are finite.
pub(crate) fn finite<const D: usize>(samples: Tensor<D>) -> Result<Tensor<D>, SampleError> {
    if samples.clone().is_finite().all().into_scalar::<bool>() {
        return Ok(samples);
    }
    Err(SampleError::NotFinite)
}
