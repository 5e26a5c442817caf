//! `tweedie evaluate`: how likely images are under a model.

mod arguments;
mod flow;

use std::{process::ExitCode, time::Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use tweedie::{
    burn::{
        data::dataset::Dataset,
        tensor::{Device, Tensor},
    },
    core::{Given, Rng},
    data::{Example, Image},
    training::{Bound, Estimate, Prediction, TrainingError, VariationalBound},
};

pub(crate) use arguments::Arguments;
use arguments::VarianceName;

use crate::{
    device::DeviceName,
    failure::{Failure, Outcome},
    model::Model,
    quality::save_report,
};

/// Keeps the random numbers of the flow apart from those of the bound.
const FLOW: u64 = u64::from_be_bytes(*b"flow\0\0\0\0");

/// Images, and the class of each where there are classes.
struct Batch {
    first: usize,
    images: Tensor<4>,
    classes: Option<Vec<usize>>,
}

/// What is written as JSON; likelihoods in bits per dimension.
#[derive(Serialize)]
struct Report {
    checkpoint: String,
    data: String,
    images: usize,
    seed: u64,
    device: &'static str,
    bound: Option<BoundReport>,
    flow: Option<FlowReport>,
}

#[derive(Serialize)]
struct BoundReport {
    variance: VarianceName,
    /// Ranges of steps of which one denoising term was computed for each image.
    ranges: usize,
    prior: Estimate,
    denoising: Estimate,
    reconstruction: Estimate,
    total: Estimate,
    /// The sums of the denoising terms of the ranges.
    terms: Vec<Term>,
    seconds: f64,
}

#[derive(Serialize)]
struct Term {
    first_step: usize,
    last_step: usize,
    bits: Estimate,
}

#[derive(Serialize)]
struct FlowReport {
    steps: u32,
    probes: u32,
    /// The lowest noise level, in units of pixels in [0, 1].
    sigma: f64,
    total: Estimate,
    seconds: f64,
}

/// A data set with too few images.
#[derive(Debug, thiserror::Error)]
#[error("--images {asked}: the data set has {found} ({note})")]
struct TooFew {
    asked: u32,
    found: usize,
    note: &'static str,
}

/// Neither number is left.
#[derive(Debug, thiserror::Error)]
#[error("--ode-steps 0 leaves the variational bound alone, and there is none: {error}")]
struct NothingLeft {
    error: TrainingError,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let device_name = device.name();
    let device = device.open()?;
    let model = arguments.model.open(&device)?;
    let [height, width] = model.config().image_size;
    let shape = [model.channels(), height, width];
    let architecture = &model.config().architecture;
    architecture.check_size(height, width)?;
    let schedule = model.schedule()?;
    let classes = architecture.classes();
    let (examples, note) = arguments.data.open(shape, classes, arguments.seed)?;
    if examples.len() < arguments.images as usize {
        return Err(Failure::usage(TooFew {
            asked: arguments.images,
            found: examples.len(),
            note,
        }));
    }
    println!(
        "{} images of {} ({note}), {} x {height} x {width}, under {}",
        arguments.images,
        arguments.data.word(),
        shape[0],
        model.name
    );
    let batches = batches(&*examples, classes > 0, arguments, &device)?;
    let rng = Rng::seeded(arguments.seed, &device);

    let bound = bound(&model, arguments, &batches, &rng)?;
    if let Some(bound) = &bound {
        bound.print();
    }
    let flow = (arguments.ode_steps > 0)
        .then(|| {
            let first = flow::first_time(model.config(), &*schedule);
            let grid = flow::grid(&*schedule, first, arguments.ode_steps)?;
            let start = Instant::now();
            let bits = each(&batches, |batch| {
                let denoiser = model.given(batch.classes.as_deref())?;
                let mut rng = rng.fork(FLOW).starting_at(batch.first as u64);
                let images = batch.images.clone();
                flow::bits(
                    &schedule,
                    &*denoiser,
                    images,
                    &grid,
                    arguments.probes,
                    &mut rng,
                )
            })?;
            Ok::<_, Failure>(FlowReport {
                steps: arguments.ode_steps,
                probes: arguments.probes,
                sigma: schedule.sigma(first),
                total: Estimate::of(&bits.concat()),
                seconds: start.elapsed().as_secs_f64(),
            })
        })
        .transpose()?;
    if let Some(flow) = &flow {
        flow.print();
    }
    if let Some(path) = &arguments.json {
        let report = Report {
            checkpoint: model.name.clone(),
            data: arguments.data.word(),
            images: arguments.images as usize,
            seed: arguments.seed,
            device: device_name,
            bound,
            flow,
        };
        save_report(&report, path)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn batches(
    examples: &dyn Dataset<Example>,
    told: bool,
    arguments: &Arguments,
    device: &Device,
) -> Outcome<Vec<Batch>> {
    let (count, size) = (arguments.images as usize, arguments.batch_size as usize);
    let batch = |first: usize| {
        let chosen = (first..count.min(first + size)).map(|index| examples.get(index));
        let chosen: Vec<Example> = chosen.collect::<Result<_, _>>()?;
        let classes = chosen.iter().map(|example| example.class.filter(|_| told));
        let classes = classes.collect();
        let images: Vec<Image> = chosen.into_iter().map(|example| example.image).collect();
        Ok(Batch {
            first,
            images: Image::batch(&images, device)?,
            classes,
        })
    };
    (0..count).step_by(size).map(batch).collect()
}

/// With a bar over the batches, where the output is a terminal.
fn each<T>(batches: &[Batch], of: impl Fn(&Batch) -> Outcome<T>) -> Outcome<Vec<T>> {
    let bar = ProgressBar::new(batches.len() as u64);
    let found = batches.iter().map(|batch| {
        let found = of(batch);
        bar.inc(1);
        found
    });
    let found = found.collect();
    bar.finish_and_clear();
    found
}

/// None, with a note, for a model that has no chain of steps; an error where it is all that was asked for.
fn bound(
    model: &Model,
    arguments: &Arguments,
    batches: &[Batch],
    rng: &Rng,
) -> Outcome<Option<BoundReport>> {
    let config = model.config();
    let variance = arguments.variance.unwrap_or_else(|| {
        if config.architecture.learns_variance() {
            VarianceName::Learned
        } else {
            VarianceName::Posterior
        }
    });
    let ranges = Some(arguments.ranges as usize);
    let pixels = config.pixels.range();
    let bound = match Bound::new(Prediction::of(config)?, pixels, variance.into(), ranges) {
        Ok(bound) => bound,
        Err(error @ (TrainingError::NoSteps { .. } | TrainingError::NotPreserving { .. })) => {
            if arguments.ode_steps == 0 {
                return Err(Failure::usage(NothingLeft { error }));
            }
            println!("no variational bound: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let start = Instant::now();
    let parts = each(batches, |batch| {
        let told = model.told(batch.classes.as_deref())?;
        let mut rng = rng.clone().starting_at(batch.first as u64);
        Ok(bound.of(&told, batch.images.clone(), Given::nothing(), &mut rng)?)
    })?;
    let joined = parts.into_iter().reduce(|mut all, part| {
        all.append(part);
        all
    });
    let seconds = start.elapsed().as_secs_f64();
    Ok(joined.map(|bound| BoundReport::of(&bound, variance, seconds)))
}

impl BoundReport {
    fn of(bound: &VariationalBound, variance: VarianceName, seconds: f64) -> Self {
        let terms = bound.denoising.iter().map(|term| Term {
            first_step: *term.steps.start(),
            last_step: *term.steps.end(),
            bits: Estimate::of(&term.bits),
        });
        Self {
            variance,
            ranges: bound.denoising.len(),
            prior: Estimate::of(&bound.prior),
            denoising: Estimate::of(&bound.denoised()),
            reconstruction: Estimate::of(&bound.reconstruction),
            total: Estimate::of(&bound.total()),
            terms: terms.collect(),
            seconds,
        }
    }

    fn print(&self) {
        let last = self.terms.last().map_or(1, |term| term.last_step);
        println!(
            "variational bound, bits per dimension, {:?} variance, {:.1} s",
            self.variance, self.seconds
        );
        println!("  prior           {}", self.prior);
        println!(
            "  denoising       {}   steps 2 to {last} in {} ranges",
            self.denoising, self.ranges
        );
        println!("  reconstruction  {}", self.reconstruction);
        println!("  total           {}", self.total);
    }
}

impl FlowReport {
    fn print(&self) {
        println!(
            "probability flow, bits per dimension of uniformly dequantised images, {} steps down to sigma {:.4}, {:.1} s",
            self.steps, self.sigma, self.seconds
        );
        println!("  total           {}", self.total);
    }
}
