//! What a network is, how it was trained, and the file that says so.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tweedie_core::{
    Backbone, NoiseLabel, Padded, Parametrisation, Preconditioned, Preconditioning, Scaled,
    Schedule, ScheduleConfig, UnitRange,
};

use crate::{
    Architecture, ModelError, Network, checks, folder, import::Layout, unet::published::edm,
};

/// Name of the file with the [`ModelConfig`] in a model folder.
pub const MODEL_FILE: &str = "model.json";

/// Version of the format of [`MODEL_FILE`].
const FORMAT: u32 = 1;

/// The values that black and white pixels have in the images that a network sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pixels {
    /// -1 and 1.
    #[default]
    Symmetric,
    /// 0 and 1.
    Unit,
    /// -1/2 and 1/2.
    Centred,
}

impl Pixels {
    /// The value of black and the value of white.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::Symmetric => (-1.0, 1.0),
            Self::Unit => (0.0, 1.0),
            Self::Centred => (-0.5, 0.5),
        }
    }

    fn are_symmetric(&self) -> bool {
        *self == Self::Symmetric
    }
}

/// All that is needed, beside the weights, to denoise with a network.
///
/// The network itself sees images in [-1, 1], or what `pixels` says: `schedule`, `label`, `parametrisation` and `only_sigma` are
/// in those units.
///
/// A checkpoint of another program does not say all of this; what it does not say, [`import`](crate::import()) takes to be as in the
/// published network of its kind. For a network that was trained with another schedule, or that takes whole steps only, put it
/// right before anything is made of it:
///
/// ```no_run
/// use burn::tensor::Device;
/// use tweedie_core::{NoiseLabel, ScheduleConfig};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let mut found = tweedie_models::import("cosine.pt".as_ref(), None, &Device::flex())?;
/// found.config.schedule = ScheduleConfig::DdpmCosine { steps: 4000, offset: 0.008, beta_cap: 0.999 };
/// found.config.label = NoiseLabel::NearestStep { steps: 4000 };
/// found.save("cosine.safetensors".as_ref())?;
/// # Ok(())
/// # }
/// ```
///
/// ```
/// use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
/// use tweedie_models::{Architecture, ModelConfig, UNetConfig};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = ModelConfig::new(
///     Architecture::UNet(UNetConfig::preset("ddpm-cifar10")?),
///     Parametrisation::Epsilon,
///     ScheduleConfig::DDPM,
///     NoiseLabel::Step { steps: 1000 },
///     [32, 32],
/// );
/// config.validate()?;
/// assert!(config.check_image(1, 32, 32).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub(crate) format: u32,
    /// The network.
    pub architecture: Architecture,
    /// What the network predicts.
    pub parametrisation: Parametrisation,
    /// The schedule of its training, in the units of its images.
    pub schedule: ScheduleConfig,
    /// How noise levels are told to it.
    pub label: NoiseLabel,
    /// Height and width of the images of its training, in pixels.
    pub image_size: [usize; 2],
    /// The values of black and white.
    #[serde(default, skip_serializing_if = "Pixels::are_symmetric")]
    pub pixels: Pixels,
    /// The one noise level of its training, for a network that is told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_sigma: Option<f64>,
}

/// A network made into a denoiser of images in [0, 1] of any size. The padding repeats the edge.
pub type ImageDenoiser<N = Network> =
    Padded<UnitRange<Preconditioned<N, Arc<dyn Preconditioning>>>>;

