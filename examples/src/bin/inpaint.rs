//! How do I fill in missing pixels, and how sure is the answer?

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tweedie::{
    data::Phantoms,
    fidelity::{Isotropic, Pigdm},
    metrics::psnr,
    physics::{GaussianNoise, Inpainting},
    prelude::*,
    samplers::{DiffusionSampler, DrawConfig, draw},
};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let model = Pretrained::open(tweedie_examples::checkpoint(), &device)?;

    // A clean image, and a measurement of half of its pixels.
    let clean = Phantoms::new(7, 1, 32, 32)?.image(0).to_tensor(&device);
    let operator = Inpainting::random([32, 32], 0.5, 1, &device)?;
    let noise_std = 0.05;
    let noise = GaussianNoise::new(noise_std)?;
    let y = noise.corrupt(
        operator.forward(clean.clone()),
        &mut Rng::seeded(1, &device),
    );
    let zero_filled = operator.adjoint(y.clone());

    // The prior's denoiser and the guidance make the posterior's denoiser; images lie in [0, 1].
    let posterior = Clipped::unit(Posterior {
        prior: model.denoiser(),
        guidance: Pigdm::new(operator, y, noise_std, Isotropic::new(0.1)?)?,
    });
    let schedule = model.schedule();
    let grid = TimeGrid::uniform(schedule.horizon(), 0.0, 50)?;
    let sampler = DiffusionSampler::new(Reverse::sde(schedule, posterior), Ddpm, grid);
    let config = DrawConfig::new(4, 4);
    let draws = draw(
        &sampler,
        [1, 32, 32],
        config,
        &Rng::seeded(2, &device),
        |_| (),
    )?;

    let decibels = |image: Tensor<4>| psnr(image, clean.clone(), 1.0).into_scalar::<f64>();
    println!("zero-filled measurement: {:.1} dB", decibels(zero_filled));
    println!(
        "mean of {} samples:    {:.1} dB",
        draws.samples,
        decibels(draws.mean)
    );
    if let Some(std) = draws.std {
        println!(
            "mean standard deviation: {:.3}",
            std.mean().into_scalar::<f64>()
        );
    }
    Ok(())
}
