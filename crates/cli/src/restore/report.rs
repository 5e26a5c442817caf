//! What `report.json` says, and what the terminal shows of it.

use std::{fmt, fs, io, path::Path};

use serde::Serialize;
use tweedie::{
    burn::tensor::Tensor,
    metrics::{Interval, SSIM_WINDOW, psnr, ssim},
    samplers::Draws,
};

use super::{
    arguments::{Arguments, OperatorName},
    problem::Problem,
};
use crate::{failure::Outcome, method::Method, posterior::MethodName};

/// What only the run itself knows.
pub(crate) struct Run {
    pub(crate) checkpoint: String,
    pub(crate) device: &'static str,
    pub(crate) evaluations: usize,
    pub(crate) seconds: f64,
}

/// Quality of an estimate against the clean image.
#[derive(Serialize)]
struct Quality {
    /// In decibels, for pixels in [0, 1]; absent for a perfect estimate.
    psnr: Option<f64>,
    /// Absent for images smaller than its window.
    ssim: Option<f64>,
}

/// The standard deviation of the samples, in units of pixels in [0, 1].
#[derive(Serialize)]
struct Spread {
    /// Mean over pixels.
    mean: f64,
    /// Largest; the pale yellow of `std.png`.
    maximum: f64,
    /// Inpainting: mean over missing pixels.
    missing: Option<f64>,
    /// Inpainting: mean over seen pixels.
    seen: Option<f64>,
    /// Inpainting: the quotient of the two.
    missing_over_seen: Option<f64>,
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
    method: MethodName,
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

/// The report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
struct ReportError {
    path: std::path::PathBuf,
    source: io::Error,
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
        let (operator, operator_setting) = described(arguments);
        Self {
            image: problem.name.clone(),
            shape: problem.image_shape,
            checkpoint: run.checkpoint,
            device: run.device,
            operator,
            operator_setting,
            mask: arguments
                .mask
                .as_ref()
                .map(|path| path.display().to_string()),
            noise_std: arguments.noise_std,
            method: arguments.method_name,
            steps: arguments.method,
            prior_variance: arguments.prior_variance,
            samples: arguments.samples,
            batch_size: arguments.batch_size,
            seed: arguments.seed,
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

    /// Writes it as JSON.
    pub(crate) fn save(&self, path: &Path) -> Outcome<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").map_err(|source| ReportError {
            path: path.into(),
            source,
        })?;
        Ok(())
    }
}

/// The operator's name and its one number.
pub(super) fn described(arguments: &Arguments) -> (&'static str, Option<f64>) {
    match arguments.operator {
        OperatorName::Inpainting if arguments.mask.is_some() => ("inpainting", None),
        OperatorName::Inpainting => ("inpainting", Some(arguments.missing)),
        OperatorName::Denoising => ("denoising", None),
        OperatorName::Blur => ("blur", Some(arguments.blur_sigma)),
        OperatorName::SuperResolution => ("super-resolution", Some(f64::from(arguments.factor))),
        OperatorName::Tomography => ("tomography", Some(f64::from(arguments.angles))),
        OperatorName::Saturation => ("saturation", Some(arguments.gain)),
    }
}

impl Quality {
    fn of(estimate: Tensor<4>, clean: &Tensor<4>) -> Self {
        let [_, _, height, width] = clean.dims();
        let decibels = psnr(estimate.clone(), clean.clone(), 1.0).into_scalar::<f64>();
        Self {
            psnr: decibels.is_finite().then_some(decibels),
            ssim: (height.min(width) >= SSIM_WINDOW)
                .then(|| ssim(estimate, clean.clone()).into_scalar::<f64>()),
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

impl Spread {
    fn of(std: &Tensor<4>, mask: Option<&Tensor<4>>) -> Self {
        let average = |weight: Tensor<4>| {
            let total = weight.clone().sum().into_scalar::<f64>();
            let sum = (std.clone() * weight).sum().into_scalar::<f64>();
            (total > 0.0).then(|| sum / total)
        };
        let missing = mask.and_then(|mask| average(mask.clone().neg().add_scalar(1.0)));
        let seen = mask.and_then(|mask| average(mask.clone()));
        Self {
            mean: std.clone().mean().into_scalar::<f64>(),
            maximum: std.clone().max().into_scalar::<f64>(),
            missing_over_seen: missing.zip(seen).map(|(missing, seen)| missing / seen),
            missing,
            seen,
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
            write!(f, "{label:>20}:")?;
            if let Some(psnr) = quality.psnr {
                write!(f, " PSNR {psnr:.2} dB")?;
            }
            if let Some(ssim) = quality.ssim {
                write!(f, "  SSIM {ssim:.3}")?;
            }
            writeln!(f)?;
        }
        if let Some(std) = &self.std {
            write!(
                f,
                "{:>20}: mean {:.4}, largest {:.4}",
                "standard deviation", std.mean, std.maximum
            )?;
            if let Some(ratio) = std.missing_over_seen {
                write!(f, ", missing over seen {ratio:.2}")?;
            }
            writeln!(f)?;
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
