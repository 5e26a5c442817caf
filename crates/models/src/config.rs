//! What a network is, how it was trained, and the file that says so.

use std::{fs, io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tweedie_core::{
    Backbone, NoiseLabel, Padded, Parametrisation, Preconditioned, Preconditioning, Scaled,
    Schedule, ScheduleConfig, UnitRange,
};

use crate::{ModelError, UNet, UNetConfig};

/// Name of the file with the [`ModelConfig`] in a model folder.
pub const MODEL_FILE: &str = "model.json";

/// Version of the format of [`MODEL_FILE`].
const FORMAT: u32 = 1;

/// A network's kind and shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Architecture {
    /// [`UNet`].
    #[serde(rename = "unet")]
    UNet(UNetConfig),
}

impl Architecture {
    /// Channels of the images.
    pub fn channels(&self) -> usize {
        match self {
            Self::UNet(unet) => unet.channels,
        }
    }

    /// Whether the network takes images of this size without padding.
    ///
    /// # Errors
    /// [`ModelError::Size`] when it does not.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        match self {
            Self::UNet(unet) => unet.check_size(height, width),
        }
    }

    /// What the height and the width of the network's input must be divisible by.
    pub fn multiple(&self) -> usize {
        match self {
            Self::UNet(unet) => unet.multiple(),
        }
    }
}

/// All that is needed, beside the weights, to denoise with a network.
///
/// The network itself sees images in [-1, 1]: `schedule`, `label` and `parametrisation` are in those units.
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
    format: u32,
    /// The network.
    pub architecture: Architecture,
    /// What the network predicts.
    pub parametrisation: Parametrisation,
    /// The schedule of its training, for images in [-1, 1].
    pub schedule: ScheduleConfig,
    /// How noise levels are told to it.
    pub label: NoiseLabel,
    /// Height and width of the images of its training, in pixels.
    pub image_size: [usize; 2],
}

/// A network made into a denoiser of images in [0, 1] of any size. The padding repeats the edge.
pub type ImageDenoiser<N = UNet> = Padded<UnitRange<Preconditioned<N, Arc<dyn Preconditioning>>>>;

impl ModelConfig {
    /// A configuration; `image_size` is `[height, width]`.
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
        }
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        match &self.architecture {
            Architecture::UNet(unet) => unet.validate()?,
        }
        self.schedule.build()?;
        match self.label {
            NoiseLabel::Step { steps: 0 } => return Err(ModelError::Zero { field: "steps" }),
            NoiseLabel::Time { scale } => require_positive("scale", scale)?,
            _ => {}
        }
        if let Parametrisation::Edm { sigma_data } = self.parametrisation {
            require_positive("sigma_data", sigma_data)?;
        }
        if self.image_size.contains(&0) {
            return Err(ModelError::Zero {
                field: "image_size",
            });
        }
        Ok(())
    }

    /// Whether the denoiser takes images of this shape: any size, but only the network's number of channels.
    ///
    /// # Errors
    /// [`ModelError::Channels`] for another number of channels, [`ModelError::Size`] for an empty image.
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
        Ok(())
    }

    /// The schedule of the training as seen in pixels of [0, 1], where noise levels are half as large.
    ///
    /// A sampler over images in [0, 1] that follows it shows the network exactly the noise levels of its training, at the
    /// times of its training. Other schedules work too, since a denoiser is indexed by its noise level; their noise levels
    /// should lie between this schedule's first and last.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter is out of range.
    pub fn unit_range_schedule(&self) -> Result<Arc<dyn Schedule>, ModelError> {
        Ok(Arc::new(Scaled::new(self.schedule.build()?, 0.5)))
    }

    /// `network` as a denoiser of images in [0, 1] of any size.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter of the schedule is out of range.
    pub fn denoiser<N: Backbone>(&self, network: N) -> Result<ImageDenoiser<N>, ModelError> {
        let preconditioning = self
            .parametrisation
            .preconditioning(self.schedule.build()?, self.label);
        Ok(Padded {
            inner: UnitRange(Preconditioned {
                backbone: network,
                preconditioning,
            }),
            multiple: self.architecture.multiple(),
        })
    }

    /// Reads [`MODEL_FILE`] in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] when the folder or the file is missing or unreadable, or its content is not a valid configuration.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(MODEL_FILE);
        let text = fs::read_to_string(&path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return ModelError::NoModel {
                    folder: folder.into(),
                    expected: MODEL_FILE,
                };
            }
            ModelError::Read {
                path: path.clone(),
                source,
            }
        })?;
        Self::parse(&text, &path)
    }

    /// As [`open`](Self::open), from the content of a file; `path` names it in errors.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let invalid = |source| ModelError::Json {
            path: path.into(),
            source,
        };
        // The version first: another version may well have other fields.
        let Version { format } = serde_json::from_str(text).map_err(invalid)?;
        if format != FORMAT {
            return Err(ModelError::Format {
                path: path.into(),
                found: format,
                expected: FORMAT,
            });
        }
        let config: Self = serde_json::from_str(text).map_err(invalid)?;
        config.validate()?;
        Ok(config)
    }

    /// Writes [`MODEL_FILE`] into `folder`, which is made if it does not exist; a file there is replaced in one step.
    ///
    /// # Errors
    /// [`ModelError::Write`] when the folder or the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join(MODEL_FILE);
        let draft = folder.join(format!("{MODEL_FILE}.tmp"));
        let text = serde_json::to_string_pretty(self).map_err(|source| ModelError::Json {
            path: path.clone(),
            source,
        })?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&draft, text + "\n"))
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|source| ModelError::Write { path, source })
    }
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn require_positive(field: &'static str, found: f64) -> Result<(), ModelError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(ModelError::OutOfRange {
        field,
        expected: "finite and above 0",
        found,
    })
}
