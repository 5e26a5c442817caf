//! Coverage of highest-density credible sets.
//!
//! The set of level `q` is `{x : log p(x | y) >= t}`, where draws have a log density above `t` with probability `q`.
//! For `k` draws `t` is the order statistic at the place `h = (k + 1)(1 - q)` of their log densities, linear between
//! neighbours. The log density of a truth that follows the law of the draws falls into each of the `k + 1` gaps with
//! the same chance, so the set holds it with probability `q`: exactly so for integer `h`. Only differences of log
//! densities matter.
//!
//! Draws with weights `w_i` that sum to one: in ascending order of density, `x_(i)` has the place
//! `K (w_1 + .. + w_(i-1) + w_i/2) + 1/2`, `K = 1/(w_1^2 + .. + w_k^2)`, and `h = (K + 1)(1 - q)`; equal weights give
//! `i`.
//!
//! Zach, Haouchat & Unser 2026, <https://arxiv.org/abs/2509.12821>.

use burn::tensor::Tensor;

use crate::{
    Coverage,
    draws::{read, whole_if_close},
};

/// Counts the truths inside the highest-density sets of level `level` that draws span, from the log
/// density of the exact posterior, up to a constant of each test, at the truths, `[tests]`, and at their
/// draws, `[tests, draws]`.
///
/// `weights`, `[tests, draws]`, are those of weighted draws, in any scale of a test; the set then has its
/// level in the limit of many draws. The set must end between two draws: `level/(1 - level)` draws
/// are needed, 9 for 90 %. Where weights put its end below the lowest draw, it ends there.
///
/// A sampler that spreads too little has too high a threshold, and its sets hold the truth too seldom.
/// One that stays where the density is low can have sets that hold it too often.
///
/// # Panics
///
/// Panics if `level` is outside (0, 1), the shapes are not these, there are too few draws, a log density
/// is not a number, or the weights of a test are negative, not finite or all 0, or if the tensors cannot be
/// read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::highest_density_coverage;
///
/// let mut rng = Rng::seeded(1, &Device::flex());
/// let all: Tensor<3> = rng.normal([1000, 20, 2]);
/// let log_density: Tensor<2> = all.square().sum_dim(2).squeeze_dim(2) * -0.5;
/// let truths = log_density.clone().narrow(1, 0, 1).squeeze_dim(1);
/// let coverage = highest_density_coverage(truths, log_density.narrow(1, 1, 19), None, 0.9);
/// assert!((coverage.fraction() - 0.9).abs() < 5.0 * coverage.standard_error());
/// ```
pub fn highest_density_coverage(
    truths: Tensor<1>,
    draws: Tensor<2>,
    weights: Option<Tensor<2>>,
    level: f64,
) -> Coverage {
    assert!(
        level > 0.0 && level < 1.0,
        "the level must lie in (0, 1), found {level}"
    );
    let [tests, count] = draws.dims();
    assert_eq!(
        truths.dims(),
        [tests],
        "the draws must be [tests, draws], one test for each truth"
    );
    let needed = whole_if_close(level / (1.0 - level)).ceil();
    assert!(
        tests > 0 && count as f64 >= needed,
        "sets of level {level} need a test and {needed} draws, found the shape [{tests}, {count}]"
    );
    let weights = match weights {
        Some(weights) => {
            assert_eq!(weights.dims(), draws.dims(), "one weight for each draw");
            read(&weights)
        }
        None => vec![1.0; tests * count],
    };
    let (truths, draws) = (read(&truths), read(&draws));
    assert!(
        truths.iter().chain(&draws).all(|value| !value.is_nan()),
        "a log density is not a number"
    );
    let rows = draws.chunks_exact(count).zip(weights.chunks_exact(count));
    let covered = truths
        .iter()
        .zip(rows)
        .filter(|(truth, (draws, weights))| **truth >= threshold(draws, weights, level));
    Coverage {
        level,
        covered: covered.count() as u64,
        tests: tests as u64,
    }
}

/// The least log density inside the set.
fn threshold(draws: &[f64], weights: &[f64], level: f64) -> f64 {
    let total: f64 = weights.iter().sum();
    assert!(
        weights.iter().all(|weight| *weight >= 0.0) && total > 0.0 && total.is_finite(),
        "weights must be finite, not negative and not all 0"
    );
    let mut sorted: Vec<(f64, f64)> = draws
        .iter()
        .zip(weights)
        .map(|(d, w)| (*d, w / total))
        .collect();
    sorted.retain(|(_, weight)| *weight > 0.0);
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let effective = whole_if_close(
        1.0 / sorted
            .iter()
            .map(|(_, weight)| weight * weight)
            .sum::<f64>(),
    );
    let place = whole_if_close((effective + 1.0) * (1.0 - level));

    let mut below: Option<(f64, f64)> = None;
    let mut sum = 0.0;
    for (value, weight) in sorted {
        let here = whole_if_close(effective * (sum + 0.5 * weight) + 0.5);
        match below {
            Some((lower, density)) if here > place => {
                let fraction = (place - lower) / (here - lower);
                return (1.0 - fraction) * density + fraction * value;
            }
            _ if here >= place => return value,
            _ => below = Some((here, value)),
        }
        sum += weight;
    }
    below.map_or(f64::NEG_INFINITY, |(_, highest)| highest)
}
