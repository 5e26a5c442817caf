//! The shape of a DnCNN, and what is refused.

use serde::{Deserialize, Serialize};

use super::published;
use crate::{ModelError, checks, import::Layout};

/// The shape of a [`Dncnn`](super::Dncnn).
///
/// ```
/// use tweedie_models::DncnnConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let grey = DncnnConfig::published(1, 17);
/// grey.validate()?;
/// assert_eq!(grey.multiple(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DncnnConfig {
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Channels between two convolutions.
    pub width: usize,
    /// Number of convolutions, at least 2.
    pub depth: usize,
    /// Whether the first convolution, those in the middle and the last one have a bias.
    pub biases: [bool; 3],
}

impl DncnnConfig {
    /// The network of the paper for images with `channels` channels, 64 channels wide and with all biases. `depth` is 17 for a
    /// single noise level and 20 for all up to 55/255.
    pub fn published(channels: usize, depth: usize) -> Self {
        Self {
            channels,
            width: 64,
            depth,
            biases: [true; 3],
        }
    }

    /// What the height and the width of the network's input are divisible by: 1, any size.
    pub fn multiple(&self) -> usize {
        1
    }

    /// Whether the network takes images of this size.
    ///
    /// # Errors
    /// [`ModelError::Size`] when it does not: an empty image.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        checks::size(self.multiple(), height, width)
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
        checks::counts([("channels", self.channels), ("width", self.width)])?;
        if self.depth < 2 {
            return Err(ModelError::OutOfRange {
                field: "depth",
                expected: "at least 2",
                found: self.depth as f64,
            });
        }
        Ok(())
    }
}
