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
        Channels, Cifar10, Crop, Example, Idx, Image, ImageFolder, ImageFolderConfig, Labelled,
        LesionPhantoms, Phantoms, Resize, Split, Unlabelled,
    },
    training::Examples,
};

use super::{error::SettingsError, folder};
use crate::failure::{Failure, Outcome};

/// Images of an epoch where they are made on the fly.
pub(super) const ENDLESS: usize = 1_000_000;

/// Phantoms held out.
const PHANTOMS_HELD_OUT: usize = 256;

/// Images held out of the test split of a published set, at most.
const TEST_HELD_OUT: usize = 1024;

/// The seeds of the two sets of phantoms, exclusive-ored with that of the run. They differ from the plain seeds by which
/// `restore` makes its phantoms, so those are never in a training set.
const LEARNT: u64 = u64::from_be_bytes(*b"learnt\0\0");
const HELD_OUT: u64 = u64::from_be_bytes(*b"held out");

/// `--data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DataName {
    /// Random-ellipse phantoms, endless and drawn on the fly; needs no files.
    Phantoms,
    /// Phantoms of two classes: healthy heads, and heads with a lesion; endless, needs no files.
    Lesions,
    /// The IDX files of MNIST, or of a set in its format, gzipped or not; 1 channel, 10 classes.
    Mnist,
    /// As mnist, under its own name.
    FashionMnist,
    /// The binary batches of CIFAR-10; 3 channels, 10 classes.
    Cifar10,
    /// All PNG and JPEG files of a folder and its subfolders, of which there is one for each class where the network is told
    /// classes.
    Folder,
}

/// A data set as written in the settings of a run. Size and channels of its images are those of the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DataConfig {
    Phantoms {},
    Lesions {},
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
        #[serde(default = "to_crop")]
        resize: Resize,
        #[serde(default = "centre")]
        crop: Crop,
        #[serde(default)]
        horizontal_flip: bool,
    },
}

fn to_crop() -> Resize {
    Resize::ToCrop
}

fn centre() -> Crop {
    Crop::Centre
}

/// The two sets of a run.
pub(super) struct Sets {
    pub(super) learnt: Examples,
    pub(super) held_out: Examples,
    /// Which images are held out.
    pub(super) note: &'static str,
}

impl DataConfig {
    pub(super) fn name(&self) -> DataName {
        match self {
            Self::Phantoms {} => DataName::Phantoms,
            Self::Lesions {} => DataName::Lesions,
            Self::Mnist { .. } => DataName::Mnist,
            Self::FashionMnist { .. } => DataName::FashionMnist,
            Self::Cifar10 { .. } => DataName::Cifar10,
            Self::Folder { .. } => DataName::Folder,
        }
    }

