//! The shape of a plain U-Net, and what is refused.

use serde::{Deserialize, Serialize};

use crate::{ModelError, checks};

/// The shape of a [`PlainUNet`](super::PlainUNet).
///
/// Level `i` works on images of `1 / 2^i` of the size with `widths[i]` channels.
///
/// ```
/// use tweedie_models::PlainUNetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let grey = PlainUNetConfig::published(1);
/// grey.validate()?;
/// assert_eq!(grey.multiple(), 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainUNetConfig {
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Channels of each level, full resolution first.
    pub widths: Vec<usize>,
    /// Whether the convolutions before a ReLU and the last one have a bias.
    pub biases: [bool; 2],
    /// Whether the network's input is added to its output. A checkpoint does not say so: when it is imported, yes.
    pub residual: bool,
    /// Whether the image continues beyond its edges with its other side, not with zeros. A checkpoint does not say so: when it
    /// is imported, with zeros.
    pub circular_padding: bool,
}

impl PlainUNetConfig {
    /// deepinv's default for images with `channels` channels: four levels of 64, 128, 256 and 512 channels, all biases, the
    /// input added to the output, zeros beyond the edges.
    pub fn published(channels: usize) -> Self {
        Self {
            channels,
            widths: vec![64, 128, 256, 512],
            biases: [true; 2],
            residual: true,
            circular_padding: false,
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

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::counts([("channels", self.channels)])?;
        checks::levels("widths", &self.widths)?;
        Ok(())
    }
}
