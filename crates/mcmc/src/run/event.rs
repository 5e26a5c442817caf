//! What the caller of a run is told.

use std::path::Path;

use burn::tensor::Tensor;

use crate::StepSize;

/// Whether draws are counted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The kernel may adapt, and no state is a draw.
    BurnIn,
    /// Draws are counted.
    Sampling,
}

/// What the caller of a run is told, in the order in which it happens.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChainEvent<'a, const D: usize = 4> {
    /// The kernel's step is above what its theory admits; before the first iteration.
    StepAboveBound(StepSize),
    /// The run goes on from a checkpoint.
    Resumed {
        /// How many iterations it had done.
        iteration: usize,
    },
    /// A draw of each chain was counted.
    Draw {
        /// Its number, from 0.
        index: usize,
        /// The draws, `[chains, ...]`.
        draws: &'a Tensor<D>,
    },
    /// An iteration was done.
    Iteration {
        /// Its number, from 1.
        iteration: usize,
        /// How many there are to be.
        iterations: usize,
        /// Whether it belonged to the burn-in.
        phase: Phase,
    },
    /// The chains were checked, after the burn-in.
    Check {
        /// The number of the iteration before it.
        iteration: usize,
        /// The smallest effective sample size of a pixel so far, of all chains together; none while too few draws were
        /// counted.
        ess: Option<f64>,
        /// The largest split R-hat of a pixel so far; none while too few draws were counted.
        rhat: Option<f64>,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The number of the iteration before it.
        iteration: usize,
        /// Its file.
        path: &'a Path,
    },
}
