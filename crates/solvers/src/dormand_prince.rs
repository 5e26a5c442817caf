//! Dormand-Prince 5(4): the flow at a given accuracy, with as many steps as that takes.
//!
//! `k_i = b(x + h sum_j a_ij k_j, t + c_i h)`, `x_s = x + h sum_i b_i k_i`, error `h sum_i (b_i - b^_i) k_i`
//!
//! Dormand & Prince 1980, table 2, <https://doi.org/10.1016/0771-050X%2880%2990013-3>, with the step size control of Hairer,
//! Nørsett & Wanner 1993, section II.4, <https://doi.org/10.1007/978-3-540-78862-1>. Order 5, needs an `Sde` without noise. Six
//! evaluations per attempted step, and one at the start: the last stage of a step is the first of the next. Each row of the
//! batch runs alone, with its own steps, and each attempt reads one number back.

use burn::tensor::Tensor;
use tweedie_core::{Span, combine};
use tweedie_sde::Sde;

use crate::{
    Adaptive, Attempt, SolveError, StepControl,
    adaptive::{Pair, Tried, norm, require_span, rows, walk},
};

/// Where the stages stand, after the first.
const NODES: [f64; 6] = [1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];

/// Weights of the earlier stages in each stage after the first; the last row is the step itself.
const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19372.0 / 6561.0,
        -25360.0 / 2187.0,
        64448.0 / 6561.0,
        -212.0 / 729.0,
    ],
    &[
        9017.0 / 3168.0,
        -355.0 / 33.0,
        46732.0 / 5247.0,
        49.0 / 176.0,
        -5103.0 / 18656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
    ],
];

/// Weights of the step less those of the embedded one of order 4.
const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// The adaptive pair of Dormand and Prince, for the probability-flow equation.
///
/// A pixel's error is measured in units of `absolute + relative max(|x|, |x_next|)`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, Span, VariancePreserving};
/// use tweedie_sde::{Reverse, pure_noise};
/// use tweedie_solvers::{DormandPrince, StepControl};
///
/// let device = Device::flex();
/// let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
/// let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let start = pure_noise(&schedule, [2, 1, 8, 8], 1.0, &mut Rng::seeded(0, &device));
/// let process = Reverse::flow(schedule, prior);
/// let solver = DormandPrince::new(StepControl::new(1e-3, 1e-3, 1000)?);
/// let end = solver.integrate(&process, start, Span { from: 1.0, to: 1e-3 }, |_| ())?;
/// assert_eq!(end.state.dims(), [2, 1, 8, 8]);
/// assert!(end.rows[1].evaluations < 200);
/// # Ok::<(), tweedie_solvers::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DormandPrince {
    control: StepControl,
}

impl DormandPrince {
    /// The method at a given accuracy.
    pub fn new(control: StepControl) -> Self {
        Self { control }
    }

    /// The states at `span.to`, where the process must have a score, given those at `span.from`. `observe` sees each attempted
    /// step of each row.
    ///
    /// # Errors
    /// [`SolveError::OutsideHorizon`], [`Parameter`](SolveError::Parameter) or [`Undefined`](SolveError::Undefined) for a span
    /// that cannot be run, [`Stochastic`](SolveError::Stochastic) for a process with noise,
    /// [`TooManySteps`](SolveError::TooManySteps), [`StepTooSmall`](SolveError::StepTooSmall) or
    /// [`NotFinite`](SolveError::NotFinite) for a row that does not get there.
    ///
    /// # Panics
    /// If `start` has no rows.
    pub fn integrate<P: Sde<D> + ?Sized, const D: usize>(
        &self,
        process: &P,
        start: Tensor<D>,
        span: Span,
        mut observe: impl FnMut(Attempt<'_, D>),
    ) -> Result<Adaptive<D>, SolveError> {
        require_span(process, span)?;
        let run = |row| {
            let mut pair = Stages {
                process,
                control: self.control,
                first: None,
                last: None,
                evaluations: 0,
            };
            walk(&mut pair, self.control, row, span, &mut observe)
        };
        let rows: Result<_, _> = rows(start).enumerate().map(run).collect();
        rows.map(Adaptive::gather)
    }
}

struct Stages<'a, P: ?Sized, const D: usize> {
    process: &'a P,
    control: StepControl,
    /// The slope where the step starts, and the one where it ends.
    first: Option<Tensor<D>>,
    last: Option<Tensor<D>>,
    evaluations: usize,
}

impl<P: Sde<D> + ?Sized, const D: usize> Stages<'_, P, D> {
    fn slope(&mut self, x: Tensor<D>, time: f64) -> Result<Tensor<D>, SolveError> {
        let diffusion = self.process.diffusion(time);
        if diffusion != 0.0 {
            return Err(SolveError::Stochastic { diffusion, time });
        }
        self.evaluations += 1;
        Ok(self.process.drift(x, time))
    }
}

/// `sum + h sum_i w_i k_i`.
fn add<const D: usize>(sum: Tensor<D>, h: f64, weights: &[f64], slopes: &[Tensor<D>]) -> Tensor<D> {
    weights
        .iter()
        .zip(slopes)
        .fold(sum, |sum, (weight, slope)| {
            combine([(1.0, sum), (h * weight, slope.clone())])
        })
}

impl<P: Sde<D> + ?Sized, const D: usize> Pair<D> for Stages<'_, P, D> {
    const EXPONENT: f64 = 0.2;

    fn attempt(&mut self, x: &Tensor<D>, span: Span) -> Result<Tried<D>, SolveError> {
        let h = span.step();
        let first = match self.first.take() {
            Some(slope) => slope,
            None => self.slope(x.clone(), span.from)?,
        };
        let mut slopes = vec![first.clone()];
        let mut state = x.clone();
        for (weights, node) in STAGES.into_iter().zip(NODES) {
            state = add(x.clone(), h, weights, &slopes);
            let time = if node == 1.0 {
                span.to
            } else {
                span.from + node * h
            };
            slopes.push(self.slope(state.clone(), time)?);
        }
        let lead = combine([(h * ERROR[0], first.clone())]);
        let error = add(lead, h, &ERROR[1..], &slopes[1..]);
        let size = x.clone().abs().max_pair(state.clone().abs());
        let scale = size
            .mul_scalar(self.control.relative)
            .add_scalar(self.control.absolute);
        self.first = Some(first);
        self.last = slopes.pop();
        Ok(Tried {
            state,
            error: norm(error, scale),
        })
    }

    fn settle(&mut self, accepted: bool) {
        if accepted {
            self.first = self.last.take();
        }
    }

    fn evaluations(&self) -> usize {
        self.evaluations
    }
}
