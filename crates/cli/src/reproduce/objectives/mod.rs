//! `tweedie reproduce objectives`: one small network of digits for each objective of training, its samples judged by a published
//! classifier.

mod names;
mod runs;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    data::Image,
    metrics::frechet_distance,
    training::Examples,
};

use self::{
    names::ObjectiveName,
    runs::{Runs, word},
};
use crate::{
    failure::{Failure, Outcome},
    judge::{DIGITS, Judge, SIZE, sure},
    quality::save_report,
    sheet::save_sheet,
};

/// Samples of each row of the picture.
const SHOWN: usize = 16;

/// A small network of digits for each objective of training, judged by a published classifier
///
/// All have the network `tiny`, the same batches, and a learning rate that falls as half a cosine; samples are drawn by 50 steps of
/// DDIM. Those in `latent` learn the 2 x 4 x 4 latents of an autoencoder, which is trained first and for as many steps, with two levels of
/// the network; `implicit-latent` sees half of the images. The figures are the share of samples of which the classifier is surer
/// than one half, and the Fréchet distance between its hidden layer on samples and on as many test digits. The classifier is sure of
/// much that is no digit, mostly an 8, so the share says little without the distance: noise stands beside as a control, and other test
/// digits as what can be reached; for latents the decoded white noise, and test digits through the autoencoder. A run that was
/// interrupted goes on where it has stopped.
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
    /// Also draw the first samples of each, in rows.
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
    let runs = Runs::open(arguments, &device)?;
    let names = match arguments.objectives.as_slice() {
        [] => ObjectiveName::value_variants(),
        some => some,
    };
    let count = arguments.samples as usize;
    let digits = test_digits(runs.held_out(), 2 * count, &device)?;
    let (reference, others) = (
        digits.clone().slice(0..count),
        digits.slice(count..2 * count),
    );
    let scale = Scale {
        judge: &judge,
        reference: judge.features(reference),
    };
    println!(
        "{:<16}{:>9}{:>18}{:>11}{:>9}   digits 0 to 9",
        "", "samples", "sure", "Fréchet", "s"
    );
    let noise = Rng::seeded(1, &device).uniform([count, 1, SIZE, SIZE]);
    let mut controls = vec![("(test digits)", others.clone()), ("(noise)", noise)];
    if names.iter().any(|name| name.is_of_latents()) {
        controls.extend(runs.decoded(others)?);
    }
    let (mut rows, mut shown) = (Vec::new(), Vec::new());
    let mut add = |name: &str, images: Tensor<4>, seconds| {
        let row = scale.row(name, &images, seconds);
        print(&row);
        rows.push(row);
        shown.push(images.slice(0..SHOWN.min(count)));
    };
    for (name, images) in controls {
        add(name, images, 0.0);
    }
    for &name in names {
        let (images, seconds) = runs.one(name)?;
        add(&word(name), images, seconds);
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
            found: set.len(),
            shape: [channels, height, width],
            expected: count,
        }));
    }
    Ok(batch)
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
