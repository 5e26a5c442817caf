//! What the tests of particle methods share: estimates over runs, and a Gaussian problem.

use tweedie_core::{GaussianPrior, TimeGrid, VariancePreserving};
use tweedie_samplers::{Measurement, Particles};
use tweedie_testkit::{exact, values};

use crate::support::Diagonal;

/// Rows of `runs`, each the weighted sum of `statistic` over the particles of a run.
pub(crate) fn weighted<const N: usize>(
    particles: &Particles,
    statistic: impl Fn(&[f64]) -> [f64; N],
) -> Vec<[f64; N]> {
    let runs = particles.log_normalizer.len();
    let rows = particles.log_weights.len();
    let positions = values(&particles.positions);
    let each = rows / runs;
    let mut sums = vec![[0.0; N]; runs];
    for (row, pixels) in positions.chunks(positions.len() / rows).enumerate() {
        let weight = particles.log_weights[row].exp();
        for (sum, value) in sums[row / each].iter_mut().zip(statistic(pixels)) {
            *sum += weight * value;
        }
    }
    sums
}

/// Means over runs, and their standard errors.
pub(crate) fn means<const N: usize>(rows: &[[f64; N]]) -> ([f64; N], [f64; N]) {
    let count = rows.len() as f64;
    let mut mean = [0.0; N];
    for (i, mean) in mean.iter_mut().enumerate() {
        *mean = rows.iter().map(|row| row[i]).sum::<f64>() / count;
    }
    let mut error = [0.0; N];
    for (i, error) in error.iter_mut().enumerate() {
        let squares: f64 = rows.iter().map(|row| (row[i] - mean[i]).powi(2)).sum();
        *error = (squares / (count - 1.0) / count).sqrt();
    }
    (mean, error)
}

pub(crate) fn worst_z<const N: usize>(rows: &[[f64; N]], expected: &[f64; N]) -> f64 {
    let (mean, error) = means(rows);
    (0..N)
        .map(|i| ((mean[i] - expected[i]) / error[i]).abs())
        .fold(0.0, f64::max)
}

/// A Gaussian prior with a measurement of three entries of four.
pub(crate) mod gauss {
    pub(crate) const S: [f64; 4] = [0.0, 0.3, 1.0, 2.0];
    pub(crate) const MEAN: [f64; 4] = [0.6, 0.2, 0.4, 0.7];
    pub(crate) const VARIANCE: [f64; 4] = [0.09, 0.3, 0.2, 0.05];
    pub(crate) const Y: [f64; 4] = [0.0, 0.3, 0.9, 0.8];
    pub(crate) const STEPS: usize = 8;
}

pub(crate) fn gaussian_prior() -> GaussianPrior {
    let (mean, variances) = (gauss::MEAN, gauss::VARIANCE);
    GaussianPrior::diagonal(exact(&mean, [1, 1, 1, 4]), exact(&variances, [1, 1, 1, 4])).unwrap()
}

pub(crate) fn diagonal(noise_std: f64) -> Measurement<Diagonal> {
    Measurement {
        operator: Diagonal::new(&gauss::S),
        y: exact(&gauss::Y, [1, 1, 1, 4]),
        noise_std,
    }
}

pub(crate) fn preserving() -> (VariancePreserving, TimeGrid) {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    (schedule, TimeGrid::uniform(1.0, 0.0, gauss::STEPS).unwrap())
}
