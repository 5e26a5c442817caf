//! What `restore` is asked for.

use std::path::PathBuf;

use clap::Args;
use tweedie::samplers::{DrawConfig, SampleError};

use crate::{
    method::{Method, positive},
    model,
    posterior::MethodName,
    problem,
};

/// Draw posterior samples of an image given a measurement
///
/// Takes a clean image and simulates the measurement y = A x + noise, or takes a measurement as it is. Writes clean.png,
/// measurement.png, mask.png (inpainting), samples.png, mean.png, std.png, overview.png and report.json. The overview shows
/// the clean image, the pseudo-inverse of the measurement, the mean, the standard deviation and some samples.
///
/// In std.png black is 0 and pale yellow the largest standard deviation, which report.json gives in units of pixels in [0, 1].
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) model: model::Arguments,
    #[command(flatten)]
    pub(crate) problem: problem::Arguments,
    /// How the measurement guides the samples.
    #[arg(
        long = "method",
        value_enum,
        default_value = "dps-annealed",
        value_name = "NAME"
    )]
    pub(crate) method_name: MethodName,
    /// Settings of a method that has its own, as JSON, such as '{"eta": 0.85}'; docs/methods.md says which.
    #[arg(long, value_name = "JSON")]
    pub(crate) settings: Option<String>,
    /// Draw from p(x | y) as the network has learnt it, which sees the measurement beside its input: one trained with
    /// task.measurement, of the same operator and noise.
    #[arg(long, conflicts_with_all = ["method_name", "settings", "prior_variance"])]
    pub(crate) learned: bool,
    #[command(flatten)]
    pub(crate) method: Method,
    /// Variance of a pixel under the prior, in units of pixels in [0, 1]: how uncertain the guidance takes a denoised image
    /// to be. Of a model of latents it is the variance of a decoded pixel.
    #[arg(long, default_value_t = 0.1, value_name = "V", value_parser = positive)]
    pub(crate) prior_variance: f64,
    /// How many posterior samples.
    #[arg(long, default_value_t = 16, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) samples: u32,
    /// Level of pixel-wise credible intervals, such as 0.9: also writes their ends, lower.png and upper.png, their width and,
    /// for a known clean image, how many of its pixels they hold. They need at least (1 + Q)/(1 - Q) samples, 19 for 0.9.
    #[arg(long, value_name = "Q")]
    pub(crate) level: Option<f64>,
    /// How many samples at a time. It changes speed and memory, never a sample.
    #[arg(long, default_value_t = 8, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: u32,
    /// Where the pictures and the report are written; made if it does not exist.
    #[arg(long, default_value = "runs/restore", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

impl Arguments {
    /// How the samples are drawn.
    pub(crate) fn draw_config(&self) -> Result<DrawConfig, SampleError> {
        let config = DrawConfig::new(self.samples as usize, self.batch_size as usize);
        match self.level {
            Some(level) => config.with_interval(level),
            None => Ok(config),
        }
    }

    /// The method by its name.
    pub(crate) fn method_name(&self) -> String {
        match self.learned {
            true => "learned".into(),
            false => self.method_name.to_string(),
        }
    }

    /// The run in a few words.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} samples, {} steps, noise {}",
            self.samples, self.method.steps, self.problem.noise_std
        )
    }
}
