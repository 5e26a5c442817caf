//! The settings of a run: defaults, a file, options, in rising order of precedence.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tweedie::{
    core::Parametrisation,
    models::{Architecture, ModelConfig, ModelError, UNetConfig},
    training::TrainingConfig,
};

use super::{
    arguments::{Arguments, DataArguments, ModelArguments, TrainingArguments},
    data::DataConfig,
    names::{ChannelsName, DataName, ScheduleName},
};
use crate::failure::{Failure, Outcome};

/// Name of the file with the settings in the folder of a run.
pub(super) const RUN_FILE: &str = "run.json";

/// Everything that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) data: DataConfig,
    pub(super) model: ModelConfig,
    #[serde(default)]
    pub(super) training: TrainingConfig,
}

/// Why there are no settings for a run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("--data {} needs --path DIR, the folder with its files", data.word())]
    PathMissing { data: DataName },
    #[error("{option} does not go with --data {}", data.word())]
    Unused {
        option: &'static str,
        data: DataName,
    },
    #[error("images of --data {} have {expected:?} channel(s), the model takes {found}", data.word())]
    Channels {
        data: DataName,
        expected: &'static [usize],
        found: usize,
    },
    #[error("images of a folder are square, the model takes {} x {}", size[0], size[1])]
    NotSquare { size: [usize; 2] },
    #[error(
        "the images of the data set are {} x {}, and can only be padded by the same number of pixels on each side: found \
         {} x {}", own[0], own[1], found[0], found[1]
    )]
    Border { own: [usize; 2], found: [usize; 2] },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} does not hold the settings of a run: {source}", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
}

impl Settings {
    /// The settings that the arguments of a new run ask for.
    pub(super) fn asked(arguments: &Arguments) -> Outcome<Self> {
        let mut settings = match &arguments.config {
            Some(path) => Self::read(path).map_err(|error| match error {
                SettingsError::Json { .. } => Failure::usage(error),
                _ => error.into(),
            })?,
            None => Self::usual().map_err(Failure::usage)?,
        };
        settings
            .take_data(&arguments.data)
            .map_err(Failure::usage)?;
        settings
            .take_model(&arguments.model)
            .map_err(Failure::usage)?;
        take_training(&mut settings.training, &arguments.training);
        settings.training.validate().map_err(Failure::usage)?;
        settings.check_model().map_err(Failure::usage)?;
        settings.check_data().map_err(Failure::usage)?;
        settings.make_path_absolute()?;
        Ok(settings)
    }

    /// A small network on phantoms.
    fn usual() -> Result<Self, ModelError> {
        let (schedule, label) = ScheduleName::Ddpm.config();
        let [_, height, width] = DataName::Phantoms.usual_shape();
        Ok(Self {
            data: DataConfig::Phantoms {},
            model: ModelConfig::new(
                Architecture::UNet(UNetConfig::preset("tiny")?),
                Parametrisation::Epsilon,
                schedule,
                label,
                [height, width],
            ),
            training: TrainingConfig::default(),
        })
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|source| SettingsError::Read {
            path: path.into(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| SettingsError::Json {
            path: path.into(),
            source,
        })
    }

    /// Writes [`RUN_FILE`] into a folder that exists; a file there is replaced in one step.
    pub(super) fn write(&self, folder: &Path) -> Result<(), SettingsError> {
        let path = folder.join(RUN_FILE);
        let draft = folder.join(format!("{RUN_FILE}.tmp"));
        let text = serde_json::to_string_pretty(self).map_err(|source| SettingsError::Json {
            path: path.clone(),
            source,
        })?;
        fs::write(&draft, text + "\n")
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|source| SettingsError::Write { path, source })
    }

    /// Channels, height and width of the images.
    pub(super) fn shape(&self) -> [usize; 3] {
        let [height, width] = self.model.image_size;
        [self.model.architecture.channels(), height, width]
    }

