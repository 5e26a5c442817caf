//! What can be wrong with a process.

/// Why a process cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The stochasticity leaves its range.
    #[error("stochasticity alpha must lie in [0, 1], found {found} at time {time}")]
    Stochasticity {
        /// Its value.
        found: f64,
        /// The time at which it was met.
        time: f64,
    },
    /// The horizon is not a time.
    #[error("the horizon must be finite and above 0, found {found}")]
    Horizon {
        /// Its value.
        found: f64,
    },
}
