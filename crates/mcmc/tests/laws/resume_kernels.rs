//! Kernels that adapt, and ladders of levels, go on bit for bit where their run was interrupted: in the burn-in, at its
//! end, and after it.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_mcmc::{
    Adaptive, ChainConfig, ChainEvent, ChainRun, Chains, Hmc, Mala, MarkovKernel, Outcome,
    ParallelTempering, sample_chains,
};
use tweedie_testkit::{exact, values};

use crate::chains::{GO_ON, config, numbers, rng};
use crate::skewed::Skewed;
use crate::support::Quadratic;

const ITERATIONS: usize = 24;
const BURN_IN: usize = 10;

fn start() -> Tensor<2> {
    exact(&[0.5, -1.0, 1.2, 0.0, 0.8, -0.25], [3, 2])
}

fn everything() -> ChainConfig {
    ChainConfig {
        quantiles: vec![0.5],
        lags: vec![1],
        keep: 3,
        check_every: 4,
        ..config(ITERATIONS, BURN_IN, 2)
    }
}

/// A run that ends after iteration `last` and is resumed, both runs from a generator of their own; and where the first of
/// the generators stands.
fn in_two_parts<K: MarkovKernel<2>>(kernel: &K, last: usize) -> (ChainRun<2>, ChainRun<2>, Rng) {
    let folder = tempfile::tempdir().unwrap();
    let chains = Chains::new(kernel, everything())
        .unwrap()
        .with_direction("tilt", exact(&[0.3, -2.0], [1, 2]))
        .unwrap()
        .with_checkpoint(folder.path().join("chains.checkpoint"), 1000, "")
        .unwrap();
    let mut of_first = rng();
    let first = chains.run(start(), &mut of_first, |event| match event {
        ChainEvent::Iteration { iteration, .. } if iteration == last => ControlFlow::Break(()),
        _ => GO_ON,
    });
    let second = chains.resume(&start(), &mut rng(), |_| GO_ON);
    (first.unwrap(), second.unwrap(), of_first)
}

fn assert_resumes<K: MarkovKernel<2>>(kernel: K) {
    let (whole, ..) = in_two_parts(&kernel, ITERATIONS);
    for last in [1, 4, BURN_IN - 1, BURN_IN, BURN_IN + 1, 16, 17] {
        let (first, resumed, mut generator) = in_two_parts(&kernel, last);
        assert_eq!(
            (first.outcome, first.iterations),
            (Outcome::Interrupted, last)
        );
        assert_eq!(numbers(&resumed), numbers(&whole), "after {last}");
        // Negative control: from the position alone the chains go elsewhere.
        let rest = config(ITERATIONS - last, BURN_IN.saturating_sub(last), 1);
        let forgetful = sample_chains(&kernel, first.position, &rest, &mut generator, |_| GO_ON);
        assert_ne!(
            values(&forgetful.unwrap().position),
            values(&whole.position),
            "after {last}"
        );
    }
}

#[test]
fn an_adaptive_kernel_resumes() {
    assert_resumes(Adaptive::new(Mala::new(Skewed, 0.1).unwrap()));
    assert_resumes(Adaptive::new(Hmc::new(Skewed, 0.1, 3).unwrap()));
}

fn levels() -> Vec<Quadratic> {
    let level = |precision: f64| Quadratic {
        mean: vec![0.3, -0.6],
        precision: vec![precision, 2.0 * precision],
    };
    [4.0, 1.5, 0.5].map(level).into()
}

#[test]
fn a_ladder_resumes() {
    let adaptive = |_, target| Ok(Adaptive::new(Mala::new(target, 0.1)?));
    assert_resumes(ParallelTempering::new(levels(), adaptive).unwrap());
    let fixed = |_, target| Mala::new(target, 0.1);
    assert_resumes(ParallelTempering::new(levels(), fixed).unwrap());
}