impl ModelConfig {
    /// A configuration of a network for images in [-1, 1] at all noise levels; `image_size` is `[height, width]`.
    pub fn new(
        architecture: Architecture,
        parametrisation: Parametrisation,
        schedule: ScheduleConfig,
        label: NoiseLabel,
        image_size: [usize; 2],
    ) -> Self {
        Self {
            format: FORMAT,
            architecture,
            parametrisation,
            schedule,
            label,
            image_size,
            pixels: Pixels::Symmetric,
            only_sigma: None,
        }
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::format(self.format, FORMAT)?;
        self.architecture.validate()?;
        self.schedule.build()?;
        checks::label(self.label)?;
        if let Parametrisation::Edm { sigma_data } = self.parametrisation {
            checks::positive("sigma_data", sigma_data)?;
        }
        if let Some(sigma) = self.only_sigma {
            checks::positive("only_sigma", sigma)?;
        }
        if self.image_size.contains(&0) {
            return Err(ModelError::Zero {
                field: "image_size",
            });
        }
        Ok(())
    }

    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let mut layouts = self.architecture.layouts();
        if let Architecture::UNet(config) = &self.architecture {
            // The size of the training's images is a part of its names.
            layouts.push(edm::layout(config, self.image_size[0]));
        }
        layouts
    }

    /// Whether the denoiser takes images of this shape: only the network's number of channels, and any size that padding brings to
    /// one that the network takes. For all networks but those for one size, that is any size.
    ///
    /// # Errors
    /// [`ModelError::Channels`] for another number of channels, [`ModelError::Size`] for an empty image,
    /// [`ModelError::OnlySize`] for one that is larger than the one size.
    pub fn check_image(
        &self,
        channels: usize,
        height: usize,
        width: usize,
    ) -> Result<(), ModelError> {
        let expected = self.architecture.channels();
        if channels != expected {
            return Err(ModelError::Channels {
                expected,
                found: channels,
            });
        }
        if height == 0 || width == 0 {
            return Err(ModelError::Size {
                multiple: 1,
                height,
                width,
            });
        }
        let multiple = self.architecture.multiple();
        let [rows, columns] = [height, width].map(|size| size.next_multiple_of(multiple));
        self.architecture
            .check_size(rows, columns)
            // The error of the size that the caller knows.
            .or_else(|_| self.architecture.check_size(height, width))
    }

    /// The schedule of the training as seen in pixels of [0, 1]: for a network of images in [-1, 1] its noise levels are half as
    /// large.
    ///
    /// A sampler over images in [0, 1] that follows it shows the network exactly the noise levels of its training, at the
    /// times of its training. Other schedules work too, since a denoiser is indexed by its noise level; their noise levels
    /// should lie between this schedule's first and last.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter is out of range.
    pub fn unit_range_schedule(&self) -> Result<Arc<dyn Schedule>, ModelError> {
        let (low, high) = self.pixels.range();
        Ok(Arc::new(Scaled::new(
            self.schedule.build()?,
            1.0 / (high - low),
        )))
    }

    /// [`only_sigma`](Self::only_sigma) in pixels of [0, 1].
    pub fn unit_range_sigma(&self) -> Option<f64> {
        let (low, high) = self.pixels.range();
        self.only_sigma.map(|sigma| sigma / (high - low))
    }

    /// `network` as a denoiser of images in [0, 1] of any size.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter of the schedule is out of range.
    pub fn denoiser<N: Backbone>(&self, network: N) -> Result<ImageDenoiser<N>, ModelError> {
        let preconditioning = self
            .parametrisation
            .preconditioning(self.schedule.build()?, self.label);
        let (low, high) = self.pixels.range();
        Ok(Padded {
            inner: UnitRange {
                inner: Preconditioned {
                    backbone: network,
                    preconditioning,
                },
                low,
                high,
            },
            multiple: self.architecture.multiple(),
        })
    }

    /// Reads [`MODEL_FILE`] in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] when the folder or the file is missing or unreadable, or its content is not a valid configuration.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config: Self = folder::read(folder, MODEL_FILE, FORMAT)?;
        config.validate()?;
        Ok(config)
    }

    /// As [`open`](Self::open), from the content of a file; `path` names it in errors.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let config: Self = folder::parse(text, path, FORMAT)?;
        config.validate()?;
        Ok(config)
    }

    /// Writes [`MODEL_FILE`] into `folder`, which is made if it does not exist; a file there is replaced in one step.
    ///
    /// # Errors
    /// [`ModelError::Write`] when the folder or the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        folder::write(self, folder, MODEL_FILE)
    }
}
