//! `tweedie reproduce objectives`: one small network of digits for each objective of training, its samples judged by a published
//! classifier.

mod names;

use std::{path::PathBuf, sync::Arc, time::Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    data::{Idx, Image, Split, Unlabelled},
    metrics::frechet_distance,
    models::{ModelConfig, Network},
    training::{
        CHECKPOINTS_FOLDER, Checkpoint, Diffusion, Event, Examples, Flow, LearningRateDecay,
        Trainer, TrainingConfig, TrainingError,
    },
};

use self::names::ObjectiveName;
use crate::{
    failure::{Failure, Outcome},
    judge::{DIGITS, Judge, SIZE, sure},
    quality::save_report,
    sheet::save_sheet,
    train::draws,
};

/// Images that are drawn at a time.
const BATCH: usize = 64;

/// Samples of each objective in the picture.
const SHOWN: usize = 16;

/// Keeps the random numbers of the samples apart from those of the training.
const PURPOSE: u64 = u64::from_be_bytes(*b"judged\0\0");

/// A small network of digits for each objective of training, judged by a published classifier
///
/// All have the network `tiny`, the same batches, and a learning rate that falls as half a cosine; samples are drawn by 50 steps of
/// DDIM. The figures are the share of samples of which the classifier is surer than one half, and the Fréchet distance between its hidden
/// layer on samples and on as many test digits. The classifier is sure of much that is no digit, mostly an 8, so the share says little
/// without the distance: noise stands beside as a control, and other test digits as what can be reached. A run that was interrupted
/// goes on where it has stopped.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of MNIST.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The classifier: mnist.safetensors of burn's example `import-model-weights`.
    #[arg(long, value_name = "FILE")]
    classifier: PathBuf,
    /// The objectives; all unless said.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    objectives: Vec<ObjectiveName>,
    /// Steps of each training.
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Images of a step.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// How many samples of each.
    #[arg(long, default_value_t = 256, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=5000))]
    samples: u32,
    /// Folder of the runs.
    #[arg(long, default_value = "runs/objectives", value_name = "DIR")]
    out: PathBuf,
    /// Also write the figures here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the first samples, a row for each objective.
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// One objective, or what is compared with it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    samples: usize,
    share: f64,
    standard_error: f64,
    /// Fréchet distance to test digits.
    distance: f64,
    /// How many samples are taken for each digit.
    digits: [usize; DIGITS],
    /// Of training, in this run of the program.
    seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let device = Device::flex();
    let judge = Judge::open(&arguments.classifier, &device)?;
    let open = |split| -> Outcome<Examples> {
        let digits = Idx::open(&arguments.data, split)?;
        Ok(Arc::new(Unlabelled(digits)))
    };
    let (learnt, held_out) = (open(Split::Train)?, open(Split::Test)?);
    let names = match arguments.objectives.as_slice() {
        [] => ObjectiveName::value_variants(),
        some => some,
    };
    let count = arguments.samples as usize;
    let digits = test_digits(&held_out, 2 * count, &device)?;
    let scale = Scale {
        judge: &judge,
        reference: judge.features(digits.clone().slice(0..count)),
    };
    println!(
        "{:<16}{:>9}{:>18}{:>11}{:>9}   digits 0 to 9",
        "", "samples", "sure", "Fréchet", "s"
    );
    let noise = Rng::seeded(1, &device).uniform([count, 1, SIZE, SIZE]);
    let mut rows = vec![
        scale.row("(test digits)", &digits.slice(count..2 * count), 0.0),
        scale.row("(noise)", &noise, 0.0),
    ];
    rows.iter().for_each(print);
    let mut shown = Vec::new();
    for &name in names {
        let (images, seconds) = one(name, arguments, [&learnt, &held_out], &device)?;
        let row = scale.row(&word(name), &images, seconds);
        print(&row);
        shown.push(images.slice(0..SHOWN.min(count)));
        rows.push(row);
    }
    if let Some(path) = &arguments.picture {
        save_sheet(Tensor::cat(shown, 0), SHOWN.min(count), path)?;
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    Ok(())
}

/// What samples are measured by.
struct Scale<'a> {
    judge: &'a Judge,
    /// Features of test digits.
    reference: Tensor<2>,
}

