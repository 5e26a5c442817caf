//! What a run trains, as its settings say it.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};
use tweedie::{
    burn::tensor::Device,
    models::{
        AUTOENCODER_FOLDER, AutoencoderModel, ClassifierModel, ModelConfig, PretrainedAutoencoder,
    },
    training::{
        AutoencodingConfig, CHECKPOINTS_FOLDER, Checkpoint, ClassificationConfig, DiffusionConfig,
        TrainingError,
    },
};

use super::error::SettingsError;
use crate::{
    failure::{Failure, Outcome},
    measurement::MeasurementConfig,
};

/// A task and all its settings, told apart by `type`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum TaskConfig {
    /// A model of images, or of denoising them.
    Diffusion(DiffusionSettings),
    /// A classifier of noisy images.
    Classifier(ClassifierSettings),
    /// An autoencoder.
    Autoencoder(AutoencoderSettings),
    /// A model of the latents of an autoencoder.
    Latent(LatentSettings),
}

/// The settings of [`TaskConfig::Diffusion`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct DiffusionSettings {
    pub(super) model: ModelConfig,
    /// What a network that sees an image beside its input is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) measurement: Option<MeasurementConfig>,
    #[serde(flatten)]
    pub(super) learning: DiffusionConfig,
}

/// The settings of [`TaskConfig::Classifier`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ClassifierSettings {
    pub(super) model: ClassifierModel,
    #[serde(flatten)]
    pub(super) learning: ClassificationConfig,
}

/// The settings of [`TaskConfig::Autoencoder`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AutoencoderSettings {
    pub(super) model: AutoencoderModel,
    #[serde(flatten)]
    pub(super) learning: AutoencodingConfig,
}

/// The settings of [`TaskConfig::Latent`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct LatentSettings {
    /// Folder of a trained autoencoder, or of the run that trained it.
    pub(super) autoencoder: PathBuf,
    pub(super) model: ModelConfig,
    #[serde(flatten)]
    pub(super) learning: DiffusionConfig,
}

impl TaskConfig {
    /// Names of the tasks.
    const NAMES: &'static [&'static str] = &["diffusion", "classifier", "autoencoder", "latent"];

    /// From the table `task` of a run's settings. Part by part, so that an error says where.
    pub(super) fn read(mut table: Table) -> Result<Self, SettingsError> {
        let name = table.remove("type");
        let model = take(&mut table, "model");
        Ok(match name.as_ref().and_then(Value::as_str) {
            Some("diffusion") => Self::Diffusion(DiffusionSettings {
                model: section("task.model", model?)?,
                measurement: match table.contains_key("measurement") {
                    true => Some(section(
                        "task.measurement",
                        take(&mut table, "measurement")?,
                    )?),
                    false => None,
                },
                learning: section("task", table)?,
            }),
            Some("classifier") => Self::Classifier(ClassifierSettings {
                model: section("task.model", model?)?,
                learning: section("task", table)?,
            }),
            Some("autoencoder") => Self::Autoencoder(AutoencoderSettings {
                model: section("task.model", model?)?,
                learning: section("task", table)?,
            }),
            Some("latent") => Self::Latent(LatentSettings {
                autoencoder: match table.remove("autoencoder") {
                    Some(Value::String(path)) => path.into(),
                    found => return Err(SettingsError::Autoencoder { found }),
                },
                model: section("task.model", model?)?,
                learning: section("task", table)?,
            }),
            _ => {
                return Err(SettingsError::Task {
                    found: name,
                    expected: Self::NAMES,
                });
            }
        })
    }

    /// What is trained, in words.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Diffusion(_) => "A diffusion model",
            Self::Classifier(_) => "A classifier of noisy images",
            Self::Autoencoder(_) => "An autoencoder",
            Self::Latent(_) => "A diffusion model of latents",
        }
    }

    /// Refuses what no network can be.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        match self {
            Self::Diffusion(DiffusionSettings {
                model, measurement, ..
            }) => {
                check_size(model)?;
                check_seen(model, measurement.is_some())?;
            }
            Self::Classifier(settings) => settings.model.validate()?,
            Self::Autoencoder(settings) => settings.model.validate()?,
            Self::Latent(LatentSettings { model, .. }) => {
                check_size(model)?;
                check_seen(model, false)?;
            }
        }
        Ok(())
    }

    /// Channels, height and width of the images; `checkpoint` is what the run goes on from.
    pub(super) fn shape(&self, checkpoint: Option<&Checkpoint>) -> Outcome<[usize; 3]> {
        let of = |model: &AutoencoderModel| {
            let [height, width] = model.image_size;
            [model.architecture.channels, height, width]
        };
        Ok(match self {
            Self::Diffusion(DiffusionSettings { model, .. }) => {
                let [height, width] = model.image_size;
                [model.architecture.channels(), height, width]
            }
            Self::Classifier(ClassifierSettings { model, .. }) => {
                let [height, width] = model.image_size;
                [model.architecture.encoder.channels, height, width]
            }
            Self::Autoencoder(settings) => of(&settings.model),
            Self::Latent(settings) => of(&AutoencoderModel::open(&settings.folder(checkpoint)?)?),
        })
    }

    /// How many classes there are, where the network is told one of them or tells them apart.
    pub(super) fn classes(&self) -> Option<usize> {
        let classes = match self {
            Self::Diffusion(DiffusionSettings { model, .. })
            | Self::Latent(LatentSettings { model, .. }) => model.architecture.classes(),
            Self::Classifier(settings) => settings.model.architecture.classes,
            Self::Autoencoder(_) => 0,
        };
        (classes > 0).then_some(classes)
    }

    /// A folder that the task needs.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Latent(settings) => Some(&mut settings.autoencoder),
            _ => None,
        }
    }
}

