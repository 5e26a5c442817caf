//! `tweedie reproduce digits`: posterior samples of handwritten test digits by several methods, judged against the truth.
//!
//! Every digit has a measurement of its own, and every batch holds one draw for each digit. Coverage is that of pixel-wise
//! central intervals: the truth is one more draw for an exact sampler, so 90 % of pixels lie in their intervals of 90 %.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::{
        data::dataset::Dataset,
        tensor::{Device, Tensor},
    },
    core::{Counted, Rng},
    data::{Idx, Image, Split},
    metrics::{Coverage, coverage, psnr, ssim},
    models::Pretrained,
    physics::{AnyOperator, ConjugateGradient, GaussianNoise, NoiseModel, OperatorConfig},
};

use crate::{
    failure::Outcome,
    method::{GridName, Method, SolverName},
    model,
    posterior::{MethodName, Recipe},
    quality::save_report,
    sheet::save_sheet,
};

/// Nominal coverage of the intervals; it needs 19 draws.
const LEVEL: f64 = 0.9;

/// The digits have 256 grey levels, and so have the draws: most pixels are black, to the last digit.
const WHITE: f64 = 255.0;

/// Digits in the picture.
const SHOWN: usize = 10;

/// Mean square of a pixel of the digits, about its mean over all.
const PRIOR_VARIANCE: f64 = 0.1;

/// The measurements: half of the pixels, a blur, blocks of 4 x 4.
const PROBLEMS: [(&str, OperatorConfig); 3] = [
    ("inpainting", OperatorConfig::Inpainting { missing: 0.5 }),
    ("blur", OperatorConfig::Blur { sigma: 1.5 }),
    (
        "super-resolution",
        OperatorConfig::SuperResolution { factor: 4 },
    ),
];

/// Restore handwritten test digits by several methods: quality of the mean, coverage, evaluations and time
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model of digits: a model folder, a training run or a file of weights.
    #[arg(long, value_name = "PATH")]
    checkpoint: PathBuf,
    /// The folder of the data set, of which the test split is read.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The methods.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "dps-annealed,pigdm,ddrm,diffpir,ddnm",
        value_name = "NAMES"
    )]
    methods: Vec<MethodName>,
    /// How many digits.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    digits: u32,
    /// Draws for each digit; intervals need 19.
    #[arg(long, default_value_t = 19, value_name = "K", value_parser = clap::value_parser!(u32).range(19..))]
    draws: u32,
    /// Steps of each run.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The method of the steps of guided diffusions.
    #[arg(long, value_enum, default_value = "ddpm", value_name = "NAME")]
    solver: SolverName,
    /// Standard deviation of the noise.
    #[arg(long, default_value_t = 0.05, value_name = "S", value_parser = crate::method::positive)]
    noise_std: f64,
    /// Also write the rows here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw a picture: for each problem the digits, what was measured, and each method's mean, draw and spread.
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// One method on one problem.
#[derive(Debug, Serialize)]
struct Row {
    problem: &'static str,
    method: MethodName,
    digits: u32,
    draws: u32,
    /// Evaluations of the network for one draw.
    nfe: usize,
    /// Of the mean of the draws, averaged over digits, in decibels.
    psnr: f64,
    ssim: f64,
    /// Fraction of pixels inside their intervals.
    coverage: f64,
    level: f64,
    seconds: f64,
}

