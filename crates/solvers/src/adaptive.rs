//! Steps chosen by an estimate of their error: what the adaptive methods share.
//!
//! A row's result may not depend on the rows beside it, so each row of the batch chooses its own steps and runs alone, as a
//! batch of one: the cost is that of the rows one after the other. Each attempted step reads one number back from the device,
//! the error norm that decides on it.
//!
//! Hairer, Nørsett & Wanner 1993, section II.4, <https://doi.org/10.1007/978-3-540-78862-1>.

use burn::tensor::Tensor;
use tweedie_core::Span;
use tweedie_sde::Process;

use crate::{SolveError, error::require, integrate::require_within};

/// The first step, unless one is given: this share of the whole interval.
const FIRST_SHARE: f64 = 0.01;
/// A step within this factor of the end goes there, so that no sliver is left.
const STRETCH: f64 = 1.01;
/// From one step to the next it shrinks and grows by these factors at most.
const FACTORS: (f64, f64) = (0.2, 5.0);
/// A step is never shorter than so many rounding errors of the time.
const SHORTEST: f64 = 16.0 * f64::EPSILON;

/// How accurate an adaptive run is, and when it gives up.
///
/// ```
/// use tweedie_solvers::StepControl;
///
/// let control = StepControl::new(1e-3, 1e-3, 1000)?.starting_with(0.1)?;
/// # Ok::<(), tweedie_solvers::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepControl {
    pub(crate) absolute: f64,
    pub(crate) relative: f64,
    max_steps: usize,
    first_step: Option<f64>,
}

impl StepControl {
    /// The error of one step, as a root mean square over the row, is held below `absolute`, in units of the state `x_t`,
    /// together with `relative` times the size of the state; a method says how the two join. A row takes at most
    /// `max_steps` steps, rejected ones included.
    ///
    /// # Errors
    /// Unless `absolute > 0` and `relative >= 0`, both finite, and `max_steps > 0`.
    pub fn new(absolute: f64, relative: f64, max_steps: usize) -> Result<Self, SolveError> {
        let (positive, at_least_0) = ("finite and above 0", "finite and at least 0");
        require(
            "absolute tolerance",
            absolute,
            absolute > 0.0 && absolute.is_finite(),
            positive,
        )?;
        require(
            "relative tolerance",
            relative,
            relative >= 0.0 && relative.is_finite(),
            at_least_0,
        )?;
        require("max_steps", max_steps as f64, max_steps > 0, "above 0")?;
        Ok(Self {
            absolute,
            relative,
            max_steps,
            first_step: None,
        })
    }

    /// The length of time that the first step tries, instead of a hundredth of the whole.
    ///
    /// # Errors
    /// Unless it is finite and above 0.
    pub fn starting_with(self, first_step: f64) -> Result<Self, SolveError> {
        let valid = first_step > 0.0 && first_step.is_finite();
        require("first_step", first_step, valid, "finite and above 0")?;
        Ok(Self {
            first_step: Some(first_step),
            ..self
        })
    }
}

/// The end of an adaptive run.
#[derive(Clone, Debug)]
pub struct Adaptive<const D: usize = 4> {
    /// The states at the end, all rows.
    pub state: Tensor<D>,
    /// What each row took.
    pub rows: Vec<RowStats>,
}

impl<const D: usize> Adaptive<D> {
    pub(crate) fn gather(rows: Vec<(Tensor<D>, RowStats)>) -> Self {
        let (states, rows) = rows.into_iter().unzip();
        Self {
            state: Tensor::cat(states, 0),
            rows,
        }
    }
}

/// The work that one row took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowStats {
    /// Steps that were kept.
    pub accepted: usize,
    /// Steps that were tried and thrown away.
    pub rejected: usize,
    /// Evaluations of the drift.
    pub evaluations: usize,
}

/// What an observer of an adaptive run sees after each attempted step.
#[derive(Debug)]
pub struct Attempt<'a, const D: usize = 4> {
    /// Number of the row in its batch.
    pub row: usize,
    /// Where the step goes.
    pub span: Span,
    /// Its error in units of the tolerance.
    pub error: f64,
    /// Whether it is kept: `error <= 1`.
    pub accepted: bool,
    /// The state at its end, `[1, ...]`.
    pub state: &'a Tensor<D>,
}

