//! What can go wrong while sampling.

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
}