/// What a method made of the measurements.
struct Restored {
    mean: Tensor<4>,
    std: Tensor<4>,
    draw: Tensor<4>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let device = Device::flex();
    let (model, name) = model::open(Some(&arguments.checkpoint), None, &device)?;
    let truth = digits(arguments, &device)?;
    println!(
        "{} digits of the test split, {name}, noise {}",
        arguments.digits, arguments.noise_std
    );
    println!(
        "{:<18}{:<16}{:>6}{:>10}{:>8}{:>10}{:>10}",
        "", "", "NFE", "PSNR", "SSIM", "coverage", "seconds"
    );
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for (problem, config) in PROBLEMS {
        let operator = config.build(truth.dims(), &device, 0)?;
        let clean = operator.forward().forward(truth.clone());
        let mut rng = Rng::seeded(0, &device).fork(0);
        let y = GaussianNoise::new(arguments.noise_std)?.corrupt(clean, &mut rng);
        let y = match config {
            // Nothing is known of a missing pixel, not even noise.
            OperatorConfig::Inpainting { .. } => operator.forward().forward(y),
            _ => y,
        };
        lines.push(truth.clone());
        lines.extend(
            operator
                .linear()
                .map(|a| a.pseudo_inverse(y.clone(), ConjugateGradient::default())),
        );
        for &method in &arguments.methods {
            let case = Case {
                arguments,
                model: &model,
                truth: &truth,
                problem,
                operator: &operator,
                y: &y,
                method,
            };
            let (row, restored) = case.run(&device)?;
            print(&row);
            rows.push(row);
            let brightness = restored.std.clone().max().into_scalar::<f64>().recip();
            lines.extend([
                restored.mean,
                restored.draw,
                restored.std.mul_scalar(brightness),
            ]);
        }
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    if let Some(path) = &arguments.picture {
        let shown = SHOWN.min(truth.dims()[0]);
        let cells = lines.into_iter().map(|line| line.slice(0..shown)).collect();
        save_sheet(Tensor::cat(cells, 0), shown, path)?;
    }
    Ok(())
}

/// The first images of the test split, `[digits, 1, height, width]`.
fn digits(arguments: &Arguments, device: &Device) -> Outcome<Tensor<4>> {
    let set = Idx::open(&arguments.data, Split::Test)?;
    let count = (arguments.digits as usize).min(set.len());
    let images: Vec<Image> = (0..count)
        .map(|index| set.get(index))
        .collect::<Result<_, _>>()?;
    let images: Vec<Tensor<4>> = images.iter().map(|image| image.to_tensor(device)).collect();
    Ok(Tensor::cat(images, 0))
}

/// One method on one problem.
struct Case<'a> {
    arguments: &'a Arguments,
    model: &'a Pretrained,
    truth: &'a Tensor<4>,
    problem: &'static str,
    operator: &'a AnyOperator,
    y: &'a Tensor<4>,
    method: MethodName,
}

impl Case<'_> {
    fn run(&self, device: &Device) -> Outcome<(Row, Restored)> {
        let prior = Counted::new(self.model.denoiser());
        let schedule = self.model.schedule();
        let recipe = Recipe {
            method: self.method,
            settings: None,
            steps: Method {
                solver: self.arguments.solver,
                eta: 0.0,
                steps: self.arguments.steps,
                grid: GridName::Karras,
            },
            schedule: &schedule,
            prior: &prior,
            prior_variance: PRIOR_VARIANCE,
            operator: self.operator,
            operator_name: self.problem,
            y: self.y,
            noise_std: self.arguments.noise_std,
            range: (0.0, 1.0),
            image: self.truth.dims(),
        };
        let sampler = recipe.sampler()?;
        let (shape, draws) = (self.truth.dims(), self.arguments.draws);
        let rng = Rng::seeded(1, device);
        let start = Instant::now();
        let mut kept = Vec::new();
        for draw in 0..u64::from(draws) {
            let mut rows = rng.clone().starting_at(draw * shape[0] as u64);
            let sample = sampler.sample(shape, &mut rows, &mut |_| ())?;
            let sample = sample
                .clamp(0.0, 1.0)
                .mul_scalar(WHITE)
                .round()
                .div_scalar(WHITE);
            kept.push(sample);
        }
        let seconds = start.elapsed().as_secs_f64();
        let (variance, mean) = Tensor::stack::<5>(kept.clone(), 0).var_mean(0);
        let (mean, std) = (mean.squeeze_dim(0), variance.squeeze_dim(0).sqrt());
        let average = |figure: Tensor<1>| figure.mean().into_scalar::<f64>();
        let row = Row {
            problem: self.problem,
            method: self.method,
            digits: shape[0] as u32,
            draws,
            nfe: prior.evaluations() / draws as usize,
            psnr: average(psnr(mean.clone(), self.truth.clone(), 1.0)),
            ssim: average(ssim(mean.clone(), self.truth.clone())),
            coverage: self.coverage(&kept).fraction(),
            level: LEVEL,
            seconds,
        };
        let draw = kept.swap_remove(0);
        Ok((row, Restored { mean, std, draw }))
    }

    /// Over all pixels of all digits: those of one digit are draws of one posterior.
    fn coverage(&self, draws: &[Tensor<4>]) -> Coverage {
        let digits = self.truth.dims()[0];
        let of_digit = |digit: usize| {
            let row = |image: &Tensor<4>| image.clone().slice(digit..digit + 1);
            coverage(
                row(self.truth),
                Tensor::cat(draws.iter().map(row).collect(), 0),
                LEVEL,
            )
        };
        (1..digits).fold(of_digit(0), |total, digit| total.merge(of_digit(digit)))
    }
}

fn print(row: &Row) {
    println!(
        "{:<18}{:<16}{:>6}{:>10.2}{:>8.3}{:>10.3}{:>10.0}",
        row.problem,
        row.method.to_string(),
        row.nfe,
        row.psnr,
        row.ssim,
        row.coverage,
        row.seconds
    );
}