    /// Where its files are.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Phantoms {} | Self::Lesions {} => None,
            Self::Mnist { path }
            | Self::FashionMnist { path }
            | Self::Cifar10 { path }
            | Self::Folder { path, .. } => Some(path),
        }
    }

    /// Opens both sets, whose images are `shape`: channels, height, width. Each has its class where the network is told one of
    /// `classes`.
    pub(super) fn open(
        &self,
        shape: [usize; 3],
        classes: Option<usize>,
        seed: u64,
    ) -> Outcome<Sets> {
        match self {
            Self::Phantoms {} => phantoms(shape, seed),
            Self::Lesions {} => lesions(shape, classes.is_some(), seed),
            Self::Mnist { path } | Self::FashionMnist { path } => {
                let open = |split| -> Outcome<Examples> {
                    let set = digits(path, split, shape)?;
                    let labels = set.labels().to_vec();
                    examples(set, &labels, classes)
                };
                Ok(published(open(Split::Train)?, open(Split::Test)?))
            }
            Self::Cifar10 { path } => {
                let own = self.name().usual_shape();
                if shape != own {
                    return Err(Failure::usage(SettingsError::Size { own, found: shape }));
                }
                let open = |split| -> Outcome<Examples> {
                    let set = Cifar10::open(path, split)?;
                    let labels = set.labels().to_vec();
                    examples(set, &labels, classes)
                };
                Ok(published(open(Split::Train)?, open(Split::Test)?))
            }
            Self::Folder {
                path,
                resize,
                crop,
                horizontal_flip,
            } => {
                let [_, height, width] = shape;
                if height != width {
                    let size = [height, width];
                    return Err(Failure::usage(SettingsError::NotSquare { size }));
                }
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
                folder::sets(
                    ImageFolder::open(path, config)?,
                    path,
                    classes,
                    self.is_varied(),
                )
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

    /// Its `type` in the settings.
    pub(super) fn type_name(self) -> String {
        self.word().replace('-', "_")
    }

    /// That of a `type`.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        let all = Self::value_variants().iter().copied();
        all.into_iter().find(|data| data.type_name() == name)
    }

    pub(super) fn has_files(self) -> bool {
        !matches!(self, Self::Phantoms | Self::Lesions)
    }

    /// The usual shape of its images: channels, height, width.
    pub(super) fn usual_shape(self) -> [usize; 3] {
        match self {
            Self::Phantoms | Self::Lesions => [1, 32, 32],
            Self::Mnist | Self::FashionMnist => [1, 28, 28],
            Self::Cifar10 => [3, 32, 32],
            Self::Folder => [3, 64, 64],
        }
    }

    /// The numbers of channels that it can have.
    pub(super) fn channels(self) -> &'static [usize] {
        match self {
            Self::Phantoms | Self::Lesions | Self::Mnist | Self::FashionMnist => &[1],
            Self::Cifar10 => &[3],
            Self::Folder => &[1, 3],
        }
    }

    /// How many classes it has, where its name tells.
    pub(super) fn classes(self) -> Option<usize> {
        match self {
            Self::Phantoms | Self::Folder => None,
            Self::Lesions => Some(2),
            Self::Mnist | Self::FashionMnist | Self::Cifar10 => Some(10),
        }
    }
}

fn phantoms([_, height, width]: [usize; 3], seed: u64) -> Outcome<Sets> {
    let learnt = Phantoms::new(seed ^ LEARNT, ENDLESS, height, width)?;
    let held_out = Phantoms::new(seed ^ HELD_OUT, PHANTOMS_HELD_OUT, height, width)?;
    Ok(Sets {
        learnt: Arc::new(Unlabelled(learnt)),
        held_out: Arc::new(Unlabelled(held_out)),
        note: "phantoms of another seed",
    })
}

/// Healthy and ill phantoms; `told`: which is which.
fn lesions([_, height, width]: [usize; 3], told: bool, seed: u64) -> Outcome<Sets> {
    let open = |seed, len| -> Outcome<Examples> {
        let set = LesionPhantoms::new(seed, len, height, width)?;
        Ok(match told {
            true => Arc::new(set),
            false => Arc::new(Untold(set)),
        })
    };
    Ok(Sets {
        learnt: open(seed ^ LEARNT, ENDLESS)?,
        held_out: open(seed ^ HELD_OUT, PHANTOMS_HELD_OUT)?,
        note: "phantoms of another seed",
    })
}

/// Examples without their classes.
struct Untold<S>(S);

impl<S: Dataset<Example>> Dataset<Example> for Untold<S> {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let image = self.0.get(index)?.image;
        Ok(Example { image, class: None })
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Images with their labels where there are classes.
fn examples(
    images: impl Dataset<Image> + 'static,
    labels: &[u8],
    classes: Option<usize>,
) -> Outcome<Examples> {
    Ok(match classes {
        None => Arc::new(Unlabelled(images)),
        Some(classes) => {
            let labels = labels.iter().copied().map(usize::from).collect();
            Arc::new(Labelled::new(images, labels, classes)?)
        }
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

fn published(learnt: Examples, test: Examples) -> Sets {
    let end = test.len().min(TEST_HELD_OUT);
    Sets {
        learnt,
        held_out: Arc::new(PartialDataset::new(test, 0, end)),
        note: "the first images of the test split",
    }
}
