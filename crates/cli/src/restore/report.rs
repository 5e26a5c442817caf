//! What `report.json` says, and what the terminal shows of it.

use std::fmt;

use serde::Serialize;
use tweedie::{burn::tensor::Tensor, metrics::Interval, samplers::Draws};

use super::arguments::Arguments;
use crate::{
    method::Method,
    problem::Problem,
    quality::{Quality, Spread},
};

/// What only the run itself knows.
pub(crate) struct Run {
    pub(crate) checkpoint: String,
    pub(crate) device: &'static str,
    pub(crate) evaluations: usize,
    pub(crate) seconds: f64,
}

/// Pixel-wise credible intervals.
#[derive(Serialize)]
struct Intervals {
    /// Nominal chance of each to hold its pixel of the clean image.
    level: f64,
    /// Mean over pixels, in units of pixels in [0, 1].
    mean_width: f64,
    /// Fraction of the pixels of the clean image that they hold.
    coverage: Option<f64>,
}

/// Everything about a restoration.
#[derive(Serialize)]
pub(crate) struct Report {
    image: String,
    shape: [usize; 4],
    checkpoint: String,
    device: &'static str,
    operator: &'static str,
    operator_setting: Option<f64>,
    mask: Option<String>,
    noise_std: f64,
    method: String,
    #[serde(flatten)]
    steps: Method,
    prior_variance: f64,
    samples: u32,
    batch_size: u32,
    seed: u64,
    /// Evaluations of the network on one batch, for all batches together.
    nfe: usize,
    /// Evaluations for one sample.
    nfe_per_sample: usize,
    seconds: f64,
    /// The pseudo-inverse of the measurement: zero-filled for inpainting.
    measurement: Option<Quality>,
    /// The mean of the samples.
    mean: Option<Quality>,
    std: Option<Spread>,
    intervals: Option<Intervals>,
}

impl Report {
    pub(crate) fn new(
        arguments: &Arguments,
        problem: &Problem,
        draws: &Draws,
        interval: Option<&Interval>,
        run: Run,
    ) -> Self {
        let quality = |estimate: Tensor<4>| {
            problem
                .clean
                .as_ref()
                .map(|clean| Quality::of(estimate, clean))
        };
        let batches = arguments.samples.div_ceil(arguments.batch_size) as usize;
        let posed = &arguments.problem;
        let (operator, operator_setting) = posed.described();
        Self {
            image: problem.name.clone(),
            shape: problem.image_shape,
            checkpoint: run.checkpoint,
            device: run.device,
            operator,
            operator_setting,
            mask: posed.mask.as_ref().map(|path| path.display().to_string()),
            noise_std: posed.noise_std,
            method: arguments.method_name(),
            steps: arguments.method,
            prior_variance: arguments.prior_variance,
            samples: arguments.samples,
            batch_size: arguments.batch_size,
            seed: posed.seed,
            nfe: run.evaluations,
            nfe_per_sample: run.evaluations / batches,
            seconds: run.seconds,
            measurement: quality(problem.back_projection()),
            mean: quality(draws.mean.clone()),
            std: draws
                .std
                .as_ref()
                .map(|std| Spread::of(std, problem.mask.as_ref())),
            intervals: interval.map(|interval| Intervals::of(interval, problem.clean.as_ref())),
        }
    }
}

impl Intervals {
    fn of(interval: &Interval, clean: Option<&Tensor<4>>) -> Self {
        Self {
            level: interval.level,
            mean_width: interval.width().mean().into_scalar::<f64>(),
            coverage: clean.map(|clean| interval.coverage(clean.clone()).fraction()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, quality) in [
            ("measurement", &self.measurement),
            ("posterior mean", &self.mean),
        ] {
            let Some(quality) = quality else { continue };
            writeln!(f, "{label:>20}:{quality}")?;
        }
        if let Some(std) = &self.std {
            writeln!(f, "{:>20}:{std}", "standard deviation")?;
        }
        if let Some(intervals) = &self.intervals {
            let label = format!("intervals ({})", intervals.level);
            write!(f, "{label:>20}: mean width {:.4}", intervals.mean_width)?;
            if let Some(coverage) = intervals.coverage {
                write!(f, ", hold {:.1}% of the clean pixels", 100.0 * coverage)?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{:>20}: {} evaluations a sample, {:.1} s in all",
            "cost", self.nfe_per_sample, self.seconds
        )
    }
}
