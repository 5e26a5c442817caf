//! Ranks of draws, and the normal numbers of these ranks.
//!
//! `z = Phi^-1((r - 3/8) / (N + 1/4))` for the rank `r` among `N` draws, the mean rank where draws are equal:
//! Vehtari et al. 2021, <https://doi.org/10.1214/20-BA1221>.

use std::f64::consts::{SQRT_2, TAU};

use crate::draws::order_statistic;

/// The normal score of each value among all.
pub(super) fn normal_scores(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut scores = vec![0.0; values.len()];
    let mut below = 0;
    for ties in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + 0.5 * (ties.len() + 1) as f64;
        let score = normal_quantile((rank - 0.375) / (values.len() as f64 + 0.25));
        for index in ties {
            scores[*index] = score;
        }
        below += ties.len();
    }
    scores
}

/// The distance of each value from the median of all.
pub(super) fn folded(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = order_statistic(&sorted, 0.5 * (sorted.len() + 1) as f64);
    values.iter().map(|value| (value - median).abs()).collect()
}

/// `Phi^-1(p)` for `p` in (0, 1), to rounding.
fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    // Within 4.5e-4: Abramowitz & Stegun 26.2.23, <https://personal.math.ubc.ca/~cbm/aands/page_933.htm>.
    let t = (-2.0 * p.ln()).sqrt();
    let numerator = 2.515517 + t * (0.802853 + t * 0.010328);
    let denominator = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    let mut z = numerator / denominator - t;
    // Halley's method triples the digits each time.
    for _ in 0..2 {
        let excess = 0.5 * libm::erfc(-z / SQRT_2) - p;
        let newton = excess * TAU.sqrt() * (0.5 * z * z).exp();
        z -= newton / (1.0 + 0.5 * z * newton);
    }
    z
}
