//! What a run trains on, and how it is opened: a large set to learn from and a smaller one held out for validation.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tweedie::{
    burn::data::dataset::{Dataset, DatasetError, transform::PartialDataset},
    data::{
        Channels, Cifar10, Crop, Idx, Image, ImageFolder, ImageFolderConfig, Phantoms, Resize,
        Split,
    },
};

use super::{names::DataName, settings::SettingsError};
use crate::failure::{Failure, Outcome};

/// Images of an epoch where they are made on the fly.
const ENDLESS: usize = 1_000_000;

/// Phantoms held out.
const PHANTOMS_HELD_OUT: usize = 256;

/// Images held out of the test split of a published set, at most.
const TEST_HELD_OUT: usize = 1024;

/// One file of a folder in so many is held out.
const FOLDER_HELD_OUT: usize = 20;

/// The seeds of the two sets of phantoms, exclusive-ored with that of the run. They differ from the plain seeds by which
/// `restore` makes its phantoms, so those are never in a training set.
const LEARNT: u64 = u64::from_be_bytes(*b"learnt\0\0");
const HELD_OUT: u64 = u64::from_be_bytes(*b"held out");

/// A data set as written in the settings of a run. Size and channels of its images are those of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DataConfig {
    Phantoms {},
    Mnist {
        path: PathBuf,
    },
    FashionMnist {
        path: PathBuf,
    },
    Cifar10 {
        path: PathBuf,
    },
    Folder {
        path: PathBuf,
        resize: Resize,
        crop: Crop,
        horizontal_flip: bool,
    },
}

/// Images shared between the trainer's loaders.
pub(super) type Images = Arc<dyn Dataset<Image>>;

/// The two sets of a run.
pub(super) struct Sets {
    pub(super) learnt: Images,
    pub(super) held_out: Images,
    /// Which images are held out.
    pub(super) note: &'static str,
}

impl DataConfig {
    /// A data set with its usual settings.
    pub(super) fn named(name: DataName, path: Option<&Path>) -> Result<Self, SettingsError> {
        let path = || {
            let missing = SettingsError::PathMissing { data: name };
            path.map(Path::to_path_buf).ok_or(missing)
        };
        Ok(match name {
            DataName::Phantoms => Self::Phantoms {},
            DataName::Mnist => Self::Mnist { path: path()? },
            DataName::FashionMnist => Self::FashionMnist { path: path()? },
            DataName::Cifar10 => Self::Cifar10 { path: path()? },
            DataName::Folder => Self::Folder {
                path: path()?,
                resize: Resize::ToCrop,
                crop: Crop::Centre,
                horizontal_flip: false,
            },
        })
    }

    pub(super) fn name(&self) -> DataName {
        match self {
            Self::Phantoms {} => DataName::Phantoms,
            Self::Mnist { .. } => DataName::Mnist,
            Self::FashionMnist { .. } => DataName::FashionMnist,
            Self::Cifar10 { .. } => DataName::Cifar10,
            Self::Folder { .. } => DataName::Folder,
        }
    }

    /// Where its files are.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Phantoms {} => None,
            Self::Mnist { path }
            | Self::FashionMnist { path }
            | Self::Cifar10 { path }
            | Self::Folder { path, .. } => Some(path),
        }
    }

    /// Opens both sets, whose images are `shape`: channels, height, width.
    pub(super) fn open(&self, shape: [usize; 3], seed: u64) -> Outcome<Sets> {
        match self {
            Self::Phantoms {} => phantoms(shape, seed),
            Self::Mnist { path } | Self::FashionMnist { path } => Ok(published(
                Arc::new(digits(path, Split::Train, shape)?),
                Arc::new(digits(path, Split::Test, shape)?),
            )),
            Self::Cifar10 { path } => Ok(published(
                Arc::new(Cifar10::open(path, Split::Train)?),
                Arc::new(Cifar10::open(path, Split::Test)?),
            )),
            Self::Folder {
                path,
                resize,
                crop,
                horizontal_flip,
            } => {
                let config = ImageFolderConfig {
                    size: shape[1],
                    channels: match shape[0] {
                        1 => Channels::Grey,
                        _ => Channels::Rgb,
                    },
                    resize: *resize,
                    crop: *crop,
                    horizontal_flip: *horizontal_flip,
                    passes: ENDLESS,
                    seed,
                };
                Ok(folder(ImageFolder::open(path, config)?, self.is_varied()))
            }
        }
    }

    /// Whether an image is shown in many variants.
    fn is_varied(&self) -> bool {
        matches!(
            self,
            Self::Folder { crop, horizontal_flip, .. } if *horizontal_flip || *crop == Crop::Random
        )
    }
}

impl DataName {
    /// The word of the command line.
    pub(super) fn word(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The usual shape of its images: channels, height, width.
    pub(super) fn usual_shape(self) -> [usize; 3] {
        match self {
            Self::Phantoms => [1, 32, 32],
            Self::Mnist | Self::FashionMnist => [1, 28, 28],
            Self::Cifar10 => [3, 32, 32],
            Self::Folder => [3, 64, 64],
        }
    }

    /// The numbers of channels that it can have.
    pub(super) fn channels(self) -> &'static [usize] {
        match self {
            Self::Phantoms | Self::Mnist | Self::FashionMnist => &[1],
            Self::Cifar10 => &[3],
            Self::Folder => &[1, 3],
        }
    }
}

fn phantoms([_, height, width]: [usize; 3], seed: u64) -> Outcome<Sets> {
    let held_out = Phantoms::new(seed ^ HELD_OUT, PHANTOMS_HELD_OUT, height, width)?;
    Ok(Sets {
        learnt: Arc::new(Phantoms::new(seed ^ LEARNT, ENDLESS, height, width)?),
        held_out: Arc::new(held_out),
        note: "phantoms of another seed",
    })
}

/// Digits with as much border as the size asks for.
fn digits(path: &Path, split: Split, [_, height, width]: [usize; 3]) -> Outcome<Idx> {
    let set = Idx::open(path, split)?;
    let [_, own_height, own_width] = set.shape();
    let border = height.saturating_sub(own_height) / 2;
    if [height, width] != [own_height + 2 * border, own_width + 2 * border] {
        return Err(Failure::usage(SettingsError::Border {
            found: [height, width],
            own: [own_height, own_width],
        }));
    }
    Ok(set.padded(border))
}

fn published(learnt: Images, test: Images) -> Sets {
    let end = test.len().min(TEST_HELD_OUT);
    Sets {
        learnt,
        held_out: Arc::new(PartialDataset::new(test, 0, end)),
        note: "the first images of the test split",
    }
}

fn folder(images: ImageFolder, is_varied: bool) -> Sets {
    let files = images.files().len();
    let learnt = files - (files / FOLDER_HELD_OUT).max(1);
    let passes = if is_varied {
        ENDLESS.div_ceil(learnt.max(1))
    } else {
        1
    };
    let images = Arc::new(images);
    Sets {
        held_out: Arc::new(PartialDataset::new(images.clone(), learnt, files)),
        learnt: Arc::new(FirstFiles {
            images,
            files,
            learnt,
            passes,
        }),
        note: "the last files of the folder, in the order of their paths",
    }
}

/// The first files of a folder, several times over.
struct FirstFiles {
    images: Arc<ImageFolder>,
    files: usize,
    learnt: usize,
    passes: usize,
}

impl Dataset<Image> for FirstFiles {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        let (pass, file) = (index / self.learnt, index % self.learnt);
        self.images.get(pass * self.files + file)
    }

    fn len(&self) -> usize {
        self.learnt * self.passes
    }
}
