//! Chains with all that is wanted of them, and what a run gives.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::Rng;

use super::{
    ACCEPTANCE, ChainConfig, ChainEvent, DRAWS, ENERGY, Statistics, Trace,
    checkpoint::{Identity, Place, fingerprint},
    function::Function,
    report::Settings,
    session::Session,
    store::Stored,
    traces::Direction,
};
use crate::{ChainError, MarkovKernel, error::require};

/// Names that a run gives itself; that of the draws first.
const RESERVED: &[&str] = &[DRAWS, ENERGY, ACCEPTANCE];

/// Markov chains of one kernel, and what is wanted of them beside the statistics of their draws.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{ChainConfig, ChainEvent, Chains, Ula};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Ula::new(Tikhonov::pixels(4.0)?, 0.1)?;
/// let chains = Chains::new(kernel, ChainConfig::default())?
///     .with_function("square", |x| x.square())?
///     .with_direction("average", Tensor::full([1, 1, 2, 2], 0.25, &device))?;
/// let mut draws = 0;
/// let start = Tensor::<4>::zeros([3, 1, 2, 2], &device);
/// let run = chains.run(start, &mut Rng::seeded(0, &device), |event| {
///     if let ChainEvent::Draw { .. } = event {
///         draws += 1;
///     }
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(draws, 800);
/// assert_eq!(run.functions[0].0, "square");
/// assert_eq!(run.traces[0].chains[2].len(), 800);
/// # Ok(())
/// # }
/// ```
pub struct Chains<'a, K, const D: usize = 4> {
    pub(super) kernel: K,
    pub(super) config: ChainConfig,
    pub(super) functions: Vec<Function<'a, D>>,
    pub(super) directions: Vec<Direction<D>>,
    pub(super) store: Option<PathBuf>,
    pub(super) checkpoint: Option<Place>,
    target: String,
}

impl<'a, K: MarkovKernel<D>, const D: usize> Chains<'a, K, D> {
    /// Chains of `kernel`.
    ///
    /// # Errors
    /// For a setting out of its range.
    pub fn new(kernel: K, config: ChainConfig) -> Result<Self, ChainError> {
        config.check()?;
        Ok(Self {
            kernel,
            config,
            functions: Vec::new(),
            directions: Vec::new(),
            store: None,
            checkpoint: None,
            target: String::new(),
        })
    }

    /// With the statistics of `g(x)` also; `g` takes draws `[chains, ...]` and gives one row for each.
    ///
    /// # Errors
    /// For a name that is taken, or none.
    pub fn with_function(
        mut self,
        name: impl Into<String>,
        g: impl Fn(Tensor<D>) -> Tensor<D> + 'a,
    ) -> Result<Self, ChainError> {
        let name = self.named(name.into())?;
        self.functions.push(Function {
            name,
            function: Box::new(g),
        });
        Ok(self)
    }

    /// With a trace of the inner product of each draw with `direction`, `[1, ...]`.
    ///
    /// # Errors
    /// For a name that is taken, or none.
    pub fn with_direction(
        mut self,
        name: impl Into<String>,
        direction: Tensor<D>,
    ) -> Result<Self, ChainError> {
        let name = self.named(name.into())?;
        self.directions.push(Direction { name, direction });
        Ok(self)
    }

    /// With all draws in a file: a NumPy array `(draw, chain, ...)`, which can be read while it grows. A new run replaces
    /// what is there.
    pub fn with_store(self, path: impl Into<PathBuf>) -> Self {
        Self {
            store: Some(path.into()),
            ..self
        }
    }

    /// With a checkpoint at `path`, written each `every` iterations and at the end of the run, from which
    /// [`resume`](Self::resume) goes on. A new run replaces what is there.
    ///
    /// `target` says of what the draws are, in words of the caller: the measurement, the operator, the prior and its
    /// weights. The kernel knows its own settings only, and a checkpoint of another target is refused.
    ///
    /// # Errors
    /// Unless `every` is at least 1.
    pub fn with_checkpoint(
        self,
        path: impl Into<PathBuf>,
        every: usize,
        target: impl Into<String>,
    ) -> Result<Self, ChainError> {
        require("every", every as f64, every > 0, "at least 1")?;
        Ok(Self {
            checkpoint: Some(Place {
                path: path.into(),
                every,
            }),
            target: target.into(),
            ..self
        })
    }

    fn named(&self, name: String) -> Result<String, ChainError> {
        let functions = self.functions.iter().map(|function| &function.name);
        let directions = self.directions.iter().map(|direction| &direction.name);
        let taken = functions.chain(directions).any(|taken| *taken == name);
        if name.is_empty() || taken || RESERVED.contains(&name.as_str()) {
            return Err(ChainError::Name {
                name,
                reserved: RESERVED,
            });
        }
        Ok(name)
    }

