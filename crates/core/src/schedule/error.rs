//! Why a schedule cannot be made.

/// Why a schedule cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A parameter is out of its range.
    #[error("schedule parameter {name} must be {expected}, found {found}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// A lower end is not below its upper end.
    #[error("schedule needs {low_name} < {high_name}, found {low} and {high}")]
    Reversed {
        /// Name of the lower end.
        low_name: &'static str,
        /// Name of the upper end.
        high_name: &'static str,
        /// Its value.
        low: f64,
        /// Value of the upper end.
        high: f64,
    },
    /// A table of betas is empty.
    #[error("a discrete schedule needs at least one beta, found none")]
    EmptyTable,
    /// An entry of a table of betas is not in (0, 1).
    #[error("beta of step {step}, counted from 1, must lie in (0, 1), found {found}")]
    Beta {
        /// The step, from 1.
        step: usize,
        /// Its value.
        found: f64,
    },
    /// A function given by the user has a value out of its range.
    #[error("{name} at t = {time} must be {expected}, found {found}")]
    Function {
        /// Its name.
        name: &'static str,
        /// The time.
        time: f64,
        /// The range.
        expected: &'static str,
        /// The value.
        found: f64,
    },
    /// A derivative given by the user is not that of the function beside it.
    #[error("derivative of {name} at t = {time} must be {expected} by differences, found {found}")]
    Derivative {
        /// Name of the function.
        name: &'static str,
        /// The time.
        time: f64,
        /// The slope by differences of the function.
        expected: f64,
        /// The derivative that was given.
        found: f64,
    },
    /// The noise level given by the user does not increase.
    #[error(
        "sigma must increase strictly, found {earlier} at t = {earlier_time} and {later} at t = {later_time}"
    )]
    NotIncreasing {
        /// The earlier time.
        earlier_time: f64,
        /// The level there.
        earlier: f64,
        /// The later time.
        later_time: f64,
        /// The level there.
        later: f64,
    },
}

pub(super) fn require_positive(name: &'static str, found: f64) -> Result<(), ScheduleError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(ScheduleError::OutOfRange {
        name,
        expected: "finite and above 0",
        found,
    })
}

pub(super) fn require_ordered(
    (low_name, low): (&'static str, f64),
    (high_name, high): (&'static str, f64),
) -> Result<(), ScheduleError> {
    if low < high {
        return Ok(());
    }
    Err(ScheduleError::Reversed {
        low_name,
        high_name,
        low,
        high,
    })
}

/// Refuses a process so noisy that `sigma^2 = exp(B) - 1` overflows.
pub(super) fn require_bounded(integral: f64) -> Result<(), ScheduleError> {
    if integral <= 700.0 {
        return Ok(());
    }
    Err(ScheduleError::OutOfRange {
        name: "B(1), the integral of beta",
        expected: "at most 700, so that sigma stays finite",
        found: integral,
    })
}

/// The horizon of a schedule that diverges at `t = 1`: the time of `sigma_max`, if a double can tell it from 1.
pub(super) fn require_before_one(sigma_max: f64, time: f64) -> Result<f64, ScheduleError> {
    if time < 1.0 {
        return Ok(time);
    }
    Err(ScheduleError::OutOfRange {
        name: "sigma_max",
        expected: "a level reached before t = 1 in double precision",
        found: sigma_max,
    })
}
