//! `tweedie sample`: draws from a trained model.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use tweedie::{
    burn::tensor::Tensor,
    core::{Clipped, Counted, Denoiser, Rng, Schedule},
    samplers::{Draw, DrawConfig, PosteriorSampler, draw},
    solvers::Recorder,
};

use crate::{
    classes::{self, Classes},
    device::DeviceName,
    failure::{Failure, Outcome},
    method::{Method, SolverName},
    model::{self, Model},
    posterior::name_of,
    sheet::{columns, save_sheet},
    steps::StepBar,
};

/// Number of states in a trajectory strip.
const FRAMES: usize = 10;

/// How many samples a trajectory strip shows.
const STRIPS: usize = 4;

/// Draw images from a trained model
///
/// Writes one PNG sheet of samples. Sample number i depends on the seed and on i alone: the batch size changes speed and
/// memory, never an image.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: model::Arguments,
    /// How many images.
    #[arg(long, default_value_t = 16, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// How many images at a time.
    #[arg(long, default_value_t = 16, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Height and width of the images in pixels; the default is that of the training images.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    size: Option<u32>,
    #[command(flatten)]
    classes: classes::Arguments,
    #[command(flatten)]
    method: Method,
    /// Draw each step with the variance that the network has learnt, in the place of the posterior's; for --solver ddpm.
    #[arg(long)]
    learned_variance: bool,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where the pictures are written; made if it does not exist.
    #[arg(long, default_value = "runs/sample", value_name = "DIR")]
    out: PathBuf,
    /// Also write a strip with the states of the first samples, from noise to image.
    #[arg(long)]
    trajectory: bool,
    /// Also write each sample as a PNG file of its own, into DIR/images.
    #[arg(long)]
    separate: bool,
}

/// Why there is no learnt variance to draw with.
#[derive(Debug, thiserror::Error)]
enum VarianceError {
    #[error(
        "--learned-variance is for --solver ddpm, found --solver {}",
        name_of(found)
    )]
    Solver { found: SolverName },
    #[error(
        "--learned-variance is for a network that has learnt one, such as a unet with learned_sigma, as it is: found {name}"
    )]
    Network { name: String },
    #[error(
        "--learned-variance and --classifier cannot be had together: what a classifier leads has no variance"
    )]
    Classifier,
}

impl Arguments {
    /// Refuses to draw with a variance that is not there.
    fn check_variance(&self, model: &Model, classes: Option<&Classes<'_>>) -> Outcome<()> {
        let found = self.method.solver;
        let error = if !self.learned_variance {
            return Ok(());
        } else if found != SolverName::Ddpm {
            VarianceError::Solver { found }
        } else if !model.has_variance() {
            let name = model.name.clone();
            VarianceError::Network { name }
        } else if classes.is_some_and(Classes::has_classifier) {
            VarianceError::Classifier
        } else {
            return Ok(());
        };
        Err(Failure::usage(error))
    }

    fn sampler<'a>(
        &self,
        schedule: Arc<dyn Schedule>,
        denoiser: Box<dyn Denoiser + 'a>,
    ) -> Outcome<Box<dyn PosteriorSampler + 'a>> {
        match self.learned_variance {
            true => self.method.learned_sampler(schedule, denoiser),
            false => self.method.sampler(schedule, denoiser),
        }
    }
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let device = device.open()?;
    let model = arguments.model.open_any(&device)?;
    let schedule = model.schedule()?;
    let channels = model.channels();
    let [height, width] = match arguments.size {
        Some(size) => [size as usize; 2],
        None => model.image_size(),
    };
    let decoder = model.decoder([channels, height, width])?;
    let (low, high) = model.range();
    let classes = arguments.classes.of(&model, &device)?;
    arguments.check_variance(&model, classes.as_ref())?;
    let prior = Counted::new(model.denoiser());
    let build = |denoiser| arguments.sampler(schedule.clone(), denoiser);
    let sampler: Box<dyn PosteriorSampler + '_> = match &classes {
        None => {
            let inner = &prior;
            build(Box::new(Clipped { inner, low, high }))?
        }
        Some(classes) => classes.sampler(build, [low, high])?,
    };
    let sampler = match &decoder {
        None => sampler,
        Some(decoder) => decoder.decoded(sampler),
    };
    println!(
        "{} samples of {height} x {width} pixels from {}",
        arguments.samples, model.name
    );

    let config = DrawConfig::new(arguments.samples as usize, arguments.batch_size as usize);
    let rng = Rng::seeded(arguments.seed, &device);
    let bar = StepBar::new(&config);
    let mut recorder = Recorder::new(FRAMES);
    let mut images = Vec::new();
    draw(
        sampler.as_ref(),
        [channels, height, width],
        config,
        &rng,
        |event| match event {
            Draw::Step { first, step } => {
                bar.show(first, &step);
                if first == 0 && arguments.trajectory {
                    recorder.record(&step);
                }
            }
            Draw::Batch { samples, .. } => images.push(samples.clone()),
            _ => {}
        },
    )?;
    bar.finish();

    let images = Tensor::cat(images, 0);
    let sheet = arguments.out.join("samples.png");
    let by_class = classes.as_ref().and_then(Classes::columns);
    let columns = by_class.unwrap_or_else(|| columns(arguments.samples as usize));
    save_sheet(images.clone(), columns, &sheet)?;
    println!("samples: {}", sheet.display());
    if arguments.trajectory {
        let path = arguments.out.join("trajectory.png");
        let states = recorder
            .into_states()
            .into_iter()
            .map(|(_, state)| match &decoder {
                None => state,
                Some(decoder) => decoder.decode(state),
            });
        save_trajectory(states.collect(), &path)?;
        println!("trajectory: {}", path.display());
    }
    if arguments.separate {
        save_each(&images, &arguments.out.join("images"))?;
    }
    let evaluations = classes
        .as_ref()
        .map_or(prior.evaluations(), Classes::evaluations);
    println!("{evaluations} evaluations of the network");
    Ok(ExitCode::SUCCESS)
}

/// One row per sample, one column per state; each state brought to [0, 1] by its own range.
fn save_trajectory(states: Vec<Tensor<4>>, path: &std::path::Path) -> Outcome<()> {
    let Some(first) = states.first() else {
        return Ok(());
    };
    let (rows, frames) = (first.dims()[0].min(STRIPS), states.len());
    let mut cells = Vec::new();
    for row in 0..rows {
        for state in &states {
            cells.push(stretched(state.clone().slice(row..row + 1)));
        }
    }
    save_sheet(Tensor::cat(cells, 0), frames, path)
}

/// Images that leave [0, 1], as noise does, are shrunk around mid-grey until they fit.
fn stretched(image: Tensor<4>) -> Tensor<4> {
    let centred = image.sub_scalar(0.5);
    let reach = centred
        .clone()
        .abs()
        .max()
        .clamp_min(0.5)
        .reshape([1, 1, 1, 1]);
    (centred / reach).mul_scalar(0.5).add_scalar(0.5)
}

fn save_each(images: &Tensor<4>, folder: &std::path::Path) -> Outcome<()> {
    for index in 0..images.dims()[0] {
        let path = folder.join(format!("{index:05}.png"));
        save_sheet(images.clone().slice(index..index + 1), 1, &path)?;
    }
    println!("images: {}", folder.display());
    Ok(())
}
