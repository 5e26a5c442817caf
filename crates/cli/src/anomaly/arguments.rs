//! What `tweedie anomaly` can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tweedie::samplers::Ascent;

use crate::{method::non_negative, model};

/// Find what is abnormal in an image.
///
/// The image climbs part of the way towards noise and comes down again led by the healthy class: what had to change is the anomaly
/// map, |image - counterfactual| summed over channels (Wolleb et al. 2022). The model is one that is told classes, as of
/// `train --preset lesions`, or there is a classifier.
///
/// Without --input: on phantoms with a planted lesion, of which it prints how well the map finds the pixels of the lesion. Writes
/// a sheet of pictures and report.json.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) model: model::Arguments,
    /// Lead by the gradient of this classifier of noisy images, and not by the classes that the model is told: a classifier's
    /// folder, or that of its training run.
    #[arg(long, value_name = "PATH")]
    pub(super) classifier: Option<PathBuf>,
    /// The class that images are led to, counted from 0.
    #[arg(long, default_value_t = 0, value_name = "CLASS")]
    pub(super) healthy: usize,
    /// Strength of the guidance, from 0, which leaves the class out; without a classifier, 1 is the model of the class itself.
    #[arg(long, default_value_t = 2.0, value_name = "W", value_parser = non_negative, allow_negative_numbers = true)]
    pub(super) guidance: f64,
    /// Number of steps from pure noise to an image.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) steps: u32,
    /// How many of the steps an image climbs [default: a quarter of them]
    #[arg(long, value_name = "L", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) level: Option<u32>,
    /// How it climbs.
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    pub(super) ascent: AscentName,
    /// How many phantoms.
    #[arg(long, default_value_t = 100, value_name = "K", value_parser = clap::value_parser!(u32).range(2..))]
    pub(super) images: u32,
    /// How many images at a time.
    #[arg(long, default_value_t = 25, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batch_size: u32,
    /// A PNG or JPEG picture in place of phantoms.
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    pub(super) input: Option<PathBuf>,
    /// Seed of the phantoms and of the noise.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    /// Where pictures and report are written; made if it does not exist.
    #[arg(long, default_value = "runs/anomaly", value_name = "DIR")]
    pub(super) out: PathBuf,
}

/// An ascent by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AscentName {
    /// By the deterministic flow: what the classes share stays.
    #[default]
    Encoded,
    /// By noise, with steps of DDPM downwards (Jeanneret et al. 2022): at half the cost.
    Noised,
}

impl From<AscentName> for Ascent {
    fn from(name: AscentName) -> Self {
        match name {
            AscentName::Encoded => Self::Encoded,
            AscentName::Noised => Self::Noised,
        }
    }
}

impl Arguments {
    /// How many of the steps an image climbs.
    pub(super) fn level(&self) -> u32 {
        self.level.unwrap_or(self.steps.div_ceil(4))
    }
}
