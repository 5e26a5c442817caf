//! `tweedie reproduce mnist-ddpm`: samples of a small published network of digits, judged by a published classifier.
//!
//! The network is that of <https://github.com/Yichizz/hot_vs_cold_diffusion>, sampled by the ancestral steps of Ho et al. 2020,
//! <https://arxiv.org/abs/2006.11239>, and by the deterministic ones of Song et al. 2021, <https://arxiv.org/abs/2010.02502>.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::{
        data::dataset::Dataset,
        tensor::{Device, Tensor},
    },
    core::{Counted, Rng},
    data::{Idx, Image, Split},
    models::Pretrained,
    samplers::{Draw, DrawConfig, draw},
};

use crate::{
    failure::{Failure, Outcome},
    judge::{DIGITS, Judge, SIZE, standard_error, sure},
    method::{GridName, Method, SolverName},
    model,
    quality::save_report,
    sheet::save_sheet,
    steps::StepBar,
};

/// Share of samples that the classifier is surer of than one half in the reference run: ancestral steps of its authors' code.
const REFERENCE: f64 = 0.80;

/// Samples of the reference run.
const REFERENCE_SAMPLES: f64 = 64.0;

/// Standard errors beyond which two shares differ.
const BEYOND: f64 = 3.0;

/// Images at a time.
const BATCH: usize = 64;

/// Test images for the classifier itself.
const TESTED: usize = 2000;

/// Columns and rows of the picture.
const SHOWN: [usize; 2] = [16, 4];

/// The samplers and their steps.
const RUNS: [(SolverName, u32); 2] = [(SolverName::Ddpm, 1000), (SolverName::Ddim, 100)];

/// Samples of a small published network of digits, judged by a published classifier
///
/// 1000 ancestral steps and 100 of DDIM, no clipping. The figure is the share of samples of which the classifier is surer than one
/// half, and its standard error; the reference run has 80 % of 64 samples.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The network: ddpm_mnist_starter.pth or .safetensors.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The classifier: mnist.safetensors of burn's example `import-model-weights`, which is not the same as the mnist.pt beside it.
    #[arg(long, value_name = "FILE")]
    classifier: PathBuf,
    /// How many samples of each sampler.
    #[arg(long, default_value_t = 256, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The folder of MNIST: also count what the classifier gets right of the first 2000 test images.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also write the figures here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the first samples: ancestral ones above, DDIM's below.
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// One sampler.
#[derive(Debug, Serialize)]
struct Row {
    sampler: SolverName,
    steps: u32,
    samples: usize,
    /// Of the network, for one sample.
    evaluations: usize,
    share: f64,
    standard_error: f64,
    reference: f64,
    reference_error: f64,
    /// Whether the two shares are within three standard errors of their difference.
    agrees: bool,
    /// How many samples are taken for each digit.
    digits: [usize; DIGITS],
}

#[derive(Debug, Serialize)]
struct Figures {
    /// Of the classifier, on test images.
    accuracy: Option<f64>,
    rows: Vec<Row>,
}

/// The network makes images that the classifier does not take.
#[derive(Debug, thiserror::Error)]
#[error("the network in {} makes images of {found:?} pixels, expected [1, {SIZE}, {SIZE}]", path.display())]
struct OtherImages {
    path: PathBuf,
    found: [usize; 3],
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let device = Device::flex();
    let (model, _) = model::open(Some(&arguments.weights), None, &device)?;
    let ([height, width], channels) = (
        model.config().image_size,
        model.config().architecture.channels(),
    );
    if [channels, height, width] != [1, SIZE, SIZE] {
        return Err(Failure::from(OtherImages {
            path: arguments.weights.clone(),
            found: [channels, height, width],
        }));
    }
    let judge = Judge::open(&arguments.classifier, &device)?;
    let accuracy = match &arguments.data {
        Some(folder) => Some(accuracy(&judge, folder, &device)?),
        None => None,
    };
    if let Some(accuracy) = accuracy {
        println!(
            "the classifier is right on {:.2} % of test images",
            100.0 * accuracy
        );
    }
    println!(
        "{:<8}{:>6}{:>9}{:>18}{:>18}   digits 0 to 9",
        "", "steps", "samples", "sure", "reference"
    );
    let mut rows = Vec::new();
    let mut shown = Vec::new();
    for (sampler, steps) in RUNS {
        let (images, evaluations) = samples(&model, sampler, steps, arguments.samples as usize)?;
        let row = row(&judge, &images, sampler, steps, evaluations);
        print(&row);
        rows.push(row);
        let count = images.dims()[0].min(SHOWN[0] * SHOWN[1] / RUNS.len());
        shown.push(images.slice(0..count));
    }
    if let Some(path) = &arguments.picture {
        save_sheet(Tensor::cat(shown, 0), SHOWN[0], path)?;
    }
    if let Some(path) = &arguments.json {
        save_report(&Figures { accuracy, rows }, path)?;
    }
    Ok(())
}

