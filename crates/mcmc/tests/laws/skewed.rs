//! A skewed, correlated law with exact draws, to see whether a kernel leaves its target as it is.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Noise, Rng};
use tweedie_fidelity::{DataFidelity, Gradient, Smooth};
use tweedie_mcmc::{ChainState, MarkovKernel};
use tweedie_testkit::{assert_z, device, exact, values, z_bound};

pub(crate) const CHAINS: usize = 20_000;
const MEAN_OF_LOG: f64 = -0.577_215_664_901_532_9;
const VARIANCE_OF_LOG: f64 = std::f64::consts::PI * std::f64::consts::PI / 6.0;

/// `x_1 = z_1`, `x_2 = 0.8 z_1 + 0.6 z_2`.
const MIX: [f64; 4] = [1.0, 0.0, 0.8, 0.6];
const UNMIX: [f64; 4] = [1.0, 0.0, -4.0 / 3.0, 5.0 / 3.0];

/// `U(x) = sum_i e^(z_i) - z_i` for images of two pixels: each `e^(z_i)` is exponential of mean 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skewed;

impl Skewed {
    fn unmixed(x: Tensor<2>) -> Tensor<2> {
        x.matmul(exact(&UNMIX, [2, 2]).transpose())
    }
}

impl Smooth for Skewed {}

impl Gradient<2> for Skewed {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        (Self::unmixed(x).exp() - 1.0).matmul(exact(&UNMIX, [2, 2]))
    }
}

impl DataFidelity<2> for Skewed {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        let rows = x.dims()[0];
        let z = Self::unmixed(x);
        (z.clone().exp() - z).sum_dim(1).reshape([rows])
    }
}

pub(crate) fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Exact draws: half the sum of squares of two normal numbers is exponential of mean 1.
pub(crate) fn draws(seed: u64) -> Tensor<2> {
    let normal = values(&rng(seed).normal([CHAINS, 4]));
    let log = |pair: &[f64]| (0.5 * (pair[0] * pair[0] + pair[1] * pair[1])).ln();
    let z: Vec<f64> = normal.chunks(2).map(log).collect();
    exact(&z, [CHAINS, 2]).matmul(exact(&MIX, [2, 2]).transpose())
}

/// Averages over the chains beside their expectations.
pub(crate) struct Averages {
    estimates: Vec<f64>,
    expected: Vec<f64>,
    errors: Vec<f64>,
}

impl Averages {
    /// Moments and probabilities of `z` and its covariance.
    pub(crate) fn of(x: &Tensor<2>) -> Self {
        let z = values(&Skewed::unmixed(x.clone()));
        let mut averages = Self {
            estimates: vec![],
            expected: vec![],
            errors: vec![],
        };
        for pixel in 0..2 {
            let at = |z: &[f64]| z[pixel];
            averages.push(&z, MEAN_OF_LOG, VARIANCE_OF_LOG, at);
            averages.push(&z, 1.0, 1.0, |z| at(z).exp());
            for bound in [0.05f64, 0.3, 1.0, 2.0, 4.0] {
                let p = 1.0 - (-bound).exp();
                let below = |z: &[f64]| f64::from(u8::from(at(z) < bound.ln()));
                averages.push(&z, p, p * (1.0 - p), below);
            }
        }
        averages.push(&z, 0.0, VARIANCE_OF_LOG.powi(2), |z| {
            (z[0] - MEAN_OF_LOG) * (z[1] - MEAN_OF_LOG)
        });
        averages
    }

    fn push(&mut self, z: &[f64], mean: f64, variance: f64, function: impl Fn(&[f64]) -> f64) {
        let count = z.len() as f64 / 2.0;
        self.estimates
            .push(z.chunks(2).map(function).sum::<f64>() / count);
        self.expected.push(mean);
        self.errors.push((variance / count).sqrt());
    }

    pub(crate) fn assert_exact(&self, name: &str) {
        assert_z(name, &self.estimates, &self.expected, &self.errors);
    }

    /// For negative controls.
    pub(crate) fn assert_biased(&self, name: &str) {
        let pairs = self.estimates.iter().zip(&self.expected).zip(&self.errors);
        let worst = pairs
            .map(|((got, expected), error)| ((got - expected) / error).abs())
            .fold(0.0, f64::max);
        let bound = z_bound(self.estimates.len());
        assert!(
            worst > bound,
            "{name}: |z| is {worst:.2} at most, below {bound:.2}"
        );
    }
}

/// The averages after some steps from exact draws.
pub(crate) fn after<K: MarkovKernel<2>>(kernel: &K, steps: usize, seed: u64) -> Averages {
    let state = advance(kernel, kernel.init(draws(seed)), steps, &mut rng(seed + 1));
    Averages::of(state.position())
}

pub(crate) fn advance<K: MarkovKernel<2>>(
    kernel: &K,
    mut state: K::State,
    steps: usize,
    noise: &mut dyn Noise<2>,
) -> K::State {
    for _ in 0..steps {
        state = kernel.step(state, noise).0;
    }
    state
}

#[test]
fn the_draws_have_the_law_of_the_target() {
    Averages::of(&draws(1)).assert_exact("draws");
    Averages::of(&draws(1).mul_scalar(1.05)).assert_biased("stretched draws");
}
