//! Chains on a correlated Gaussian end in the exact law of the discrete chain, which is not that of the target.

use burn::tensor::{DType, Tensor};
use nalgebra::{DMatrix, SymmetricEigen};
use tweedie_core::{FullGaussian, Rng};
use tweedie_fidelity::ScorePrior;
use tweedie_mcmc::{ChainState, MarkovKernel, SkRock, Ula};
use tweedie_testkit::{assert_z, device, exact, values, z_bound};

use crate::support::{Quadratic, stationary};

const CHAINS: usize = 20_000;
const PIXELS: usize = 3;
const MEAN: [f64; PIXELS] = [0.7, -0.2, 1.5];
/// The eigenvalues are 0.17, 1.18 and 2.65.
#[rustfmt::skip]
const COVARIANCE: [f64; 9] = [
    2.0, 0.9, 0.3,
    0.9, 1.4, -0.4,
    0.3, -0.4, 0.6,
];
/// Far below the target's own spread.
const SIGMA: f64 = 1e-3;

type Target = ScorePrior<FullGaussian<2>>;

fn target() -> Target {
    let covariance = exact(&COVARIANCE, [PIXELS, PIXELS]);
    let prior = FullGaussian::new(exact(&MEAN, [1, PIXELS]), covariance).unwrap();
    ScorePrior::new(prior, SIGMA, 1.0).unwrap()
}

/// `V diag(variance(p_i)) V^T` for precisions `p_i` of the target.
fn covariance(variance: impl Fn(f64) -> f64) -> Vec<f64> {
    let eigen = SymmetricEigen::new(DMatrix::from_row_slice(PIXELS, PIXELS, &COVARIANCE));
    let variances = eigen
        .eigenvalues
        .map(|v| variance((v + SIGMA * SIGMA).recip()));
    let (basis, diagonal) = (&eigen.eigenvectors, DMatrix::from_diagonal(&variances));
    (basis * diagonal * basis.transpose()).as_slice().to_vec()
}

/// Last states of many chains, one after another.
fn last<K: MarkovKernel<2>>(kernel: &K, steps: usize) -> Vec<f64> {
    let mut rng = Rng::seeded(11, &device()).with_dtype(DType::F64);
    let start: Tensor<2> = exact(&[0.0; PIXELS], [1, PIXELS]).repeat_dim(0, CHAINS);
    let state = (0..steps).fold(kernel.init(start), |state, _| {
        kernel.step(state, &mut rng).0
    });
    values(state.position())
}

/// Mean and covariance with their standard errors if `law` is the covariance of normal draws.
fn moments(draws: &[f64], law: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let count = CHAINS as f64;
    let mean = |of: &dyn Fn(&[f64]) -> f64| draws.chunks_exact(PIXELS).map(of).sum::<f64>() / count;
    let mut found: Vec<f64> = (0..PIXELS).map(|i| mean(&|x| x[i])).collect();
    let mut errors: Vec<f64> = (0..PIXELS)
        .map(|i| (law[i * PIXELS + i] / count).sqrt())
        .collect();
    for i in 0..PIXELS {
        for j in 0..=i {
            found.push(mean(&|x| (x[i] - MEAN[i]) * (x[j] - MEAN[j])));
            let [a, b, c] = [i * PIXELS + i, j * PIXELS + j, i * PIXELS + j].map(|at| law[at]);
            errors.push(((a * b + c * c) / count).sqrt());
        }
    }
    (found, errors)
}

fn expected(law: &[f64]) -> Vec<f64> {
    let lower = (0..PIXELS).flat_map(|i| (0..=i).map(move |j| (i, j)));
    MEAN.into_iter()
        .chain(lower.map(|(i, j)| law[i * PIXELS + j]))
        .collect()
}

fn assert_law<K: MarkovKernel<2>>(name: &str, kernel: &K, steps: usize, law: &[f64]) {
    let draws = last(kernel, steps);
    let (found, errors) = moments(&draws, law);
    assert_z(name, &found, &expected(law), &errors);
    // The target itself has another covariance.
    let target = covariance(f64::recip);
    let (found, errors) = moments(&draws, &target);
    let z = found
        .iter()
        .zip(expected(&target))
        .zip(errors)
        .map(|((f, e), s)| ((f - e) / s).abs());
    let worst = z.fold(0.0, f64::max);
    assert!(
        worst > z_bound(found.len()),
        "{name}: the target's law passes, {worst:.1}"
    );
}

#[test]
fn ula_has_the_law_of_its_discrete_chain() {
    let step = 0.2;
    let law = covariance(|p| 1.0 / (p * (1.0 - 0.5 * step * p)));
    // The slowest mode keeps 0.92 of itself in a step.
    assert_law("ULA", &Ula::new(target(), step).unwrap(), 250, &law);
}

#[test]
fn sk_rock_has_the_law_of_its_discrete_chain() {
    let (stages, eta, step) = (5, 0.05, 3.0);
    let law = covariance(|p| {
        let kernel = SkRock::new(Quadratic::pixel(0.0, p), stages, eta, step).unwrap();
        stationary(&kernel, 1).variance
    });
    let kernel = SkRock::new(target(), stages, eta, step).unwrap();
    // With this damping no mode keeps more than 0.96 of itself in a step.
    assert_law("SK-ROCK", &kernel, 300, &law);
}
