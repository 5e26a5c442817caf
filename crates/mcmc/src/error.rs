//! What can go wrong with a chain.

use std::{io, path::PathBuf};

use burn::tensor::TensorReadError;
use tweedie_metrics::RecordError;
use tweedie_physics::PhysicsError;

/// Why there are no draws.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A setting is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// A step size was to be computed from Lipschitz constants that are not all known.
    #[error(
        "the step size cannot be computed, since a Lipschitz constant of the gradient is not known: give a step size, \
         or the norm of the operator and a smooth prior"
    )]
    NoBound,
    /// A preconditioner that is not positive.
    #[error("entry {index} of the preconditioner must be finite and above 0, found {found}")]
    Preconditioner {
        /// Its index, in row-major order.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// An annealing over nothing.
    #[error("an annealing needs at least one noise level, found none")]
    NoLevels,
    /// A tensor that its device does not give back.
    #[error(transparent)]
    ReadBack(#[from] TensorReadError),
    /// A run so short that no state is a draw.
    #[error(
        "burn_in + thinning must be at most iterations, found burn_in {burn_in}, thinning {thinning}, iterations \
         {iterations}: no state would be a draw"
    )]
    NoDraws {
        /// Iterations in all.
        iterations: usize,
        /// Those that are burn-in.
        burn_in: usize,
        /// Iterations from a draw to the next.
        thinning: usize,
    },
    /// A box without inside.
    #[error("clip must be [low, high] with low below high, found [{low}, {high}]")]
    EmptyBox {
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// A stop rule that asks for nothing.
    #[error("stop must have min_ess or max_rhat, found neither")]
    EmptyStopRule,
    /// Clipping of a kernel whose law it would spoil.
    #[error(
        "states cannot be clipped for the kernel {kernel:?}, whose Metropolis test that would spoil: clip must be none"
    )]
    NoClipping {
        /// The kernel.
        kernel: String,
    },
    /// A measurement that is not of the operator.
    #[error(
        "the measurement has the shape {found:?}, expected {expected:?} for images of the shape asked for"
    )]
    MeasurementShape {
        /// Its shape.
        found: Vec<usize>,
        /// That which the operator would give.
        expected: Vec<usize>,
    },
    /// An operator that does not fit the images.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
    /// Some images to start at, of which it is not clear which chain is to start where.
    #[error("found {found} images to start at, expected 1, or {chains}: one for each chain")]
    StartCount {
        /// How many there are.
        found: usize,
        /// How many chains there are.
        chains: usize,
    },
    /// No pixels to start at.
    #[error("the start must have chains and pixels, found the shape {found:?}")]
    EmptyStart {
        /// The shape of the start.
        found: Vec<usize>,
    },
    /// A start that is none.
    #[error("the start of chain {chain} is not finite")]
    StartNotFinite {
        /// The chain, from 0.
        chain: usize,
    },
    /// A function or a direction without a name of its own.
    #[error(
        "{name:?} must be a name of its own: not empty, not that of another function or direction, and none of {reserved:?}"
    )]
    Name {
        /// What it is called.
        name: String,
        /// What the run calls its own.
        reserved: &'static [&'static str],
    },
    /// A direction of another shape than that of an image.
    #[error("the direction {name:?} has the shape {found:?}, expected {expected:?}")]
    DirectionShape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape of one chain.
        expected: Vec<usize>,
    },
    /// A function of the draws that does not keep chains apart.
    #[error(
        "the function {name:?} gives the shape {found:?}, expected {chains} rows: one for each chain"
    )]
    FunctionShape {
        /// Its name.
        name: String,
        /// The shape of its values.
        found: Vec<usize>,
        /// How many chains there are.
        chains: usize,
    },
    /// A chain that left the numbers.
    #[error(
        "chain {chain} is not finite after iteration {iteration} of {iterations}: a smaller step may keep it finite"
    )]
    Diverged {
        /// The first iteration after which it was not finite, from 1.
        iteration: usize,
        /// How many there were to be.
        iterations: usize,
        /// The chain, from 0.
        chain: usize,
    },
    /// A function that left the numbers.
    #[error(
        "the function {name:?} of the draw of chain {chain} at iteration {iteration} is not finite"
    )]
    FunctionNotFinite {
        /// Its name.
        name: String,
        /// The iteration, from 1.
        iteration: usize,
        /// The chain, from 0.
        chain: usize,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something to resume without a place to resume from.
    #[error("a run can be resumed only with a checkpoint: it has none")]
    NoCheckpoint,
    /// A file that is no checkpoint of chains.
    #[error("{path} is no checkpoint of chains: it does not begin as one")]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint of another version of the program.
    #[error("{path} is a checkpoint of format {found}, expected {expected}")]
    CheckpointFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        expected: u32,
    },
    /// A checkpoint whose bytes are not those that were written.
    #[error("the checkpoint {path} is damaged: its digest is {found}, expected {expected}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The SHA-256 digest of its contents.
        found: String,
        /// The one that was written.
        expected: String,
    },
    /// A checkpoint whose contents cannot be understood.
    #[error("the checkpoint {path} cannot be understood: {source}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rmp_serde::decode::Error,
    },
    /// A checkpoint with statistics that are none.
    #[error("the statistics of the checkpoint {path} cannot be taken up: {source}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// A checkpoint whose contents contradict themselves, or the kernel.
    #[error("the checkpoint {path} does not fit its run: {what}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// A checkpoint of another run.
    #[error(transparent)]
    OtherRun(Box<OtherRun>),
    /// A run that is to end before it was interrupted.
    #[error("{path} was written after iteration {done}, but the run is to end after {iterations}")]
    AlreadyBeyond {
        /// The checkpoint.
        path: PathBuf,
        /// Iterations done.
        done: usize,
        /// Iterations asked for.
        iterations: usize,
    },
    /// A file of draws that is not the one that a run had written.
    #[error("the draws in {path} cannot be continued: found {found}, expected {expected}")]
    OtherDraws {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
}

/// A checkpoint of another run, and in what it differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} is the checkpoint of another run, {found_hash}, expected {expected_hash}: its {part} is {found}, expected \
     {expected}"
)]
pub struct OtherRun {
    /// The file.
    pub path: PathBuf,
    /// The hash of the run that wrote it.
    pub found_hash: String,
    /// The hash of this run.
    pub expected_hash: String,
    /// The first thing in which they differ.
    pub part: String,
    /// What it was.
    pub found: String,
    /// What it is now.
    pub expected: String,
}

pub(crate) fn require(
    name: &'static str,
    found: f64,
    valid: bool,
    expected: &'static str,
) -> Result<(), ChainError> {
    if valid {
        return Ok(());
    }
    Err(ChainError::OutOfRange {
        name,
        expected,
        found,
    })
}

pub(crate) fn require_positive(name: &'static str, found: f64) -> Result<(), ChainError> {
    let valid = found > 0.0 && found.is_finite();
    require(name, found, valid, "finite and above 0")
}
