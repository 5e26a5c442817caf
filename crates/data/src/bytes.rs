//! What the sets of small labelled images have in common: 8-bit pixels and labels in memory.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{DataError, Image};

/// The part of a set that was set aside for training or for testing by its authors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    Train,
    /// For testing.
    Test,
}

impl Split {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Train => Self::Test,
            Self::Test => Self::Train,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// Classes of MNIST, its drop-in replacements, and CIFAR-10.
pub(crate) const CLASSES: u8 = 10;

/// Images of one shape, 8 bits per value, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    pub(crate) shape: [usize; 3],
    pub(crate) pixels: Vec<u8>,
}

impl Bytes {
    pub(crate) fn len(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>()
    }

    pub(crate) fn image(&self, index: usize) -> Image {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let size: usize = self.shape.iter().product();
        Image::from_bytes(self.shape, &self.pixels[index * size..(index + 1) * size])
    }
}

/// Refuses labels that are no class numbers.
pub(crate) fn check_labels(path: &Path, labels: &[u8]) -> Result<(), DataError> {
    match labels.iter().position(|&label| label >= CLASSES) {
        Some(index) => Err(DataError::Label {
            path: path.into(),
            index,
            found: labels[index],
            classes: CLASSES,
        }),
        None => Ok(()),
    }
}
