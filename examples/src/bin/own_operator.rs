//! How do I use my own camera model? Implement two traits, check them, and restore.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tweedie::{
    data::Phantoms,
    fidelity::{Isotropic, Pigdm},
    metrics::psnr,
    physics::{Blur, GaussianNoise, Inpainting, PhysicsError, check_operator},
    prelude::*,
    samplers::{DiffusionSampler, DrawConfig, draw},
};

/// A soft lens before a sensor with dead pixels: `A x = m (h * x)`.
struct Camera {
    lens: Blur,
    alive: Inpainting,
}

impl ForwardOperator for Camera {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        self.alive
            .measurement_shape(self.lens.measurement_shape(image)?)
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.alive.forward(self.lens.forward(x))
    }
}

impl LinearOperator for Camera {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.lens.adjoint(self.alive.adjoint(y))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let camera = Camera {
        lens: Blur::gaussian([32, 32], 1.0, &device)?,
        alive: Inpainting::random([32, 32], 0.3, 1, &device)?,
    };
    // The laws that every sampler relies on: a wrong adjoint ends here.
    for law in check_operator(&camera, [2, 1, 32, 32], &mut Rng::seeded(0, &device))?.laws {
        println!("{}: error {:.0e}", law.law, law.error);
    }

    let model = Pretrained::open(tweedie_examples::checkpoint(), &device)?;
    let clean = Phantoms::new(7, 1, 32, 32)?.image(0).to_tensor(&device);
    let noise = GaussianNoise::new(0.05)?;
    let y = noise.corrupt(camera.forward(clean.clone()), &mut Rng::seeded(1, &device));
    let decibels = |image: Tensor<4>| psnr(image, clean.clone(), 1.0).into_scalar::<f64>();
    println!("measured: {:.2} dB", decibels(y.clone()));

    let guidance = Pigdm::new(camera, y, 0.05, Isotropic::new(0.1)?)?;
    let prior = model.denoiser();
    let process = Reverse::sde(
        model.schedule(),
        Clipped::unit(Posterior { prior, guidance }),
    );
    let grid = TimeGrid::uniform(model.schedule().horizon(), 0.0, 50)?;
    let config = DrawConfig::new(4, 4);
    let sampler = DiffusionSampler::new(process, Ddpm, grid);
    let draws = draw(
        &sampler,
        [1, 32, 32],
        config,
        &Rng::seeded(2, &device),
        |_| (),
    )?;
    println!("restored: {:.2} dB", decibels(draws.mean));
    Ok(())
}
