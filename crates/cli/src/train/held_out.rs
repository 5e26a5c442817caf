//! The images of a data set that no run trains on, for verbs that judge a model.

use std::path::PathBuf;

use tweedie::{
    data::{Crop, Resize},
    training::Examples,
};

use super::{
    data::{DataConfig, DataName},
    error::SettingsError,
};
use crate::failure::{Failure, Outcome};

/// A data set by its name.
#[derive(clap::Args, Debug)]
pub(crate) struct HeldOutArguments {
    /// Which data set; of its images those that `train` holds out.
    #[arg(long, value_enum, default_value = "phantoms", value_name = "NAME")]
    data: DataName,
    /// Folder with the files of the data set; required for all but phantoms and lesions.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

impl HeldOutArguments {
    /// The word for it.
    pub(crate) fn word(&self) -> String {
        self.data.word()
    }

    /// Images of `shape` (channels, height, width), each with its class where there are classes; `seed` is that of the phantoms.
    /// And which images they are.
    pub(crate) fn open(
        &self,
        shape: [usize; 3],
        classes: usize,
        seed: u64,
    ) -> Outcome<(Examples, &'static str)> {
        let data = self.data;
        if !data.channels().contains(&shape[0]) {
            return Err(Failure::usage(SettingsError::Channels {
                data,
                expected: data.channels(),
                found: shape[0],
            }));
        }
        let told = (classes > 0).then_some(classes);
        match (told, data.classes()) {
            (Some(found), Some(expected)) if found != expected => {
                return Err(Failure::usage(SettingsError::Classes {
                    data,
                    expected,
                    found,
                }));
            }
            (Some(classes), None) if data != DataName::Folder => {
                return Err(Failure::usage(SettingsError::NoClasses { data, classes }));
            }
            _ => {}
        }
        let sets = self.config()?.open(shape, told, seed)?;
        Ok((sets.held_out, sets.note))
    }

    fn config(&self) -> Outcome<DataConfig> {
        if self.path.is_some() && !self.data.has_files() {
            return Err(Failure::usage(SettingsError::Unused {
                option: "--path",
                data: self.data,
            }));
        }
        let path = || {
            let missing = SettingsError::PathMissing { data: self.data };
            self.path.clone().ok_or_else(|| Failure::usage(missing))
        };
        Ok(match self.data {
            DataName::Phantoms => DataConfig::Phantoms {},
            DataName::Lesions => DataConfig::Lesions {},
            DataName::Mnist => DataConfig::Mnist { path: path()? },
            DataName::FashionMnist => DataConfig::FashionMnist { path: path()? },
            DataName::Cifar10 => DataConfig::Cifar10 { path: path()? },
            DataName::Folder => DataConfig::Folder {
                path: path()?,
                resize: Resize::ToCrop,
                crop: Crop::Centre,
                horizontal_flip: false,
            },
        })
    }
}
