//! The shape of a DRUNet, and what is refused.

use serde::{Deserialize, Serialize};

use super::published;
use crate::{ModelError, checks, import::Layout};

/// The shape of a [`Drunet`](super::Drunet).
///
/// Level `i` works on images of `1 / 2^i` of the size with `widths[i]` channels.
///
/// ```
/// use tweedie_models::DrunetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let grey = DrunetConfig::published(1);
/// grey.validate()?;
/// assert_eq!(grey.multiple(), 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrunetConfig {
    /// Channels of the images: 1 for grey, 3 for colour. The network's input has one more, the map of the noise level.
    pub channels: usize,
    /// Channels of each level, full resolution first.
    pub widths: Vec<usize>,
    /// Residual blocks of the bottom, and of each other level on the way down and on the way up.
    pub blocks_per_level: usize,
}

impl DrunetConfig {
    /// The network of the paper for images with `channels` channels: four levels of 64, 128, 256 and 512 channels, four blocks
    /// each.
    pub fn published(channels: usize) -> Self {
        Self {
            channels,
            widths: vec![64, 128, 256, 512],
            blocks_per_level: 4,
        }
    }

    /// What the height and the width of the network's input are divisible by: 2 for each level after the first.
    pub fn multiple(&self) -> usize {
        1 << self.widths.len().saturating_sub(1)
    }

    /// Whether the network takes images of this size without padding.
    ///
    /// # Errors
    /// [`ModelError::Size`] when it does not.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        checks::size(self.multiple(), height, width)
    }

    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        vec![published::layout(self)]
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::counts([
            ("channels", self.channels),
            ("blocks_per_level", self.blocks_per_level),
        ])?;
        checks::levels("widths", &self.widths)?;
        Ok(())
    }
}
