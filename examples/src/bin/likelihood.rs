//! How likely is an image under a trained model?

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tweedie::{
    data::Phantoms,
    prelude::*,
    solvers::{Probe, Trace, bits_per_dimension, log_likelihood, pure_noise_log_density},
};

const SIZE: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let model = Pretrained::open(tweedie_examples::checkpoint(), &device)?;
    let schedule = model.schedule();

    // A phantom such as the model was trained on, and the same pixels in another order.
    let phantom = Phantoms::new(7, 1, SIZE, SIZE)?.image(0).to_tensor(&device);
    let rows: Tensor<4> = Rng::seeded(3, &device).normal([1, 1, SIZE, SIZE]);
    let order = rows.reshape([SIZE * SIZE]).argsort(0);
    let shuffled = phantom
        .clone()
        .reshape([SIZE * SIZE])
        .select(0, order)
        .reshape([1, 1, SIZE, SIZE]);
    let images = Tensor::cat(vec![phantom, shuffled], 0);

    // From one grey level of noise up to where the image is lost in it.
    let grid = TimeGrid::log_snr(
        &schedule,
        schedule.sigma(schedule.horizon()),
        1.0 / 255.0,
        20,
    )?;
    let trace = Trace::Hutchinson {
        probe: Probe::Rademacher,
        probes: 2,
    };
    let process = Reverse::flow(schedule, model.denoiser());
    let mut rng = Rng::seeded(0, &device);
    let found = log_likelihood(
        &process,
        images,
        &grid,
        trace,
        pure_noise_log_density,
        &mut rng,
    )?;

    let bits = bits_per_dimension(found.value, SIZE * SIZE, 256);
    for (name, bits) in ["phantom", "its pixels in another order"]
        .iter()
        .zip(bits.iter_dim(0))
    {
        println!("{name}: {:.2} bits per pixel", bits.into_scalar::<f32>());
    }
    Ok(())
}
