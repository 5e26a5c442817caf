//! A folder of photographs as a dataset.

use std::path::{Path, PathBuf};
use std::thread;

use burn::data::dataset::{Dataset, DatasetError};
use image::DynamicImage;
use image::imageops::FilterType;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::file::{decode, planar};
use crate::{Channels, DataError, Image};

/// Keeps these random numbers apart from other uses of the same seed.
const PURPOSE: u64 = u64::from_be_bytes(*b"folder\0\0");

/// What is done to the scale of each file, before cropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes as long as the crop.
    ToCrop,
    /// The shorter side becomes this long.
    ShorterSide(usize),
    /// The scale of the file is kept, as is usual for patches of photographs.
    Keep,
}

/// Which part of the resized image is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// The middle; an odd remainder goes below and to the right.
    Centre,
    /// A part chosen uniformly at random.
    Random,
}

/// How the files of a folder become images of one shape.
///
/// The default is 64 x 64, RGB, resized to the crop, from the centre, not mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageFolderConfig {
    /// Height and width of the images, in pixels.
    pub size: usize,
    /// Their colours.
    pub channels: Channels,
    /// Resizing, by a Lanczos filter of radius 3.
    pub resize: Resize,
    /// Cropping to `size`.
    pub crop: Crop,
    /// Whether half of the images, chosen at random, are mirrored left to right.
    pub horizontal_flip: bool,
    /// How often the dataset goes through the files. Item `i` shows file `i % files`, with a crop and
    /// a flip of its own, so `passes` is the number of variants of each file.
    pub passes: usize,
    /// Seed of random crops and flips: item `i` depends on `(seed, i)` alone.
    pub seed: u64,
}

impl Default for ImageFolderConfig {
    fn default() -> Self {
        Self {
            size: 64,
            channels: Channels::Rgb,
            resize: Resize::ToCrop,
            crop: Crop::Centre,
            horizontal_flip: false,
            passes: 1,
            seed: 0,
        }
    }
}

/// All PNG and JPEG files of a folder and its subfolders, in the order of their paths.
///
/// The files are decoded and resized once, when the dataset is opened, on all processors, and kept
/// with 8 bits per value: `channels * height * width` bytes per file after resizing. A file that
/// cannot be used is therefore an error of [`open`](Self::open), never one in mid-training.
///
/// ```no_run
/// use tweedie_data::{Channels, Crop, ImageFolder, ImageFolderConfig, Resize};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let patches = ImageFolder::open(
///     "data/kodak24",
///     ImageFolderConfig {
///         size: 128,
///         channels: Channels::Grey,
///         resize: Resize::Keep,
///         crop: Crop::Random,
///         horizontal_flip: true,
///         passes: 100,
///         ..ImageFolderConfig::default()
///     },
/// )?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    config: ImageFolderConfig,
    files: Vec<PathBuf>,
    images: Vec<Resized>,
}

/// A decoded file, cropped and mirrored anew at each use.
#[derive(Clone, Debug)]
struct Resized {
    shape: [usize; 3],
    bytes: Vec<u8>,
}

impl ImageFolder {
    /// Reads every file in `folder` whose name ends in `.png`, `.jpg` or `.jpeg`, in any case.
    /// Symbolic links are followed.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read or holds no such file, a file that cannot be decoded (see
    /// [`Image::load`]) or is smaller than the crop after resizing, a size or number of passes of zero.
    pub fn open(folder: impl AsRef<Path>, config: ImageFolderConfig) -> Result<Self, DataError> {
        let positive = [
            ("size", config.size),
            ("passes", config.passes),
            (
                "shorter_side",
                if let Resize::ShorterSide(side) = config.resize {
                    side
                } else {
                    1
                },
            ),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(DataError::ZeroSetting { setting });
        }
        let files = image_files(folder.as_ref())?;
        let images = read_all(&files, &config)?;
        Ok(Self {
            config,
            files,
            images,
        })
    }

    /// The files, in the order of their images.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Dataset<Image> for ImageFolder {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let Resized { shape, bytes } = &self.images[index % self.images.len()];
        let (size, [_, height, width]) = (self.config.size, *shape);
        let mut rng = tweedie_core::stream(self.config.seed ^ PURPOSE, index as u64);
        let (top, left) = match self.config.crop {
            Crop::Centre => ((height - size) / 2, (width - size) / 2),
            Crop::Random => (
                rng.random_range(0..=height - size),
                rng.random_range(0..=width - size),
            ),
        };
        let image = Image::from_bytes(*shape, bytes).crop(top, left, size, size);
        let mirrored = self.config.horizontal_flip && rng.random_bool(0.5);
        Ok(if mirrored { image.flip() } else { image })
    }

    fn len(&self) -> usize {
        self.images.len() * self.config.passes
    }
}

fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| DataError::Read {
            path: error.path().unwrap_or(folder).into(),
            source: error.into(),
        })?;
        if entry.file_type().is_file() {
            let found = if has_image_extension(entry.path()) {
                &mut files
            } else {
                &mut others
            };
            found.push(entry.into_path());
        }
    }
    if files.is_empty() {
        return Err(DataError::EmptyFolder {
            folder: folder.into(),
            found: others,
        });
    }
    Ok(files)
}

fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["png", "jpg", "jpeg"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Reads the files on all processors. Of several bad files, the first in order is reported.
fn read_all(files: &[PathBuf], config: &ImageFolderConfig) -> Result<Vec<Resized>, DataError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(threads);
    thread::scope(|scope| {
        let readers: Vec<_> = files
            .chunks(share)
            .map(|files| {
                scope.spawn(move || {
                    files
                        .iter()
                        .map(|file| read(file, config))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let mut images = Vec::with_capacity(files.len());
        for reader in readers {
            let share = reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            images.extend(share?);
        }
        Ok(images)
    })
}

fn read(path: &Path, config: &ImageFolderConfig) -> Result<Resized, DataError> {
    let decoded = decode(path)?;
    let resized = match config.resize {
        Resize::ToCrop => resize(decoded, config.size),
        Resize::ShorterSide(side) => resize(decoded, side),
        Resize::Keep => decoded,
    };
    let image = planar(&resized, Some(config.channels));
    let (height, width, crop) = (image.height(), image.width(), config.size);
    if height < crop || width < crop {
        return Err(DataError::TooSmall {
            path: path.into(),
            height,
            width,
            crop,
        });
    }
    Ok(Resized {
        shape: image.shape(),
        bytes: image.to_bytes(),
    })
}

/// Makes the shorter side `side` pixels long and keeps the proportions.
fn resize(image: DynamicImage, side: usize) -> DynamicImage {
    let shorter = image.height().min(image.width());
    if shorter as usize == side {
        return image;
    }
    let scaled =
        |length: u32| (f64::from(length) * side as f64 / f64::from(shorter)).round() as u32;
    image.resize_exact(
        scaled(image.width()),
        scaled(image.height()),
        FilterType::Lanczos3,
    )
}
