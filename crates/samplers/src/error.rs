//! What can go wrong while sampling.

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A batch holds numbers that are infinite or not numbers: the guidance is too strong for the steps, or the network's
    /// weights are damaged.
    #[error(
        "samples {first} to {last} are not finite: take more steps or weaker guidance, or check the network's weights"
    )]
    Diverged {
        /// Number of the batch's first sample.
        first: usize,
        /// Number of its last.
        last: usize,
    },
    /// No samples, or none at a time, were asked for.
    #[error("{field} must be at least 1, found 0")]
    Zero {
        /// Which setting.
        field: &'static str,
    },
}
