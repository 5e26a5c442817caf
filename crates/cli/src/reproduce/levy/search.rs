//! Draws of a method, and the setting with which they restore validation signals best.

use tweedie::{burn::tensor::Tensor, metrics::mse, samplers::SampleError};

use super::{
    super::probe::Probe,
    builders::Case,
    methods::{Build, Built, Prior, Values},
    problem::{Problem, Purpose, Signals, rng},
    score::means,
};
use crate::failure::Outcome;

/// Validation signals, and draws for each.
pub(crate) const SIGNALS: usize = 10;
const DRAWS: usize = 10;

/// Rows of a batch: more would not be faster.
const ROWS: usize = 2000;

/// A method with all of its settings.
type Make<'m> = &'m dyn for<'a> Fn(&Case<'a>, Prior<'a>) -> Built<'a>;

/// What a method drew.
pub(crate) struct Drawn {
    /// `[signals draws, 1, 1, 64]`, those of one signal after another.
    pub(crate) draws: Tensor<4>,
    /// Evaluations of the denoiser for each.
    pub(crate) calls: usize,
    /// The setting that was searched for.
    pub(crate) setting: Option<f64>,
}

/// `draws` for each test signal.
pub(crate) fn draw(problem: &Problem, build: Build, draws: usize) -> Outcome<Drawn> {
    let run = |make: Make<'_>, setting: Option<f64>| {
        let prior = Probe::new(&problem.prior);
        let tests = &problem.tests;
        let drawn = sample(problem, tests, draws, Purpose::Draws, &prior, make)??;
        Ok(Drawn {
            calls: prior.calls(drawn.dims()[0]),
            draws: drawn,
            setting,
        })
    };
    match build {
        Build::Fixed(build) => run(&build, None),
        Build::Searched(values, build) => {
            let value = best(problem, values, build)?;
            run(&|case, prior| build(case, prior, value), Some(value))
        }
    }
}

/// The value with the smallest mean squared error of the mean of the draws.
fn best(
    problem: &Problem,
    values: Values,
    build: for<'a> fn(&Case<'a>, Prior<'a>, f64) -> Built<'a>,
) -> Outcome<f64> {
    let signals = &problem.validation;
    let prior = Probe::new(&problem.prior);
    let mut best = (f64::INFINITY, f64::NAN);
    for value in values.all() {
        let make: Make<'_> = &|case, prior| build(case, prior, value);
        let error = match sample(problem, signals, DRAWS, Purpose::Search, &prior, make)? {
            Ok(draws) => mse(means(draws, SIGNALS), signals.x.clone())
                .mean()
                .into_scalar::<f64>(),
            Err(SampleError::Diverged { .. }) => f64::INFINITY,
            Err(error) => return Err(error.into()),
        };
        if error < best.0 || best.1.is_nan() {
            best = (error, value);
        }
    }
    Ok(best.1)
}

/// `draws` for each signal, in batches.
fn sample(
    problem: &Problem,
    signals: &Signals,
    draws: usize,
    purpose: Purpose,
    prior: Prior<'_>,
    make: Make<'_>,
) -> Outcome<Result<Tensor<4>, SampleError>> {
    let batch = (ROWS / draws).max(1);
    let mut drawn = Vec::new();
    for first in (0..signals.count()).step_by(batch) {
        let some = signals.slice(first..signals.count().min(first + batch));
        let case = Case::new(problem, &some, draws);
        let mut rng = rng(purpose).starting_at((first * draws) as u64);
        let [.., length] = some.x.dims();
        let shape = [some.count() * draws, 1, 1, length];
        match make(&case, prior)?.sample(shape, &mut rng, &mut |_| ()) {
            Ok(rows) => drawn.push(rows),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(Tensor::cat(drawn, 0)))
}
