//! What can go wrong while sampling.

use tweedie_core::GridError;
use tweedie_solvers::SolveError;

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The solver gave up.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// A state of a run is not finite.
    #[error(
        "step {step} of {steps}, from noise level {sigma:.4}, gave numbers that are not finite: {advice}"
    )]
    Diverged {
        /// The first bad step, from 1.
        step: usize,
        /// How many steps the run has.
        steps: usize,
        /// Noise level where it starts, in the units of pixels in [0, 1].
        sigma: f64,
        /// What may help.
        advice: &'static str,
    },
    /// Samples hold numbers that are infinite or not numbers.
    #[error(
        "the samples are not finite: weaker guidance may help, or the network's weights are damaged"
    )]
    NotFinite,
    /// A batch could not be drawn.
    #[error("samples {first} to {last}: {source}")]
    Batch {
        /// Number of the first sample of the batch.
        first: usize,
        /// Number of its last.
        last: usize,
        /// What went wrong.
        source: Box<SampleError>,
    },
    /// A number of samples, steps or the like is 0.
    #[error("{field} must be at least 1, found 0")]
    Zero {
        /// Which setting.
        field: &'static str,
    },
    /// The quantiles at which an interval ends were not counted.
    #[error("an interval of level {level} was not asked for before the draws")]
    NoInterval {
        /// Its level.
        level: f64,
    },
    /// An interval needs more samples than there are.
    #[error("an interval of level {level} needs at least {needed} samples, found {found}")]
    TooFew {
        /// Level of the interval.
        level: f64,
        /// Samples that it needs.
        needed: usize,
        /// Samples there are.
        found: usize,
    },
    /// The times of a sampler do not fit its schedule.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A setting of a sampler is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// The images asked for do not have the measurement.
    #[error("the operator does not measure images of shape {image:?} as {measurement:?}")]
    Mismatch {
        /// Shape of the images.
        image: Vec<usize>,
        /// Shape of the measurement, which has one row for all images or one for each.
        measurement: Vec<usize>,
    },
}

/// Fails unless a setting is `valid`.
pub(crate) fn require(
    name: &'static str,
    found: f64,
    valid: bool,
    expected: &'static str,
) -> Result<(), SampleError> {
    if valid {
        return Ok(());
    }
    Err(SampleError::Parameter {
        name,
        expected,
        found,
    })
}

pub(crate) fn require_positive(name: &'static str, found: f64) -> Result<(), SampleError> {
    let valid = found > 0.0 && found.is_finite();
    require(name, found, valid, "finite and above 0")
}

pub(crate) fn require_non_negative(name: &'static str, found: f64) -> Result<(), SampleError> {
    let valid = found >= 0.0 && found.is_finite();
    require(name, found, valid, "finite and at least 0")
}

pub(crate) fn require_share(name: &'static str, found: f64) -> Result<(), SampleError> {
    require(name, found, (0.0..=1.0).contains(&found), "in [0, 1]")
}

/// Fails if a count is 0.
pub(crate) fn require_some(field: &'static str, count: usize) -> Result<(), SampleError> {
    if count > 0 {
        return Ok(());
    }
    Err(SampleError::Zero { field })
}
