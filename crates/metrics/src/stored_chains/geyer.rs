//! Effective sample size by the initial monotone sequence.
//!
//! `rho_k = 1 - (W - c_k) / V+` with the autocovariance `c_k` averaged over the chains, `W` the mean of their unbiased
//! variances and `V+ = (1 - 1/n) W + V` with the variance `V` of their means: chains that disagree are correlated at
//! all lags. For a reversible chain the sums of neighbours `P_j = rho_2j + rho_(2j+1)` are positive and fall, so what
//! follows the first one that is not positive is taken for noise, and none counts for more than the one before:
//!
//! `ESS = N / tau`, `tau = -1 + 2 sum_{j < J} min(P_0, .., P_j) + rho_2J`, `tau >= 1 / log10 N`.
//!
//! Geyer 1992, <https://doi.org/10.1214/ss/1177011137>; Vehtari et al. 2021,
//! <https://doi.org/10.1214/20-BA1221>.

use super::{autocovariance::autocovariance, is_constant, moments};

/// Of chains of `length` draws, one after another.
pub(super) fn effective_sample_size(values: &[f64], length: usize) -> f64 {
    let count = values.len() as f64;
    if is_constant(values) {
        return count;
    }
    let covariance = autocovariance(values, length);
    let means: Vec<f64> = values.chunks_exact(length).map(|c| moments(c).0).collect();
    let between = if means.len() > 1 {
        moments(&means).1
    } else {
        0.0
    };
    let n = length as f64;
    let within = covariance[0] * n / (n - 1.0);
    let total = covariance[0] + between;
    let rho = |lag: usize| {
        if lag == 0 {
            1.0
        } else {
            1.0 - (within - covariance[lag]) / total
        }
    };
    count / correlation_time(rho, length).max(1.0 / count.log10())
}

/// Of the correlations of `length` draws.
fn correlation_time(rho: impl Fn(usize) -> f64, length: usize) -> f64 {
    let pair = |j: usize| rho(2 * j) + rho(2 * j + 1);
    let (mut sum, mut smallest) = (0.0, f64::INFINITY);
    let mut j = 0;
    // The last pair, and one more draw, are never used: of few products they say nothing.
    while pair(j) > 0.0 && 2 * j + 4 < length {
        smallest = pair(j).min(smallest);
        sum += smallest;
        j += 1;
    }
    let next = if pair(j) >= 0.0 {
        rho(2 * j)
    } else {
        rho(2 * j).max(0.0)
    };
    -1.0 + 2.0 * sum + next
}