    fn take_data(&mut self, given: &DataArguments) -> Result<(), SettingsError> {
        if let Some(name) = given.data
            && name != self.data.name()
        {
            self.data = DataConfig::named(name, given.path.as_deref())?;
            let [channels, height, width] = name.usual_shape();
            self.set_channels(channels);
            self.model.image_size = [height, width];
        }
        let data = self.data.name();
        let unused = |option| SettingsError::Unused { option, data };
        if let Some(path) = &given.path {
            *self.data.path_mut().ok_or_else(|| unused("--path"))? = path.clone();
        }
        if let Some(size) = given.size.map(usize::from) {
            self.model.image_size = [size, size];
        }
        if let Some(channels) = given.channels {
            if data != DataName::Folder {
                return Err(unused("--channels"));
            }
            self.set_channels(match channels {
                ChannelsName::Grey => 1,
                ChannelsName::Rgb => 3,
            });
        }
        self.take_folder(given)
    }

    fn take_folder(&mut self, given: &DataArguments) -> Result<(), SettingsError> {
        if let DataConfig::Folder {
            resize,
            crop,
            horizontal_flip,
            ..
        } = &mut self.data
        {
            *resize = given.resize.unwrap_or(*resize);
            *crop = given.crop.map_or(*crop, Into::into);
            *horizontal_flip |= given.flip;
            return Ok(());
        }
        let options = [
            ("--resize", given.resize.is_some()),
            ("--crop", given.crop.is_some()),
            ("--flip", given.flip),
        ];
        match options.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(SettingsError::Unused {
                option,
                data: self.data.name(),
            }),
            None => Ok(()),
        }
    }

    fn take_model(&mut self, given: &ModelArguments) -> Result<(), ModelError> {
        if let Some(name) = &given.preset {
            self.model.architecture = Architecture::UNet(UNetConfig {
                channels: self.model.architecture.channels(),
                ..UNetConfig::preset(name)?
            });
        }
        if let Some(name) = given.parametrisation {
            self.model.parametrisation = name.into();
        }
        if let Some(name) = given.schedule {
            (self.model.schedule, self.model.label) = name.config();
        }
        Ok(())
    }

    fn set_channels(&mut self, channels: usize) {
        if let Architecture::UNet(unet) = &mut self.model.architecture {
            unet.channels = channels;
        }
    }

    fn check_model(&self) -> Result<(), ModelError> {
        self.model.validate()?;
        let [height, width] = self.model.image_size;
        self.model.architecture.check_size(height, width)
    }

    fn check_data(&self) -> Result<(), SettingsError> {
        let (data, [channels, height, width]) = (self.data.name(), self.shape());
        if !data.channels().contains(&channels) {
            return Err(SettingsError::Channels {
                data,
                expected: data.channels(),
                found: channels,
            });
        }
        if data == DataName::Folder && height != width {
            return Err(SettingsError::NotSquare {
                size: [height, width],
            });
        }
        Ok(())
    }

    /// So that the run can be resumed from another working folder.
    fn make_path_absolute(&mut self) -> Result<(), SettingsError> {
        if let Some(path) = self.data.path_mut() {
            *path = std::path::absolute(&*path).map_err(|source| SettingsError::Read {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Puts the options that were given in place of recorded settings.
pub(super) fn take_training(training: &mut TrainingConfig, given: &TrainingArguments) {
    fn take<T>(setting: &mut T, given: Option<impl Into<T>>) {
        if let Some(value) = given {
            *setting = value.into();
        }
    }
    take(&mut training.steps, given.steps);
    take(&mut training.batch_size, given.batch_size);
    take(&mut training.learning_rate, given.learning_rate);
    take(&mut training.warmup_steps, given.warmup_steps);
    take(&mut training.weight_decay, given.weight_decay);
    take(&mut training.clip_norm, given.clip_norm);
    take(&mut training.ema_decay, given.ema_decay);
    take(&mut training.loss, given.loss);
    take(&mut training.seed, given.seed);
    take(&mut training.validate_every, given.validate_every);
    take(&mut training.sample_every, given.sample_every);
    take(&mut training.checkpoint_every, given.checkpoint_every);
}
