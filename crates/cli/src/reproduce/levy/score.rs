//! What the draws of a method are worth: the gap of their mean and the coverage of their highest-density sets.
//!
//! For exact draws the mean of `K` of them is `m + e`, `e ~ N(0, P/K)`, and the signal `m + z`, `z ~ N(0, P)`: the errors `e - z` and
//! `-z` have the same law but for the factor `sqrt(1 + 1/K)`, so the gap is `10 log10(1 + 1/K)` on average, whatever `P`.

use tweedie::{
    burn::tensor::Tensor,
    metrics::{Coverage, highest_density_coverage, mmse_gap},
};

use super::{
    operators::SIGNAL,
    problem::{Problem, Signals},
};
use crate::failure::Outcome;

/// Nominal coverage.
pub(crate) const LEVEL: f64 = 0.9;

/// The figures of a method.
pub(crate) struct Score {
    /// Mean over the signals, in decibels.
    pub(crate) gap: f64,
    /// Its standard error.
    pub(crate) gap_se: f64,
    pub(crate) coverage: Coverage,
}

/// The gap of exact draws, on average.
pub(crate) fn exact_gap(draws: usize) -> f64 {
    10.0 * (1.0 + (draws as f64).recip()).log10()
}

/// Of the draws `[signals draws, 1, 1, 64]`, those of one signal after another.
pub(crate) fn score(problem: &Problem, signals: &Signals, draws: Tensor<4>) -> Outcome<Score> {
    let count = signals.count();
    let each = draws.dims()[0] / count;
    let estimate = means(draws.clone(), count);
    let gaps = mmse_gap(estimate, signals.mean.clone(), signals.x.clone());
    let (gap, gap_se) = mean_and_error(&gaps.try_to_vec_as()?);
    let of_truths = problem.log_density(signals.x.clone(), signals.y.clone());
    let of_draws = problem.log_density(draws, signals.repeat(each).y);
    let of_draws = of_draws.reshape([count, each]);
    Ok(Score {
        gap,
        gap_se,
        coverage: highest_density_coverage(of_truths, of_draws, None, LEVEL),
    })
}

/// The mean of the draws for each of `count` signals.
pub(crate) fn means(draws: Tensor<4>, count: usize) -> Tensor<4> {
    let each = draws.dims()[0] / count;
    draws
        .reshape([count, each, 1, SIGNAL])
        .mean_dim(1)
        .reshape([count, 1, 1, SIGNAL])
}

/// Of at least two values.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count * (count - 1.0))).sqrt())
}
