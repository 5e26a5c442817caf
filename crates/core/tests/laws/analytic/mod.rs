//! Analytic priors: denoiser, density and samples of one law.

mod closed_forms;
mod density;
mod precision;
mod refusals;
mod samples;

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    AnalyticPrior, FullGaussian, GaussianMixture, GaussianPrior, PointMass, PriorError, Rng,
};
use tweedie_testkit::{device, exact};

const MEAN: [f64; 2] = [0.3, -0.8];
const WEIGHTS: [f64; 3] = [0.2, 0.5, 0.3];
const MEANS: [f64; 6] = [-1.5, 0.4, 0.2, 1.1, 1.3, -0.7];
const VARIANCES: [f64; 6] = [0.3, 0.5, 1.2, 0.25, 0.6, 0.9];
const COVARIANCE: [f64; 4] = [0.9, -0.4, -0.4, 0.5];

fn isotropic() -> GaussianPrior<2> {
    GaussianPrior::new(exact(&MEAN, [1, 2]), 0.4)
}

fn diagonal() -> GaussianPrior<2> {
    GaussianPrior::diagonal(exact(&MEAN, [1, 2]), exact(&[0.3, 1.1], [1, 2])).unwrap()
}

fn full(covariance: &[f64]) -> Result<FullGaussian<2>, PriorError> {
    FullGaussian::new(exact(&MEAN, [1, 2]), exact(covariance, [2, 2]))
}

fn mixture() -> GaussianMixture<2> {
    GaussianMixture::new(&WEIGHTS, exact(&MEANS, [3, 2]), &[0.3, 0.8, 0.5]).unwrap()
}

fn diagonal_mixture() -> GaussianMixture<2> {
    GaussianMixture::diagonal(&WEIGHTS, exact(&MEANS, [3, 2]), exact(&VARIANCES, [3, 2])).unwrap()
}

fn point() -> PointMass<2> {
    PointMass::new(exact(&MEAN, [1, 2]))
}

/// Every prior of two pixels, and whether it has a density of its own.
fn priors() -> Vec<(&'static str, Box<dyn AnalyticPrior<2>>, bool)> {
    vec![
        ("isotropic", Box::new(isotropic()), true),
        ("diagonal", Box::new(diagonal()), true),
        ("full", Box::new(full(&COVARIANCE).unwrap()), true),
        ("mixture", Box::new(mixture()), true),
        ("diagonal mixture", Box::new(diagonal_mixture()), true),
        ("point", Box::new(point()), false),
    ]
}

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Some points around the priors, `[4, 2]`.
fn points() -> Tensor<2> {
    exact(&[0.1, -0.4, 1.7, 0.9, -2.2, 0.3, 0.5, -1.6], [4, 2])
}

fn largest_difference(got: &[f64], expected: &[f64]) -> f64 {
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}