    /// Runs the chains from `start`, `[chains, ...]`, and tells `observe` of it, which may end the run by
    /// [`ControlFlow::Break`].
    ///
    /// Whether states are finite is read back with each draw, before it is counted, and at each check: one number a chain.
    ///
    /// # Errors
    /// For a start that is empty or not finite; for clipping with a kernel that refuses it; when a state is not finite, with
    /// the statistics of the draws before it.
    pub fn run(
        &self,
        start: Tensor<D>,
        rng: &mut Rng,
        mut observe: impl FnMut(ChainEvent<'_, D>) -> ControlFlow<()>,
    ) -> Result<ChainRun<D>, ChainFailure<D>> {
        let session = Session::begin(self, start, rng)?;
        session.drive(rng, &mut observe)
    }

    /// Goes on where the checkpoint stands of a run that began with the same `start` and `rng`, as if that had never been
    /// interrupted: state, statistics, traces and draws are the same bit for bit on one device, and `rng` is where it would
    /// be.
    ///
    /// Everything must be as it was but the number of iterations, which may be larger or smaller. Draws behind the
    /// checkpoint in the file of the run are written again.
    ///
    /// # Errors
    /// As [`run`](Self::run); without a checkpoint, for one of another run or of more iterations than are asked for, and for
    /// a file that is damaged.
    pub fn resume(
        &self,
        start: &Tensor<D>,
        rng: &mut Rng,
        mut observe: impl FnMut(ChainEvent<'_, D>) -> ControlFlow<()>,
    ) -> Result<ChainRun<D>, ChainFailure<D>> {
        let session = Session::resume(self, start, rng)?;
        session.drive(rng, &mut observe)
    }

    /// All that decides what a run from here computes, but its length.
    pub(super) fn identity(&self, start: &Tensor<D>, rng: &Rng) -> Identity {
        let endless = ChainConfig {
            iterations: 0,
            ..self.config.clone()
        };
        let print = fingerprint;
        let functions = self.functions.iter().map(|function| &function.name);
        let directions = self.directions.iter();
        let directions = directions.map(|named| (&named.name, print(&named.direction)));
        let parts = [
            ("kernel", self.kernel.describe()),
            ("target", self.target.clone()),
            ("configuration", format!("{endless:?}")),
            ("randomness", format!("{:?}", rng.position())),
            ("start", print(start)),
            ("functions", format!("{:?}", functions.collect::<Vec<_>>())),
            (
                "directions",
                format!("{:?}", directions.collect::<Vec<_>>()),
            ),
            ("file of draws", format!("{:?}", self.store.is_some())),
        ];
        Identity(parts.map(|(part, text)| (part.to_owned(), text)).into())
    }
}

/// Runs chains of `kernel` from `start`, `[chains, ...]`: [`Chains::run`] for statistics of the draws alone.
///
/// # Errors
/// As [`Chains::new`] and [`Chains::run`].
pub fn sample_chains<K: MarkovKernel<D>, const D: usize>(
    kernel: K,
    start: Tensor<D>,
    config: &ChainConfig,
    rng: &mut Rng,
    observe: impl FnMut(ChainEvent<'_, D>) -> ControlFlow<()>,
) -> Result<ChainRun<D>, ChainFailure<D>> {
    Chains::new(kernel, config.clone())?.run(start, rng, observe)
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All iterations were done.
    Completed,
    /// The stop rule held before.
    Stopped,
    /// The observer asked for it.
    Interrupted,
    /// Something went wrong.
    Failed,
}

/// What a run gives.
#[derive(Clone, Debug)]
pub struct ChainRun<const D: usize = 4> {
    /// Why it ended.
    pub outcome: Outcome,
    /// Iterations done, the burn-in included.
    pub iterations: usize,
    /// Draws of each chain.
    pub draws: usize,
    /// Statistics of the draws; none unless there was one.
    pub statistics: Option<Statistics<D>>,
    /// Statistics of the functions, by name; empty unless there was a draw.
    pub functions: Vec<(String, Statistics<D>)>,
    /// Traces: first those of the directions.
    pub traces: Vec<Trace>,
    /// The first draws, as many as were to be kept, `[chains, ...]` each.
    pub kept: Vec<Tensor<D>>,
    /// Where the chains are, `[chains, ...]`.
    pub position: Tensor<D>,
    pub(super) settings: Settings,
    /// The file of draws.
    pub(super) stored: Option<Stored>,
}

impl<const D: usize> ChainRun<D> {
    /// The file in which all draws are; none unless it was asked for.
    pub fn store(&self) -> Option<&Path> {
        self.stored.as_ref().map(Stored::path)
    }
}

/// Why a run has not come to its end, and what there is of it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ChainFailure<const D: usize = 4> {
    /// What went wrong.
    pub error: ChainError,
    /// The run up to then: its statistics have counted finite draws alone. None if it had not begun.
    pub partial: Option<Box<ChainRun<D>>>,
}

impl<const D: usize> From<ChainError> for ChainFailure<D> {
    fn from(error: ChainError) -> Self {
        Self {
            error,
            partial: None,
        }
    }
}
