//! An iteration of many chains beside one: what the batch axis saves.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};
use divan::{Bencher, black_box};
use tweedie_core::{FullGaussian, Rng};
use tweedie_fidelity::{L2, ScorePrior};
use tweedie_mcmc::{ChainConfig, MarkovKernel, PosteriorDensity, SkRock, Ula, sample_chains};
use tweedie_physics::Inpainting;

fn main() {
    divan::main();
}

const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const ITERATIONS: usize = 100;

type Target = PosteriorDensity<L2<Inpainting>, ScorePrior<FullGaussian>>;

/// Half of the pixels, under a prior of neighbours that are alike: two products with a matrix of all pixels a gradient.
fn target(device: &Device) -> Target {
    let covariance = (0..PIXELS * PIXELS).map(|entry| {
        let (a, b) = (entry / PIXELS, entry % PIXELS);
        let step = |of: fn(usize) -> usize| (of(a) as f64 - of(b) as f64).powi(2);
        let distance = step(|pixel| pixel / SIDE) + step(|pixel| pixel % SIDE);
        0.02 * (-distance / 8.0).exp() + if a == b { 0.001 } else { 0.0 }
    });
    let data = TensorData::new(covariance.collect::<Vec<f64>>(), [PIXELS, PIXELS]);
    let mean = Tensor::full([1, 1, SIDE, SIDE], 0.5, device);
    let prior = FullGaussian::new(mean.clone(), Tensor::from_data(data, device));
    let prior = ScorePrior::new(prior.expect("a covariance"), 0.02, 1.0).expect("in range");
    let operator = Inpainting::random([SIDE, SIDE], 0.5, 0, device).expect("half of them");
    let fidelity = L2::new(operator, mean, 0.1).expect("in range");
    PosteriorDensity { fidelity, prior }
}

fn run<K: MarkovKernel>(bencher: Bencher<'_, '_>, kernel: &K, chains: usize, device: &Device) {
    let config = ChainConfig {
        iterations: ITERATIONS,
        burn_in: 0,
        ..ChainConfig::default()
    };
    bencher.bench_local(|| {
        let start = Tensor::full([chains, 1, SIDE, SIDE], 0.5, device);
        let mut rng = Rng::seeded(0, device);
        let observe = |_: tweedie_mcmc::ChainEvent<'_>| ControlFlow::Continue(());
        black_box(sample_chains(kernel, start, &config, &mut rng, observe))
    });
}

#[divan::bench(args = [1, 8, 64])]
fn ula_100_iterations(bencher: Bencher<'_, '_>, chains: usize) {
    let device = Device::flex();
    let kernel = Ula::new(target(&device), 5e-4).expect("in range");
    run(bencher, &kernel, chains, &device);
}

#[divan::bench(args = [1, 8, 64])]
fn sk_rock_100_iterations(bencher: Bencher<'_, '_>, chains: usize) {
    let device = Device::flex();
    let kernel = SkRock::new(target(&device), 10, 0.05, 2e-2).expect("in range");
    run(bencher, &kernel, chains, &device);
}
