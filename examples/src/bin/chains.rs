//! Have my Markov chains converged?
//!
//! A blurred phantom under a prior of small differences: four chains of SK-ROCK that start far apart, the effective sample size of
//! the slowest direction that is watched, and the verdict with its reasons.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::ops::ControlFlow;

use tweedie::{
    data::Phantoms,
    fidelity::{L2, Tikhonov},
    mcmc::{ChainConfig, ChainEvent, Chains, PosteriorDensity, SkRock, Start},
    physics::{FourierBlur, GaussianNoise},
    prelude::*,
};

const NOISE_STD: f64 = 0.05;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let image = [1, 1, 32, 32];
    let clean = Phantoms::new(7, 1, 32, 32)?.image(0).to_tensor(&device);
    let operator = FourierBlur::gaussian([32, 32], 1.0, &device)?;
    let mut rng = Rng::seeded(0, &device);
    let y = GaussianNoise::new(NOISE_STD)?.corrupt(operator.forward(clean), &mut rng);

    // A blur has norm 1: with it, the largest step is known.
    let target = PosteriorDensity {
        fidelity: L2::new(&operator, y.clone(), NOISE_STD)?.with_operator_norm(1.0)?,
        prior: Tikhonov::differences(100.0)?,
    };
    let kernel = SkRock::at_share(target, 10, 0.5)?;
    let config = ChainConfig {
        iterations: 4000,
        burn_in: 500,
        check_every: 500,
        ..ChainConfig::default()
    };
    let average = Tensor::full(image, 1.0 / 1024.0, &device);
    let chains = Chains::new(kernel, config)?.with_direction("average", average)?;
    let start = Start::adjoint(&operator, y, image)?.over_dispersed(0.2)?;
    let mut rng = rng.fork(1);
    let run = chains.run(start.chains(4, &rng)?, &mut rng, |event| {
        if let ChainEvent::Check { iteration, ess, .. } = event {
            println!("iteration {iteration}: least effective sample size {ess:.0?}");
        }
        ControlFlow::Continue(())
    })?;

    let report = run.report();
    for trace in &report.slowest {
        println!(
            "{}: bulk ESS {:.0?}, R-hat {:.3?}",
            trace.name, trace.ess_bulk, trace.rhat
        );
    }
    println!("converged: {}", report.verdict.converged);
    for reason in &report.verdict.reasons {
        println!("  {reason}");
    }
    Ok(())
}
