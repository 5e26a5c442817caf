//! What an inverse problem is made of, on the command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tweedie::physics::OperatorConfig;

use crate::method::{non_negative, positive};

/// A measurement by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperatorName {
    /// Some pixels are missing: --missing or --mask.
    Inpainting,
    /// Noise alone.
    Denoising,
    /// Convolution with a Gaussian, circular at the borders: --blur-sigma.
    Blur,
    /// Means over blocks of pixels: --factor.
    SuperResolution,
    /// Projections of a square image from angles over half a turn, each entry the sum along a ray divided by the number of
    /// detectors: --angles.
    Tomography,
    /// Over-exposure, min(gain x, 1): --gain.
    Saturation,
}

/// The measurement: simulated from a clean image, or given.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("source").args(["input", "measurement"]))]
pub(crate) struct Arguments {
    /// The clean image: a PNG or JPEG file, or phantom:SEED for a random-ellipse phantom of the model's size.
    #[arg(long, default_value = "phantom:7", value_name = "IMAGE")]
    pub(crate) input: String,
    /// A given measurement (PNG or JPEG) instead of a simulated one; what it shows is known only to 8 or 16 bits, in [0, 1].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) measurement: Option<PathBuf>,
    /// What the camera does to the image.
    #[arg(long, value_enum, default_value = "inpainting", value_name = "NAME")]
    pub(crate) operator: OperatorName,
    /// Inpainting: fraction of missing pixels, from 0 to below 1, chosen at random.
    #[arg(long, default_value_t = 0.5, value_name = "FRACTION")]
    pub(crate) missing: f64,
    /// Inpainting: a black-and-white image instead, white where a pixel is seen.
    #[arg(long, value_name = "IMAGE", conflicts_with = "missing")]
    pub(crate) mask: Option<PathBuf>,
    /// Blur: standard deviation of the kernel in pixels.
    #[arg(long, default_value_t = 1.5, value_name = "PIXELS", value_parser = positive)]
    pub(crate) blur_sigma: f64,
    /// Super-resolution: side of the blocks in pixels.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) factor: u32,
    /// Tomography: number of angles.
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) angles: u32,
    /// Saturation: exposure.
    #[arg(long, default_value_t = 2.0, value_name = "G", value_parser = positive)]
    pub(crate) gain: f64,
    /// Standard deviation of the Gaussian noise, in units of pixels in [0, 1].
    #[arg(long, default_value_t = 0.05, value_name = "S", value_parser = non_negative, allow_negative_numbers = true)]
    pub(crate) noise_std: f64,
    /// Seed of the missing pixels, the noise and the samples.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
}

/// Arguments that contradict each other or leave their range.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// No such fraction of pixels can be missing.
    #[error("--missing must be at least 0 and below 1, found {found}")]
    Missing { found: f64 },
    /// A given measurement of unknown pixels.
    #[error("--measurement with --operator inpainting needs --mask: which pixels were seen?")]
    NoMask,
    /// A mask without inpainting.
    #[error("--mask is for --operator inpainting alone")]
    StrayMask,
    /// Not a phantom.
    #[error("--input {found:?}: expected phantom:SEED with a whole number")]
    Phantom { found: String },
}

impl Arguments {
    /// The operator, as far as it is known without an image: none for a mask from a file.
    pub(crate) fn operator_config(&self) -> Result<Option<OperatorConfig>, ArgumentError> {
        let inpainting = self.operator == OperatorName::Inpainting;
        if self.mask.is_some() && !inpainting {
            return Err(ArgumentError::StrayMask);
        }
        if inpainting && self.measurement.is_some() && self.mask.is_none() {
            return Err(ArgumentError::NoMask);
        }
        if !(0.0..1.0).contains(&self.missing) {
            return Err(ArgumentError::Missing {
                found: self.missing,
            });
        }
        Ok(match self.operator {
            OperatorName::Inpainting if self.mask.is_some() => None,
            OperatorName::Inpainting => Some(OperatorConfig::Inpainting {
                missing: self.missing,
            }),
            OperatorName::Denoising => Some(OperatorConfig::Denoising),
            OperatorName::Blur => Some(OperatorConfig::Blur {
                sigma: self.blur_sigma,
            }),
            OperatorName::SuperResolution => Some(OperatorConfig::SuperResolution {
                factor: self.factor as usize,
            }),
            OperatorName::Tomography => Some(OperatorConfig::Tomography {
                angles: self.angles as usize,
            }),
            OperatorName::Saturation => Some(OperatorConfig::Saturation { gain: self.gain }),
        })
    }

    /// The operator's name and its one number.
    pub(crate) fn described(&self) -> (&'static str, Option<f64>) {
        match self.operator {
            OperatorName::Inpainting if self.mask.is_some() => ("inpainting", None),
            OperatorName::Inpainting => ("inpainting", Some(self.missing)),
            OperatorName::Denoising => ("denoising", None),
            OperatorName::Blur => ("blur", Some(self.blur_sigma)),
            OperatorName::SuperResolution => ("super-resolution", Some(f64::from(self.factor))),
            OperatorName::Tomography => ("tomography", Some(f64::from(self.angles))),
            OperatorName::Saturation => ("saturation", Some(self.gain)),
        }
    }
}