impl LatentSettings {
    /// The folder of the autoencoder, of a run that of its newest checkpoint. A `checkpoint` to go on from has its own copy, and
    /// what it was made of may be gone.
    fn folder(&self, checkpoint: Option<&Checkpoint>) -> Outcome<PathBuf> {
        if let Some(checkpoint) = checkpoint {
            return Ok(checkpoint.folder().join(AUTOENCODER_FOLDER));
        }
        let checkpoints = self.autoencoder.join(CHECKPOINTS_FOLDER);
        match Checkpoint::latest(&checkpoints) {
            Ok(checkpoint) => Ok(checkpoint.folder().into()),
            Err(TrainingError::NoCheckpoint { .. }) => Ok(self.autoencoder.clone()),
            Err(error) => Err(error.into()),
        }
    }

    /// The autoencoder; that of a `checkpoint` has the scale that the run has had from its start.
    pub(super) fn open(
        &self,
        checkpoint: Option<&Checkpoint>,
        device: &Device,
    ) -> Outcome<PretrainedAutoencoder> {
        PretrainedAutoencoder::open(&self.folder(checkpoint)?, device).map_err(Failure::from)
    }
}

/// Refuses a network that sees more, or less, than it will be shown.
fn check_seen(model: &ModelConfig, is_shown: bool) -> Result<(), SettingsError> {
    let found = model.architecture.condition_channels();
    let expected = match is_shown {
        true => model.architecture.channels(),
        false => 0,
    };
    if found == expected {
        return Ok(());
    }
    Err(SettingsError::Measurement { expected, found })
}

fn check_size(model: &ModelConfig) -> Result<(), SettingsError> {
    model.validate()?;
    let [height, width] = model.image_size;
    Ok(model.architecture.check_size(height, width)?)
}

/// Takes the part `key` of the table `task`.
fn take(table: &mut Table, key: &'static str) -> Result<Table, SettingsError> {
    match table.remove(key) {
        Some(Value::Table(inner)) => Ok(inner),
        found => Err(SettingsError::NoTable {
            place: format!("task.{key}"),
            found,
        }),
    }
}

/// Reads the table at `place`; unknown fields are refused.
pub(super) fn section<T: DeserializeOwned>(place: &str, table: Table) -> Result<T, SettingsError> {
    table
        .try_into()
        .map_err(|source| SettingsError::field(place, &source))
}
