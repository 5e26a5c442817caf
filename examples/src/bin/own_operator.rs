//! How do I use my own camera model? Implement two traits with one method each.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tweedie::{
    core::GaussianPrior,
    fidelity::{Isotropic, Pigdm},
    physics::PhysicsError,
    prelude::*,
    samplers::{DiffusionSampler, DrawConfig, draw},
};

/// A sensor whose right half sees only a tenth of the light.
struct Vignette;

impl Vignette {
    fn shade(x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let half = [0..batch, 0..channels, 0..height, width / 2..width];
        let dark = x.clone().slice(half.clone()).mul_scalar(0.1);
        x.slice_assign(half, dark)
    }
}

impl ForwardOperator for Vignette {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        Self::shade(x)
    }
}

impl LinearOperator for Vignette {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        Self::shade(y) // a diagonal matrix is its own adjoint
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let (mean, variance, noise_std) = (0.5, 0.04, 0.05);
    let prior = GaussianPrior::new(Tensor::full([1, 1, 1, 1], mean, &device), variance);
    let y = Vignette.forward(Tensor::full([1, 1, 8, 8], 0.9, &device));

    let guidance = Pigdm::new(Vignette, y, noise_std, Isotropic::new(variance)?)?;
    let schedule = tweedie::core::VariancePreserving::new(0.1, 20.0)?;
    // Short steps where there is little noise, so that small deviations come out right.
    let grid = TimeGrid::karras(&schedule, schedule.sigma(1.0), 0.002, 7.0, 50)?.then_zero();
    let process = Reverse::flow(schedule, Posterior { prior, guidance });
    let sampler = DiffusionSampler::new(process, Heun, grid);
    let config = DrawConfig {
        samples: 400,
        batch_size: 100,
    };
    let draws = draw(
        &sampler,
        [1, 8, 8],
        config,
        &Rng::seeded(0, &device),
        |_| (),
    )?;

    let std = draws.std.ok_or("one sample has no spread")?;
    for (side, columns, gain) in [("left", 0..4, 1.0), ("right", 4..8, 0.1)] {
        let got = std
            .clone()
            .slice([0..1, 0..1, 0..8, columns])
            .mean()
            .into_scalar::<f64>();
        let exact = (1.0f64 / (1.0 / variance + gain * gain / (noise_std * noise_std))).sqrt();
        println!("{side}: standard deviation {got:.4}, exact {exact:.4}");
    }
    Ok(())
}
