//! Why a grid cannot be made.

/// Why a grid cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// Fewer than two times.
    #[error("a time grid needs at least one step, found {times} times")]
    TooShort {
        /// How many times were given.
        times: usize,
    },
    /// A time is negative or not finite.
    #[error("time {index} of the grid must be finite and at least 0, found {found}")]
    OutOfRange {
        /// Its index.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// Two neighbours do not decrease.
    #[error("times must decrease strictly, found {earlier} then {later} at index {index}")]
    NotDecreasing {
        /// Index of the second of the two.
        index: usize,
        /// The first.
        earlier: f64,
        /// The second.
        later: f64,
    },
    /// The exponent of a Karras grid is not positive.
    #[error("rho must be finite and above 0, found {found}")]
    Rho {
        /// Its value.
        found: f64,
    },
    /// The schedule has no such noise level.
    #[error(
        "{name} must lie between the schedule's noise levels {lowest} and {highest}, found {found}"
    )]
    Level {
        /// Which end of the grid it is.
        name: &'static str,
        /// The schedule's level at time 0.
        lowest: f64,
        /// The schedule's level at the horizon.
        highest: f64,
        /// The level that was asked for.
        found: f64,
    },
    /// The logarithm of the least level is taken, and it is 0.
    #[error("sigma_min of a grid of equal steps in log-SNR must be above 0, found {found}")]
    ZeroLevel {
        /// Its value.
        found: f64,
    },
    /// The noise levels at the ends of the grid are not in order.
    #[error("a grid needs sigma_min < sigma_max, found {sigma_min} and {sigma_max}")]
    Reversed {
        /// The lower level.
        sigma_min: f64,
        /// The upper level.
        sigma_max: f64,
    },
    /// More steps than the discrete table has.
    #[error("a table of {table_steps} steps can be walked in 1 to {table_steps}, found {steps}")]
    TableTooShort {
        /// Steps that were asked for.
        steps: usize,
        /// Steps of the table.
        table_steps: usize,
    },
    /// The grid starts where the schedule has ended.
    #[error("the grid must start at or before the schedule's horizon {horizon}, found {time}")]
    BeyondHorizon {
        /// The first time of the grid.
        time: f64,
        /// The schedule's horizon.
        horizon: f64,
    },
}
