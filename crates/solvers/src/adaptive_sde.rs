//! Adaptive reverse SDE: Euler-Maruyama and improved Euler as a pair, with steps as long as a tolerance allows.
//!
//! `x' = x + h b(x, t) + g(t) dw`, `x~ = x + h b(x', s) + g(s) dw`, `x'' = (x' + x~)/2`, `h = s - t`;
//! `E^2 = mean(((x' - x'')/max(absolute, relative max(|x'|, |x'_prev|)))^2)`, kept if `E <= 1`; next step `0.9 E^-0.9 h`
//!
//! Jolicoeur-Martineau et al. 2021, algorithm 1, <https://arxiv.org/abs/2105.14080>, with `x''` as the new state. The paper
//! draws fresh noise after a rejection: steps whose noise is small are kept more often than others, and the path they make is
//! not Brownian. Here a rejected increment is split by the Brownian bridge and its rest kept for later steps (Rackauckas &
//! Nie 2017, RSwM3, <https://doi.org/10.3934/dcdsb.2017133>). A step also shrinks and grows at most by factors 0.2 and 5. Strong
//! order 1 at fixed steps. Two evaluations per attempted step, one for the attempt after a rejection. Needs an `Sde`. Each row
//! of the batch runs alone, with its own steps, and each attempt reads one number back.

use burn::tensor::Tensor;
use tweedie_core::{Rng, RngRow, Span, combine};
use tweedie_sde::Sde;

use crate::{
    Adaptive, Attempt, SolveError, StepControl,
    adaptive::{Pair, Tried, norm, require_span, rows, walk},
    bridge::{Ahead, Piece, total},
};

/// The adaptive solver for stochastic equations.
///
/// A pixel's error is measured in units of `max(absolute, relative max(|x'|, |x'_prev|))`. The paper takes `absolute = 1/256`
/// for images in [0, 1] and `relative` from 0.01 to 0.05.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, Span, VariancePreserving};
/// use tweedie_sde::{Reverse, pure_noise};
/// use tweedie_solvers::{AdaptiveSde, StepControl};
///
/// let device = Device::flex();
/// let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
/// let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let mut rng = Rng::seeded(0, &device);
/// let start = pure_noise(&schedule, [2, 1, 8, 8], 1.0, &mut rng);
/// let process = Reverse::sde(schedule, prior);
/// let solver = AdaptiveSde::new(StepControl::new(1.0 / 256.0, 0.05, 1000)?);
/// let end = solver.integrate(&process, start, Span { from: 1.0, to: 1e-3 }, &mut rng, |_| ())?;
/// assert_eq!(end.rows.len(), 2);
/// # Ok::<(), tweedie_solvers::SolveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveSde {
    control: StepControl,
}

impl AdaptiveSde {
    /// The method at a given accuracy.
    pub fn new(control: StepControl) -> Self {
        Self { control }
    }

    /// The states at `span.to`, where the process must have a score, given those at `span.from`. Row `i` draws from row `i` of
    /// `rng`. `observe` sees each attempted step of each row.
    ///
    /// # Errors
    /// [`SolveError::OutsideHorizon`], [`Parameter`](SolveError::Parameter) or [`Undefined`](SolveError::Undefined) for a span
    /// that cannot be run, [`TooManySteps`](SolveError::TooManySteps), [`StepTooSmall`](SolveError::StepTooSmall) or
    /// [`NotFinite`](SolveError::NotFinite) for a row that does not get there.
    ///
    /// # Panics
    /// If `start` has no rows.
    pub fn integrate<P: Sde<D> + ?Sized, const D: usize>(
        &self,
        process: &P,
        start: Tensor<D>,
        span: Span,
        rng: &mut Rng,
        mut observe: impl FnMut(Attempt<'_, D>),
    ) -> Result<Adaptive<D>, SolveError> {
        require_span(process, span)?;
        let run = |(row, start): (usize, Tensor<D>)| {
            let mut pair = Improved {
                process,
                control: self.control,
                noise: rng.row(row),
                ahead: Ahead::new(),
                taken: Vec::new(),
                slope: None,
                previous: start.clone(),
                predicted: start.clone(),
                evaluations: 0,
            };
            walk(&mut pair, self.control, (row, start), span, &mut observe)
        };
        let rows: Result<_, _> = rows(start).enumerate().map(run).collect();
        rows.map(Adaptive::gather)
    }
}

struct Improved<'a, P: ?Sized, const D: usize> {
    process: &'a P,
    control: StepControl,
    noise: RngRow<'a>,
    ahead: Ahead<D>,
    /// The noise of the step under trial.
    taken: Vec<Piece<D>>,
    /// The drift where that step starts.
    slope: Option<Tensor<D>>,
    /// The Euler-Maruyama state of the last step that was kept, and of the one under trial.
    previous: Tensor<D>,
    predicted: Tensor<D>,
    evaluations: usize,
}

impl<P: Sde<D> + ?Sized, const D: usize> Improved<'_, P, D> {
    fn slope(&mut self, x: &Tensor<D>, time: f64) -> Tensor<D> {
        self.evaluations += 1;
        self.process.drift(x.clone(), time)
    }
}

impl<P: Sde<D> + ?Sized, const D: usize> Pair<D> for Improved<'_, P, D> {
    const EXPONENT: f64 = 0.9;

    fn attempt(&mut self, x: &Tensor<D>, span: Span) -> Result<Tried<D>, SolveError> {
        let h = span.step();
        let g = [span.from, span.to].map(|time| self.process.diffusion(time));
        self.taken = self.ahead.take(x.dims(), span, &mut self.noise);
        let dw = total(&self.taken);
        let first = match self.slope.take() {
            Some(slope) => slope,
            None => self.slope(x, span.from),
        };
        self.predicted = combine([(1.0, x.clone()), (h, first.clone()), (g[0], dw.clone())]);
        let predicted = self.predicted.clone();
        let second = self.slope(&predicted, span.to);
        let error = combine([
            (0.5 * h, second),
            (-0.5 * h, first.clone()),
            (0.5 * (g[1] - g[0]), dw),
        ]);
        self.slope = Some(first);
        let size = predicted
            .clone()
            .abs()
            .max_pair(self.previous.clone().abs());
        let scale = size
            .mul_scalar(self.control.relative)
            .clamp_min(self.control.absolute);
        Ok(Tried {
            state: combine([(1.0, predicted), (1.0, error.clone())]),
            error: norm(error, scale),
        })
    }

    fn settle(&mut self, accepted: bool) {
        let taken = std::mem::take(&mut self.taken);
        if accepted {
            self.slope = None;
            self.previous = self.predicted.clone();
        } else {
            self.ahead.give_back(taken);
        }
    }

    fn evaluations(&self) -> usize {
        self.evaluations
    }
}