/// Samples in [0, 1], and evaluations of the network for each.
fn samples(
    model: &Pretrained,
    solver: SolverName,
    steps: u32,
    count: usize,
) -> Outcome<(Tensor<4>, usize)> {
    let device = Device::flex();
    let prior = Counted::new(model.denoiser());
    let method = Method {
        solver,
        eta: 0.0,
        steps,
        grid: GridName::Uniform,
    };
    let sampler = method.sampler(model.schedule(), Box::new(&prior))?;
    let config = DrawConfig::new(count, BATCH);
    let bar = StepBar::new(&config);
    let mut images = Vec::new();
    draw(
        sampler.as_ref(),
        [1, SIZE, SIZE],
        config,
        &Rng::seeded(0, &device),
        |event| match event {
            Draw::Step { first, step } => bar.show(first, &step),
            Draw::Batch { samples, .. } => images.push(samples.clone().clamp(0.0, 1.0)),
            _ => {}
        },
    )?;
    bar.finish();
    let evaluations = prior.evaluations() / images.len();
    Ok((Tensor::cat(images, 0), evaluations))
}

fn row(
    judge: &Judge,
    images: &Tensor<4>,
    sampler: SolverName,
    steps: u32,
    evaluations: usize,
) -> Row {
    let verdicts = judge.verdicts(images);
    let samples = verdicts.len();
    let (share, error) = sure(&verdicts);
    let reference_error = standard_error(REFERENCE, REFERENCE_SAMPLES);
    let mut digits = [0; DIGITS];
    for (digit, _) in verdicts {
        digits[digit] += 1;
    }
    Row {
        sampler,
        steps,
        samples,
        evaluations,
        share,
        standard_error: error,
        reference: REFERENCE,
        reference_error,
        agrees: (share - REFERENCE).abs() <= BEYOND * error.hypot(reference_error),
        digits,
    }
}

/// The share of the first test images that the classifier gets right.
fn accuracy(judge: &Judge, folder: &std::path::Path, device: &Device) -> Outcome<f64> {
    let set = Idx::open(folder, Split::Test)?;
    let count = TESTED.min(set.len());
    let mut right = 0;
    for first in (0..count).step_by(BATCH) {
        let indices = first..count.min(first + BATCH);
        let images: Vec<Image> = indices
            .clone()
            .map(|index| set.get(index))
            .collect::<Result<_, _>>()?;
        let images = images.iter().map(|image| image.to_tensor(device)).collect();
        let verdicts = judge.verdicts(&Tensor::cat(images, 0));
        let labels = &set.labels()[indices];
        let pairs = verdicts.iter().zip(labels);
        right += pairs
            .filter(|((digit, _), label)| *digit == usize::from(**label))
            .count();
    }
    Ok(right as f64 / count as f64)
}

fn print(row: &Row) {
    let percent =
        |share: f64, error: f64| format!("{:.1} +- {:.1} %", 100.0 * share, 100.0 * error);
    let name = match row.sampler {
        SolverName::Ddim => "DDIM",
        _ => "DDPM",
    };
    println!(
        "{name:<8}{:>6}{:>9}{:>18}{:>18}   {:?}{}",
        row.steps,
        row.samples,
        percent(row.share, row.standard_error),
        percent(row.reference, row.reference_error),
        row.digits,
        if row.agrees { "" } else { "  differs" }
    );
}
