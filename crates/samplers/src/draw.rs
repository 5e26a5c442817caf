//! Any number of draws, in batches, with their mean, standard deviation and quantiles.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::Rng;
use tweedie_metrics::{Interval, StreamingQuantiles, Welford, tails};
use tweedie_solvers::{Recorder, Step};

use crate::{
    PosteriorSampler, SampleError,
    error::{require, require_some},
};

/// How many samples, how many at a time, and what is wanted of them.
///
/// ```
/// use tweedie_samplers::DrawConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = DrawConfig { keep: 4, ..DrawConfig::new(64, 16).with_interval(0.9)? };
/// assert_eq!(config.quantiles.len(), 2);
/// let text = r#"{ "samples": 64, "batch_size": 16 }"#;
/// assert_eq!(serde_json::from_str::<DrawConfig>(text)?, DrawConfig::new(64, 16));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawConfig {
    /// Samples in all, at least 1.
    pub samples: usize,
    /// Samples held in memory at once, at least 1. It changes speed and memory, never a sample.
    pub batch_size: usize,
    /// Levels of pixel-wise quantiles, in [0, 1]. They cost a read-back of each batch, and what [`StreamingQuantiles`]
    /// hold.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// How many samples are kept: the first, or all where there are fewer.
    #[serde(default)]
    pub keep: usize,
    /// How many states on the way are kept of each kept sample, evenly spread over the steps, the last included; all
    /// where there are fewer.
    #[serde(default)]
    pub frames: usize,
}

impl DrawConfig {
    /// Mean and standard deviation alone of `samples` samples, `batch_size` at a time.
    pub fn new(samples: usize, batch_size: usize) -> Self {
        Self {
            samples,
            batch_size,
            quantiles: Vec::new(),
            keep: 0,
            frames: 0,
        }
    }

    /// Asks also for the quantiles of [`Draws::interval`] of level `level`.
    ///
    /// # Errors
    /// [`SampleError::Parameter`] for a level outside (0, 1), [`SampleError::TooFew`] below `(1 + level)/(1 - level)`
    /// samples: 19 for 90 %, 39 for 95 %.
    pub fn with_interval(mut self, level: f64) -> Result<Self, SampleError> {
        self.quantiles.extend(ends(level, self.samples)?);
        Ok(self)
    }

    fn check(&self) -> Result<(), SampleError> {
        for (field, value) in [("samples", self.samples), ("batch_size", self.batch_size)] {
            require_some(field, value)?;
        }
        if self.frames > 0 && self.keep == 0 {
            return Err(SampleError::Zero { field: "keep" });
        }
        let valid = |level: &f64| (0.0..=1.0).contains(level);
        self.quantiles
            .iter()
            .try_for_each(|level| require("quantiles", *level, valid(level), "levels in [0, 1]"))
    }
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
    /// A sample was counted; those of a batch come one by one after it.
    Sample {
        /// Its number, from 0.
        index: usize,
        /// The sample, `[1, channels, height, width]`.
        image: &'a Tensor<4>,
    },
}

/// Statistics of the draws, pixel by pixel.
#[derive(Clone, Debug)]
pub struct Draws {
    /// Their mean, `[1, channels, height, width]`.
    pub mean: Tensor<4>,
    /// Their standard deviation (with `samples - 1`), of the shape of the mean; none for a single sample.
    pub std: Option<Tensor<4>>,
    /// Levels of the quantiles, as they were asked for.
    pub levels: Vec<f64>,
    /// Their quantiles, `[levels, channels, height, width]`; none where none were asked for.
    pub quantiles: Option<Tensor<4>>,
    /// How many they are.
    pub samples: usize,
    /// The first of them, `[kept, channels, height, width]`; none where none were to be kept.
    pub kept: Option<Tensor<4>>,
    /// Times and states `[kept, channels, height, width]` on the way to the kept samples, noisiest first, scaled as the
    /// steps are; empty where none were to be kept.
    pub trajectory: Vec<(f64, Tensor<4>)>,
}

impl Draws {
    /// The pixel-wise central credible interval of level `level`, asked for by [`DrawConfig::with_interval`]: it holds
    /// one further draw with that probability.
    ///
    /// # Errors
    /// [`SampleError::Parameter`] for a level outside (0, 1), [`SampleError::NoInterval`] without its quantiles, and
    /// [`SampleError::TooFew`] below `(1 + level)/(1 - level)` samples: 19 for 90 %, 39 for 95 %.
    pub fn interval(&self, level: f64) -> Result<Interval, SampleError> {
        let found = ends(level, self.samples)?.map(|tail| self.quantile(tail));
        let [Some(lower), Some(upper)] = found else {
            return Err(SampleError::NoInterval { level });
        };
        Ok(Interval {
            level,
            lower,
            upper,
        })
    }

