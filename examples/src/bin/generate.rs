//! How do I draw new images from a trained model?

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use tweedie::{data::grid, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let model = Pretrained::open(tweedie_examples::checkpoint(), &device)?;
    let schedule = model.schedule();

    let times = TimeGrid::uniform(schedule.horizon(), 0.0, 20)?;
    let mut rng = Rng::seeded(0, &device);
    let start = pure_noise(&schedule, [4, 1, 32, 32], times.start(), &mut rng);
    let process = Reverse::flow(schedule, Clipped::unit(model.denoiser()));
    let samples = integrate(
        &process,
        &Ddim::new(0.0)?,
        start,
        &times,
        &mut rng,
        |step| {
            if (step.index + 1) % 5 == 0 {
                println!("step {} of {}", step.index + 1, step.steps);
            }
        },
    )?;

    let path = std::env::temp_dir().join("tweedie-samples.png");
    grid(&Image::unbatch(samples)?, 4, 1)?.save(&path)?;
    println!("samples: {}", path.display());
    Ok(())
}
