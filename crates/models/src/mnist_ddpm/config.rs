//! The shape of an MnistDdpm, and what is refused.

use serde::{Deserialize, Serialize};

use super::published;
use crate::{ModelError, checks, import::Layout};

/// The shape of an [`MnistDdpm`](super::MnistDdpm).
///
/// ```
/// use tweedie_models::MnistDdpmConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let digits = MnistDdpmConfig::published();
/// digits.validate()?;
/// assert!(digits.check_size(32, 32).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MnistDdpmConfig {
    /// Channels of the images.
    pub channels: usize,
    /// Channels after each block.
    pub widths: Vec<usize>,
    /// Height and width of the images, the same for all: each pixel has a weight of its own.
    pub size: usize,
    /// Frequencies of the time code, at least 1.
    pub frequencies: usize,
    /// Channels of the layers between the time code and the image.
    pub time_width: usize,
}

impl MnistDdpmConfig {
    /// The network of the digits.
    pub fn published() -> Self {
        Self {
            channels: 1,
            widths: vec![16, 32, 32, 16],
            size: 28,
            frequencies: 16,
            time_width: 128,
        }
    }

    /// What the height and the width of the network's input are divisible by: the one size. Smaller images can be padded to it.
    pub fn multiple(&self) -> usize {
        self.size
    }

    /// Whether the network takes images of this size.
    ///
    /// # Errors
    /// [`ModelError::OnlySize`] when it does not.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        if [height, width] == [self.size; 2] {
            return Ok(());
        }
        Err(ModelError::OnlySize {
            expected: self.size,
            height,
            width,
        })
    }

    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        published::layouts(self)
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::counts([
            ("channels", self.channels),
            ("size", self.size),
            ("frequencies", self.frequencies),
            ("time_width", self.time_width),
        ])?;
        checks::levels("widths", &self.widths)?;
        Ok(())
    }
}