    fn quantile(&self, level: f64) -> Option<Tensor<4>> {
        let row = self.levels.iter().position(|l| (l - level).abs() < 1e-9)?;
        Some(self.quantiles.clone()?.slice(row..row + 1))
    }
}

/// Draws samples of one image shape, `[channels, height, width]`.
///
/// Sample `i` reads row `rng.first_row() + i` of `rng`, whatever the batch size, and the statistics count the samples
/// one by one: no result depends on the batch size. Only one batch, what is asked to be kept, and the statistics are
/// held at a time: `observe` keeps what else it wants.
///
/// # Errors
/// [`SampleError::Batch`] when a batch has no finite samples, [`SampleError::Zero`] when none are asked for, or frames
/// of none, [`SampleError::Parameter`] for a level of a quantile outside [0, 1].
pub fn draw(
    sampler: &dyn PosteriorSampler,
    image: [usize; 3],
    config: DrawConfig,
    rng: &Rng,
    mut observe: impl FnMut(Draw<'_>),
) -> Result<Draws, SampleError> {
    config.check()?;
    let [channels, height, width] = image;
    let mut moments = Welford::default();
    let mut quantiles =
        (!config.quantiles.is_empty()).then(|| StreamingQuantiles::new(&config.quantiles));
    let mut kept = Kept::default();
    for first in (0..config.samples).step_by(config.batch_size) {
        let batch = config.batch_size.min(config.samples - first);
        let keep = config.keep.saturating_sub(first).min(batch);
        let mut recorder = (keep > 0 && config.frames > 0).then(|| Recorder::new(config.frames));
        let mut rows = rng.clone().starting_at(rng.first_row() + first as u64);
        let shape = [batch, channels, height, width];
        let samples = sampler
            .sample(shape, &mut rows, &mut |step| {
                if let Some(recorder) = &mut recorder {
                    recorder.record(&step);
                }
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
        kept.add(keep, &samples, recorder);
        if let Some(quantiles) = &mut quantiles {
            quantiles.update(samples.clone());
        }
        // One by one: merging whole batches would make the last digits depend on their size.
        for row in 0..batch {
            let image = samples.clone().slice(row..row + 1);
            moments.update(image.clone());
            observe(Draw::Sample {
                index: first + row,
                image: &image,
            });
        }
    }
    let std = moments.std();
    let Some(mean) = moments.mean() else {
        return Err(SampleError::Zero { field: "samples" });
    };
    Ok(Draws {
        mean,
        std,
        quantiles: quantiles.and_then(|quantiles| quantiles.quantiles()),
        levels: config.quantiles,
        samples: config.samples,
        trajectory: kept.trajectory(),
        kept: kept.into_samples(),
    })
}

/// What is kept of each batch.
#[derive(Default)]
struct Kept {
    samples: Vec<Tensor<4>>,
    /// Of each batch, its times and states.
    states: Vec<Vec<(f64, Tensor<4>)>>,
}

impl Kept {
    /// Keeps the first `rows` rows of a batch and of its states.
    fn add(&mut self, rows: usize, samples: &Tensor<4>, recorder: Option<Recorder>) {
        if rows == 0 {
            return;
        }
        let first = |tensor: Tensor<4>| tensor.slice(0..rows);
        self.samples.push(first(samples.clone()));
        let states = recorder.map(Recorder::into_states).unwrap_or_default();
        let states = states.into_iter().map(|(time, state)| (time, first(state)));
        self.states.push(states.collect());
    }

    /// Times and states, those of all batches joined.
    fn trajectory(&self) -> Vec<(f64, Tensor<4>)> {
        let frames = self.states.iter().map(Vec::len).min().unwrap_or(0);
        let joined = |frame: usize| {
            let states = self.states.iter().map(|states| states[frame].1.clone());
            (self.states[0][frame].0, Tensor::cat(states.collect(), 0))
        };
        (0..frames).map(joined).collect()
    }

    fn into_samples(self) -> Option<Tensor<4>> {
        (!self.samples.is_empty()).then(|| Tensor::cat(self.samples, 0))
    }
}

/// Levels of the quantiles between which an interval lies.
fn ends(level: f64, samples: usize) -> Result<[f64; 2], SampleError> {
    require("level", level, level > 0.0 && level < 1.0, "in (0, 1)")?;
    let needed = ((1.0 + level) / (1.0 - level) - 1e-9).ceil() as usize;
    if samples < needed {
        return Err(SampleError::TooFew {
            level,
            needed,
            found: samples,
        });
    }
    Ok(tails(level))
}

/// The samples, if all of their numbers are finite.
pub(crate) fn finite<const D: usize>(samples: Tensor<D>) -> Result<Tensor<D>, SampleError> {
    if samples.clone().is_finite().all().into_scalar::<bool>() {
        return Ok(samples);
    }
    Err(SampleError::NotFinite)
}
