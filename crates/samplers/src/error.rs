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
    /// No samples, or none at a time, were asked for.
    #[error("{field} must be at least 1, found 0")]
    Zero {
        /// Which setting.
        field: &'static str,
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
