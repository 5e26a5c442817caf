//! `tweedie restore`: posterior samples of an image given a measurement of it.

mod arguments;
mod overview;
mod problem;
mod report;

use std::{path::Path, process::ExitCode, time::Instant};

use tweedie::{
    burn::tensor::Tensor,
    core::{Clipped, Counted, Rng},
    data::{Image, magma},
    fidelity::{Ald, Dps, Isotropic, Mmps, NoisyFidelity, Pigdm, Posterior, Tmpd},
    samplers::{Draw, DrawConfig, Draws, draw},
};

pub(crate) use arguments::Arguments;
use arguments::MethodName;
use problem::Problem;
use report::Report;

use crate::{
    device::DeviceName,
    failure::{Failure, Outcome},
    model,
    sheet::{columns, make_folder, save_sheet},
    steps::StepBar,
};

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let operator = arguments.operator_config().map_err(Failure::usage)?;
    let device_name = device.name();
    let device = device.open()?;
    let (model, model_name) = model::open(arguments.checkpoint.as_deref(), &device)?;
    let problem = Problem::pose(arguments, operator, &model, &device)?;
    make_folder(&arguments.out)?;
    println!(
        "{}: {} with {model_name}",
        problem.name,
        arguments.summary()
    );

    let prior = Counted::new(model.denoiser());
    let guidance = guidance(arguments, &problem)?;
    let posterior = Clipped::unit(Posterior {
        prior: &prior,
        guidance,
    });
    let sampler = arguments.method.sampler(model.schedule(), &posterior)?;
    let config = DrawConfig {
        samples: arguments.samples as usize,
        batch_size: arguments.batch_size as usize,
    };
    // Sampling must not read the numbers that made the measurement.
    let rng = Rng::seeded(arguments.seed, &device).fork(problem::SAMPLING);
    let bar = StepBar::new(config, arguments.method.steps as usize);
    let start = Instant::now();
    let mut samples = Vec::new();
    let [_, channels, height, width] = problem.image_shape;
    let draws = draw(
        sampler.as_ref(),
        [channels, height, width],
        config,
        &rng,
        |event| match event {
            Draw::Step { first, step } => bar.show(first, &step),
            Draw::Batch { samples: batch, .. } => samples.push(batch.clone()),
            _ => {}
        },
    )?;
    bar.finish();
    let report = Report::new(
        arguments,
        &problem,
        &draws,
        report::Run {
            checkpoint: model_name,
            device: device_name,
            evaluations: prior.evaluations(),
            seconds: start.elapsed().as_secs_f64(),
        },
    );
    write(&arguments.out, &problem, samples, &draws)?;
    report.save(&arguments.out.join("report.json"))?;
    print!("{report}");
    println!("pictures and report.json: {}", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

fn guidance<'a>(
    arguments: &Arguments,
    problem: &'a Problem,
) -> Outcome<Box<dyn NoisyFidelity + 'a>> {
    let spread = Isotropic::new(arguments.prior_variance)?;
    let (operator, y) = (problem.operator.as_ref(), problem.measurement.clone());
    Ok(match arguments.method_name {
        MethodName::Dps => Box::new(Dps::annealed(operator, y, arguments.noise_std, spread)?),
        MethodName::Pigdm => Box::new(Pigdm::new(operator, y, arguments.noise_std, spread)?),
        MethodName::Mmps => Box::new(Mmps::new(operator, y, arguments.noise_std)?),
        MethodName::Tmpd => Box::new(Tmpd::new(operator, y, arguments.noise_std)?),
        MethodName::Ald => Box::new(Ald::new(operator, y, arguments.noise_std)?),
    })
}

fn write(folder: &Path, problem: &Problem, samples: Vec<Tensor<4>>, draws: &Draws) -> Outcome<()> {
    if let Some(clean) = &problem.clean {
        save_sheet(clean.clone(), 1, &folder.join("clean.png"))?;
    }
    save_sheet(
        problem.measurement.clone(),
        1,
        &folder.join("measurement.png"),
    )?;
    if let Some(mask) = &problem.mask {
        save_sheet(mask.clone(), 1, &folder.join("mask.png"))?;
    }
    save_sheet(draws.mean.clone(), 1, &folder.join("mean.png"))?;
    let samples = Tensor::cat(samples, 0);
    let sheet = folder.join("samples.png");
    save_sheet(samples.clone(), columns(draws.samples), &sheet)?;
    let std = match &draws.std {
        Some(std) => Some(painted(std)?),
        None => None,
    };
    if let Some(picture) = &std {
        picture.save(folder.join("std.png"))?;
    }
    overview::save(problem, &samples, draws, std, &folder.join("overview.png"))
}

/// A standard-deviation map in colours, its largest value brightest.
fn painted(std: &Tensor<4>) -> Outcome<Image> {
    let shape = std.dims();
    let map = Image::new(shape[1], shape[2], shape[3], std.try_to_vec_as::<f32>()?)?;
    Ok(magma(&map, map.maximum()))
}
