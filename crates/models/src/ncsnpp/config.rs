//! The shape of an NCSN++ or DDPM++, and what is refused.

use serde::{Deserialize, Serialize};

use super::GROUPS;
use crate::{ModelError, checks};

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NcsnppKind {
    /// NCSN++: the label meets random frequencies, images are halved and doubled with the filter `[1, 3, 3, 1]/8` on each axis,
    /// and the image itself, halved by convolutions, is added to the encoder at each level.
    Ncsn,
    /// DDPM++: the label meets frequencies in geometric progression, and images are halved by the mean of 2 x 2 pixels and
    /// doubled by repetition.
    Ddpm,
}

/// The shape of an [`Ncsnpp`](super::Ncsnpp).
///
/// Level `i` works on images of `1 / 2^i` of the size with `base_channels * channel_multipliers[i]` channels.
///
/// ```
/// use tweedie_models::{NcsnppConfig, NcsnppKind};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let faces = NcsnppConfig::published(NcsnppKind::Ncsn, 64);
/// faces.validate()?;
/// assert_eq!(faces.multiple(), 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NcsnppConfig {
    /// NCSN++ or DDPM++.
    pub kind: NcsnppKind,
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Height and width of the images of the training. The network takes others, but published files name their layers by it.
    pub image_size: usize,
    /// Channels at full resolution per unit of multiplier; a multiple of 32.
    pub base_channels: usize,
    /// One entry per level, full resolution first.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    pub blocks_per_level: usize,
    /// Levels with self-attention, counted from 0 at full resolution. The bottom always has one.
    pub attention_levels: Vec<usize>,
}

impl NcsnppConfig {
    /// The networks of Karras et al. 2022 for colour images of this height and width, 32 or 64: 128 channels, twice as many at
    /// coarser levels down to 8 pixels, four blocks a level, attention at 16 pixels. At 32 pixels the first level has twice as
    /// many channels too.
    pub fn published(kind: NcsnppKind, image_size: usize) -> Self {
        let channel_multipliers = match image_size {
            ..=32 => vec![2, 2, 2],
            _ => vec![1, 2, 2, 2],
        };
        Self {
            kind,
            channels: 3,
            image_size,
            base_channels: 128,
            attention_levels: vec![channel_multipliers.len() - 2],
            channel_multipliers,
            blocks_per_level: 4,
        }
    }

    /// What height and width must be divisible by: `2^(levels - 1)`.
    pub fn multiple(&self) -> usize {
        1 << self.channel_multipliers.len().saturating_sub(1)
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
        checks::counts([
            ("channels", self.channels),
            ("base_channels", self.base_channels),
            ("blocks_per_level", self.blocks_per_level),
        ])?;
        let last = checks::levels("channel_multipliers", &self.channel_multipliers)?;
        checks::attention(&self.attention_levels, last)?;
        // The base is the width of the input; all other widths are sums of multiples of it.
        checks::divisor("groups", GROUPS, self.base_channels, 0)?;
        checks::size(self.multiple(), self.image_size, self.image_size)
    }

    /// Channels of a level.
    pub(super) fn channels_at(&self, level: usize) -> usize {
        self.base_channels * self.channel_multipliers[level]
    }
}
