//! `tweedie reproduce digits-by-class`: samples of asked digits, judged by a published classifier.
//!
//! What is drawn is `p(x | c)`, by a network that is told the class, with classifier-free guidance (Ho & Salimans 2022,
//! <https://arxiv.org/abs/2207.12598>) or without, or led by a classifier of noisy images (Dhariwal & Nichol 2021,
//! <https://arxiv.org/abs/2105.05233>).

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    samplers::{Draw, DrawConfig, draw},
};

use crate::{
    classes,
    failure::{Failure, Outcome},
    judge::{DIGITS, Judge, SIZE, standard_error, sure},
    method::Method,
    model,
    quality::save_report,
    sheet::save_sheet,
    steps::StepBar,
};

/// Images at a time.
const BATCH: usize = 50;

/// Rows of the picture.
const SHOWN: usize = 8;

/// Samples of asked digits, judged by a published classifier
///
/// The figures are the share of samples that the classifier takes for the digit that was asked for, and the share of which it is surer
/// than one half, with their standard errors.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: model::Arguments,
    /// The judge: mnist.safetensors of burn's example `import-model-weights`, which is not the same as the mnist.pt beside it.
    #[arg(long, value_name = "FILE")]
    judge: PathBuf,
    /// How many samples.
    #[arg(long, default_value_t = 500, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    #[command(flatten)]
    classes: classes::Arguments,
    #[command(flatten)]
    method: Method,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Also write the figures here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the first samples.
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// How the samples were judged.
#[derive(Debug, Serialize)]
struct Figures {
    samples: usize,
    /// Of the network, for a batch.
    evaluations: usize,
    /// Share of samples that are taken for the digit asked for.
    right: f64,
    right_error: f64,
    /// Share of samples of which the judge is sure.
    sure: f64,
    sure_error: f64,
    /// The samples of each digit asked for, by what they are taken for.
    taken: [[usize; DIGITS]; DIGITS],
}

/// The network does not make digits.
#[derive(Debug, thiserror::Error)]
#[error("{name} makes images of {found:?} pixels, expected [1, {SIZE}, {SIZE}]")]
struct OtherImages {
    name: String,
    found: [usize; 3],
}

/// The network is told of more than digits.
#[derive(Debug, thiserror::Error)]
#[error("expected a network of {DIGITS} classes, the digits, found {found}")]
struct OtherClasses {
    found: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let device = Device::flex();
    let model = arguments.model.open(&device)?;
    let [height, width] = model.config().image_size;
    let found = [model.config().architecture.channels(), height, width];
    if found != [1, SIZE, SIZE] {
        return Err(Failure::usage(OtherImages {
            name: model.name,
            found,
        }));
    }
    let judge = Judge::open(&arguments.judge, &device)?;
    let classes = arguments.classes.of_or_all(&model, &device)?;
    if classes.count() != DIGITS {
        return Err(Failure::usage(OtherClasses {
            found: classes.count(),
        }));
    }
    println!("{} samples from {}", arguments.samples, model.name);

    let schedule = model.schedule()?;
    let build = |denoiser| arguments.method.sampler(schedule.clone(), denoiser);
    let sampler = classes.sampler(build, [0.0, 1.0])?;
    let config = DrawConfig::new(arguments.samples as usize, BATCH);
    let bar = StepBar::new(&config);
    let mut images = Vec::new();
    draw(
        sampler.as_ref(),
        found,
        config,
        &Rng::seeded(arguments.seed, &device),
        |event| match event {
            Draw::Step { first, step } => bar.show(first, &step),
            Draw::Batch { samples, .. } => images.push(samples.clone().clamp(0.0, 1.0)),
            _ => {}
        },
    )?;
    bar.finish();

    let evaluations = classes.evaluations() / images.len();
    let images = Tensor::cat(images, 0);
    let figures = judged(
        &judge,
        &images,
        |sample| classes.class_of(sample),
        evaluations,
    );
    print(&figures);
    if let Some(path) = &arguments.picture {
        let columns = classes.columns().unwrap_or(DIGITS);
        let count = images.dims()[0].min(SHOWN * columns);
        save_sheet(images.slice(0..count), columns, path)?;
    }
    if let Some(path) = &arguments.json {
        save_report(&figures, path)?;
    }
    Ok(())
}

fn judged(
    judge: &Judge,
    images: &Tensor<4>,
    class_of: impl Fn(usize) -> usize,
    evaluations: usize,
) -> Figures {
    let verdicts = judge.verdicts(images);
    let samples = verdicts.len();
    let mut taken = [[0; DIGITS]; DIGITS];
    for (sample, (digit, _)) in verdicts.iter().enumerate() {
        taken[class_of(sample)][*digit] += 1;
    }
    let right: usize = (0..DIGITS).map(|digit| taken[digit][digit]).sum();
    let right = right as f64 / samples as f64;
    let (sure, sure_error) = sure(&verdicts);
    Figures {
        samples,
        evaluations,
        right,
        right_error: standard_error(right, samples as f64),
        sure,
        sure_error,
        taken,
    }
}

fn print(figures: &Figures) {
    println!("digit asked for, and how many samples are taken for 0 to 9:");
    for (digit, taken) in figures.taken.iter().enumerate() {
        if taken.iter().any(|&count| count > 0) {
            println!("{digit}  {taken:?}");
        }
    }
    let percent =
        |share: f64, error: f64| format!("{:.1} +- {:.1} %", 100.0 * share, 100.0 * error);
    println!(
        "{} of the asked class, {} sure; {} evaluations of the network for each",
        percent(figures.right, figures.right_error),
        percent(figures.sure, figures.sure_error),
        figures.evaluations
    );
}