/// The rows of a batch, each as a batch of one.
pub(crate) fn rows<const D: usize>(batch: Tensor<D>) -> impl Iterator<Item = Tensor<D>> {
    let count = batch.dims()[0];
    (0..count).map(move |row| batch.clone().narrow(0, row, 1))
}

/// Root mean square of `error / scale`.
pub(crate) fn norm<const D: usize>(error: Tensor<D>, scale: Tensor<D>) -> f64 {
    (error / scale).square().mean().sqrt().into_scalar::<f64>()
}

/// Fails unless a run may go from one end of `span` to the other.
pub(crate) fn require_span<P: Process + ?Sized>(process: &P, span: Span) -> Result<(), SolveError> {
    require_within(process, span.from)?;
    require("from", span.from, span.from.is_finite(), "finite")?;
    let ordered = span.to >= 0.0 && span.to < span.from;
    require("to", span.to, ordered, "at least 0 and below the start")?;
    match [span.from, span.to]
        .into_iter()
        .find(|t| !process.is_defined_at(*t))
    {
        Some(time) => Err(SolveError::Undefined { time }),
        None => Ok(()),
    }
}

/// Two solutions of one step: the better one, and its distance to the other in units of the tolerance.
pub(crate) struct Tried<const D: usize> {
    pub(crate) state: Tensor<D>,
    pub(crate) error: f64,
}

/// An embedded pair on one row.
pub(crate) trait Pair<const D: usize> {
    /// A step of length `h` is followed by one of `0.9 error^-exponent h`.
    const EXPONENT: f64;

    /// Tries a step from `x`.
    fn attempt(&mut self, x: &Tensor<D>, span: Span) -> Result<Tried<D>, SolveError>;

    /// Takes note of whether the step was kept.
    fn settle(&mut self, accepted: bool);

    /// Evaluations of the drift so far.
    fn evaluations(&self) -> usize;
}

/// Runs one row over `span`.
pub(crate) fn walk<Q: Pair<D>, const D: usize>(
    pair: &mut Q,
    control: StepControl,
    (row, start): (usize, Tensor<D>),
    span: Span,
    observe: &mut impl FnMut(Attempt<'_, D>),
) -> Result<(Tensor<D>, RowStats), SolveError> {
    let mut stats = RowStats::default();
    let (mut state, mut time) = (start, span.from);
    let mut step = control.first_step.unwrap_or(-FIRST_SHARE * span.step());
    let (mut growth, mut finite) = (FACTORS.1, true);
    while time > span.to {
        if stats.accepted + stats.rejected == control.max_steps {
            return Err(SolveError::TooManySteps {
                row,
                max_steps: control.max_steps,
                time,
            });
        }
        if step <= SHORTEST * span.from {
            return Err(match finite {
                true => SolveError::StepTooSmall { row, step, time },
                false => SolveError::NotFinite {
                    row,
                    step: stats.accepted + 1,
                    time,
                },
            });
        }
        let ends = STRETCH * step >= time - span.to;
        let tried = Span {
            from: time,
            to: if ends { span.to } else { time - step },
        };
        let Tried {
            state: ahead,
            error,
        } = pair.attempt(&state, tried)?;
        let accepted = error <= 1.0;
        observe(Attempt {
            row,
            span: tried,
            error,
            accepted,
            state: &ahead,
        });
        pair.settle(accepted);
        finite = error.is_finite();
        // What is not finite shrinks the step as far as it may shrink.
        let wanted = if finite {
            0.9 * error.powf(-Q::EXPONENT)
        } else {
            0.0
        };
        step = -tried.step() * wanted.clamp(FACTORS.0, growth);
        if accepted {
            (state, time, growth) = (ahead, tried.to, FACTORS.1);
            stats.accepted += 1;
        } else {
            growth = 1.0;
            stats.rejected += 1;
        }
    }
    stats.evaluations = pair.evaluations();
    Ok((state, stats))
}