impl Scale<'_> {
    fn row(&self, name: &str, images: &Tensor<4>, seconds: f64) -> Row {
        let verdicts = self.judge.verdicts(images);
        let (share, standard_error) = sure(&verdicts);
        let mut digits = [0; DIGITS];
        for (digit, _) in &verdicts {
            digits[*digit] += 1;
        }
        let features = self.judge.features(images.clone());
        Row {
            name: name.to_owned(),
            samples: verdicts.len(),
            share,
            standard_error,
            distance: frechet_distance(features, self.reference.clone()),
            digits,
            seconds,
        }
    }
}

/// The test split is of no use here.
#[derive(Debug, thiserror::Error)]
#[error(
    "the test split has {found} images of {shape:?} (channels, height, width), expected at least {expected} of [1, {SIZE}, {SIZE}]"
)]
struct OtherImages {
    found: usize,
    shape: [usize; 3],
    expected: usize,
}

/// The first digits of a set.
fn test_digits(set: &Examples, count: usize, device: &Device) -> Outcome<Tensor<4>> {
    let images = (0..count.min(set.len()))
        .map(|index| Ok(set.get(index)?.image))
        .collect::<Outcome<Vec<Image>>>()?;
    let batch = Image::batch(&images, device)?;
    let [found, channels, height, width] = batch.dims();
    if found < count || [channels, height, width] != [1, SIZE, SIZE] {
        return Err(Failure::usage(OtherImages {
            found,
            shape: [channels, height, width],
            expected: count,
        }));
    }
    Ok(batch)
}

/// Trains and draws; the samples, and the seconds that the training took.
fn one(
    name: ObjectiveName,
    arguments: &Arguments,
    [learnt, held_out]: [&Examples; 2],
    device: &Device,
) -> Outcome<(Tensor<4>, f64)> {
    let (model, learning) = name.task()?;
    let config = TrainingConfig {
        steps: arguments.steps,
        batch_size: arguments.batch_size as usize,
        learning_rate_decay: LearningRateDecay::Cosine { floor: 0.0 },
        validate_every: 0,
        sample_every: 0,
        ..TrainingConfig::default()
    };
    let folder = arguments.out.join(word(name));
    let task = Diffusion::new(model.clone(), learning)?;
    let (learnt, held_out) = (learnt.clone(), held_out.clone());
    let mut trainer = match Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER)) {
        Ok(checkpoint) => {
            if checkpoint.config()? != config {
                return Err(TrainingError::Occupied { folder }.into());
            }
            Trainer::resume(&checkpoint, config, task, learnt, held_out, device)?
        }
        Err(TrainingError::NoCheckpoint { .. }) => {
            Trainer::new(config, task, learnt, held_out, device)?
        }
        Err(error) => return Err(error.into()),
    };
    let start = Instant::now();
    trainer.run(&folder, |event| {
        if let Event::Checkpoint(checkpoint) = event {
            eprintln!("{}: step {}", word(name), checkpoint.step());
        }
        Flow::Continue
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let count = arguments.samples as usize;
    Ok((samples(&model, trainer.average(), count, device)?, seconds))
}

fn samples(
    model: &ModelConfig,
    network: &Network,
    count: usize,
    device: &Device,
) -> Outcome<Tensor<4>> {
    let rng = Rng::seeded(0, device).fork(PURPOSE);
    let batches = (0..count).step_by(BATCH).map(|start| {
        let mut rng = rng.clone().starting_at(start as u64);
        draws(model, network, start..count.min(start + BATCH), &mut rng)
    });
    let batches = batches.collect::<Result<Vec<_>, Failure>>()?;
    Ok(Tensor::cat(batches, 0).clamp(0.0, 1.0))
}

fn word(name: ObjectiveName) -> String {
    name.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn print(row: &Row) {
    println!(
        "{:<16}{:>9}{:>18}{:>11.1}{:>9.0}   {:?}",
        row.name,
        row.samples,
        format!(
            "{:.1} +- {:.1} %",
            100.0 * row.share,
            100.0 * row.standard_error
        ),
        row.distance,
        row.seconds,
        row.digits,
    );
}
