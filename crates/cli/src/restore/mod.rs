//! `tweedie restore`: posterior samples of an image given a measurement of it.

mod arguments;
mod learned;
mod report;
mod space;

use std::{path::Path, process::ExitCode, time::Instant};

use tweedie::{
    burn::tensor::Tensor,
    core::{Counted, Denoiser, Rng},
    samplers::{Draw, Draws, draw},
};

pub(crate) use arguments::Arguments;
use report::Report;
use space::Space;

use crate::{
    device::DeviceName,
    failure::{Failure, Outcome},
    overview::{self, painted},
    posterior::Recipe,
    problem::{self, Problem},
    quality::save_report,
    sheet::{columns, make_folder, save_sheet},
    steps::StepBar,
};

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let config = arguments.draw_config().map_err(Failure::usage)?;
    let device_name = device.name();
    let device = device.open()?;
    let model = match arguments.learned {
        true => arguments.model.open_seeing(&device)?,
        false => arguments.model.open_any(&device)?,
    };
    let schedule = model.schedule()?;
    let fits = |image: [usize; 3]| model.decoder(image).map(|_| ());
    let posed = &arguments.problem;
    let problem = Problem::pose(posed, model.image_size(), fits, &device)?;
    let space = Space::of(&model, &problem, posed)?;
    make_folder(&arguments.out)?;
    println!(
        "{}: {} with {}",
        problem.name,
        arguments.summary(),
        model.name
    );

    let denoiser: Box<dyn Denoiser + '_> = match arguments.learned {
        true => learned::denoiser(arguments, &model, &problem)?,
        false => {
            model.check_without_class()?;
            Box::new(model.denoiser())
        }
    };
    let prior = Counted::new(denoiser);
    let recipe = Recipe {
        method: arguments.method_name,
        settings: arguments.settings.as_deref(),
        steps: arguments.method,
        schedule: &schedule,
        prior: &prior,
        prior_variance: arguments.prior_variance,
        operator: &space.operator,
        operator_name: space.operator_name,
        y: &problem.measurement,
        noise_std: posed.noise_std,
        range: model.range(),
        image: space.shape,
    };
    let sampler = match arguments.learned {
        true => recipe.unguided()?,
        false => recipe.sampler()?,
    };
    let sampler = space.decoded(sampler);
    // Sampling must not read the numbers that made the measurement.
    let rng = Rng::seeded(posed.seed, &device).fork(problem::SAMPLING);
    let bar = StepBar::new(&config);
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
    let interval = arguments.level.map(|level| draws.interval(level));
    let interval = interval.transpose()?;
    let report = Report::new(
        arguments,
        &problem,
        &draws,
        interval.as_ref(),
        report::Run {
            checkpoint: model.name.clone(),
            device: device_name,
            evaluations: prior.evaluations(),
            seconds: start.elapsed().as_secs_f64(),
        },
    );
    write(&arguments.out, &problem, samples, &draws)?;
    if let Some(interval) = interval {
        save_sheet(interval.lower, 1, &arguments.out.join("lower.png"))?;
        save_sheet(interval.upper, 1, &arguments.out.join("upper.png"))?;
    }
    save_report(&report, &arguments.out.join("report.json"))?;
    print!("{report}");
    println!("pictures and report.json: {}", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, problem: &Problem, samples: Vec<Tensor<4>>, draws: &Draws) -> Outcome<()> {
    problem.save(folder)?;
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
    overview::save(
        problem,
        &samples,
        &draws.mean,
        std,
        &folder.join("overview.png"),
    )
}
