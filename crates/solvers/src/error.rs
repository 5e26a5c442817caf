//! What can go wrong in a run.

/// Why a solver cannot be made, or a run has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SolveError {
    /// A setting of a solver is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// The grid starts where the process is not defined.
    #[error("the grid starts at time {time}, beyond the horizon {horizon} of the process")]
    OutsideHorizon {
        /// The first time of the grid.
        time: f64,
        /// The latest time of the process.
        horizon: f64,
    },
    /// The state holds numbers that are infinite or not numbers.
    #[error(
        "the state is not finite after step {step} of {steps}, at time {time}: take more steps or weaker guidance, \
         or check the weights of the network"
    )]
    Diverged {
        /// Number of the first bad step, from 1.
        step: usize,
        /// How many steps the run has.
        steps: usize,
        /// Where that step ended.
        time: f64,
    },
    /// A run should end, or start, where the process is not defined.
    #[error(
        "the process has no score at time {time}, where there is no noise: run to a later time"
    )]
    Undefined {
        /// The time.
        time: f64,
    },
    /// A method for ordinary differential equations met noise.
    #[error("the method needs a process without noise, found diffusion {diffusion} at time {time}")]
    Stochastic {
        /// The diffusion coefficient.
        diffusion: f64,
        /// Where it was met.
        time: f64,
    },
    /// An adaptive run used up its steps.
    #[error(
        "row {row} reached time {time} in {max_steps} steps, the most allowed: allow more or a larger tolerance"
    )]
    TooManySteps {
        /// Number of the row in its batch.
        row: usize,
        /// The limit, rejected steps included.
        max_steps: usize,
        /// How far it came.
        time: f64,
    },
    /// An adaptive run meets its tolerance with no step that advances the time.
    #[error(
        "row {row} needs a step below {step:e} at time {time}: allow a larger tolerance, or end at a later time"
    )]
    StepTooSmall {
        /// Number of the row in its batch.
        row: usize,
        /// The smallest step tried.
        step: f64,
        /// Where it was tried.
        time: f64,
    },
    /// The next state of an adaptive run is not finite, however small the step.
    #[error(
        "step {step} of row {row} is not finite, however small: check the process at time {time},          or the weights of the network"
    )]
    NotFinite {
        /// Number of the row in its batch.
        row: usize,
        /// Number of the step, from 1.
        step: usize,
        /// Where the step starts.
        time: f64,
    },
}

/// Fails unless a setting is `valid`.
pub(crate) fn require(
    name: &'static str,
    found: f64,
    valid: bool,
    expected: &'static str,
) -> Result<(), SolveError> {
    if valid {
        return Ok(());
    }
    Err(SolveError::Parameter {
        name,
        expected,
        found,
    })
}
