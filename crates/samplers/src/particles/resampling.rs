//! The weights of particles, and who survives.
//!
//! Systematic resampling (Kitagawa 1996, <https://doi.org/10.1080/10618600.1996.10474692>): with one uniform number
//! `U`, offspring `j` of `N` descends from the particle in whose share of [0, 1) the point `(j + U)/N` falls. A
//! particle of weight `w` has `floor(N w)` or `ceil(N w)` offspring, and `N w` on average. The effective sample size of
//! normalised weights is `1/sum w_i^2` (Kong, Liu & Wong 1994, <https://doi.org/10.1080/01621459.1994.10476469>).

use burn::tensor::Tensor;

use super::Particles;

/// The parents of `offspring` equally weighted particles, in order, by systematic resampling.
///
/// `weights` are at least 0 and need not add to 1; `uniform` lies in [0, 1). A weight of 0 has no offspring.
///
/// ```
/// use tweedie_samplers::systematic;
///
/// assert_eq!(systematic(&[0.5, 0.0, 0.25, 0.25], 4, 0.3), [0, 0, 2, 3]);
/// ```
///
/// # Panics
/// Unless a weight is above 0 and all are finite.
pub fn systematic(weights: &[f64], offspring: usize, uniform: f64) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    assert!(
        total > 0.0 && total.is_finite(),
        "weights must have a finite sum above 0, found {total}"
    );
    let mut parents = Vec::with_capacity(offspring);
    let mut reached = 0.0;
    let mut last = 0;
    for (index, weight) in weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0.0)
    {
        reached += weight;
        last = index;
        let share = reached / total * offspring as f64;
        while parents.len() < offspring && parents.len() as f64 + uniform < share {
            parents.push(index);
        }
    }
    // The last point may be rounded up to the end.
    parents.resize(offspring, last);
    parents
}

/// `(sum w)^2 / sum w^2`: how many equally weighted particles are worth as much. Between 1 and their number.
///
/// ```
/// use tweedie_samplers::effective_sample_size;
///
/// assert_eq!(effective_sample_size(&[0.5, 0.5, 0.0]), 2.0);
/// ```
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    sum * sum / squares
}

/// Weights of several runs of equally many particles.
pub(super) struct Weights {
    particles: usize,
    /// Normalised in each run.
    log_weights: Vec<f64>,
    log_normalizer: Vec<f64>,
    ess: Vec<Vec<f64>>,
}

impl Weights {
    pub(super) fn equal(runs: usize, particles: usize) -> Self {
        Self {
            particles,
            log_weights: vec![-(particles as f64).ln(); runs * particles],
            log_normalizer: vec![0.0; runs],
            ess: Vec::new(),
        }
    }

    /// Multiplies the weights by `exp(increments + constant)`; false unless each run is left with a finite sum above 0.
    pub(super) fn multiply(&mut self, increments: &[f64], constant: f64) -> bool {
        let runs = self.log_weights.chunks_mut(self.particles);
        let increments = increments.chunks(self.particles);
        let mut ess = Vec::with_capacity(self.log_normalizer.len());
        for ((log_weights, increments), log_normalizer) in
            runs.zip(increments).zip(&mut self.log_normalizer)
        {
            for (log_weight, increment) in log_weights.iter_mut().zip(increments) {
                *log_weight += increment;
            }
            let largest = log_weights
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = log_weights
                .iter()
                .map(|weight| (weight - largest).exp())
                .sum();
            let log_sum = largest + sum.ln();
            if !log_sum.is_finite() {
                return false;
            }
            for log_weight in log_weights.iter_mut() {
                *log_weight -= log_sum;
            }
            *log_normalizer += log_sum + constant;
            ess.push(effective_sample_size(&weights_of(log_weights)));
        }
        self.ess.push(ess);
        true
    }

    /// Resamples the runs whose effective sample size is below the share `threshold` of their particles; the parents of
    /// all particles, none if no run was resampled.
    pub(super) fn resample(&mut self, threshold: f64, uniforms: &[f64]) -> Option<Vec<usize>> {
        let bound = threshold * self.particles as f64;
        let mut parents: Vec<usize> = (0..self.log_weights.len()).collect();
        let mut resampled = false;
        let runs = self.log_weights.chunks_mut(self.particles);
        for ((log_weights, parents), uniform) in
            runs.zip(parents.chunks_mut(self.particles)).zip(uniforms)
        {
            let weights = weights_of(log_weights);
            if effective_sample_size(&weights) >= bound {
                continue;
            }
            resampled = true;
            let first = parents[0];
            let chosen = systematic(&weights, self.particles, *uniform);
            for (parent, chosen) in parents.iter_mut().zip(chosen) {
                *parent = first + chosen;
            }
            log_weights.fill(-(self.particles as f64).ln());
        }
        resampled.then_some(parents)
    }

    pub(super) fn with<const D: usize>(self, positions: Tensor<D>) -> Particles<D> {
        Particles {
            positions,
            log_weights: self.log_weights,
            log_normalizer: self.log_normalizer,
            ess: self.ess,
        }
    }
}

fn weights_of(log_weights: &[f64]) -> Vec<f64> {
    log_weights.iter().map(|weight| weight.exp()).collect()
}
