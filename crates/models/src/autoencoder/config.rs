//! The shape of an autoencoder, and what is refused.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Autoencoder;
use crate::{ModelError, checks};

/// The shape of an [`Autoencoder`].
///
/// Level `i` works on images of `1 / 2^i` of the size with `base_channels * channel_multipliers[i]` channels; the latents have the
/// size of the last level.
///
/// ```
/// use tweedie_models::AutoencoderConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let colour = AutoencoderConfig { channels: 3, ..AutoencoderConfig::default() };
/// colour.validate()?;
/// assert_eq!(colour.latent_shape([32, 64])?, [4, 8, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels at full resolution per unit of multiplier.
    pub base_channels: usize,
    /// One entry per level, full resolution first.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks per level, in the encoder and in the decoder.
    pub blocks_per_level: usize,
    /// Groups of each normalisation.
    pub groups: usize,
}

/// For grey images of about 32 pixels, made for CPUs: latents of four channels and a quarter of the size.
impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            channels: 1,
            latent_channels: 4,
            base_channels: 16,
            channel_multipliers: vec![1, 2, 4],
            blocks_per_level: 1,
            groups: 8,
        }
    }
}

impl AutoencoderConfig {
    /// What height and width must be divisible by, and how many times smaller the latents are: `2^(levels - 1)`.
    pub fn multiple(&self) -> usize {
        1 << self.channel_multipliers.len().saturating_sub(1)
    }

    /// `[channels, height, width]` of the latents of images of this `[height, width]`.
    ///
    /// # Errors
    /// [`ModelError::Size`] unless both are positive multiples of [`multiple`](Self::multiple).
    pub fn latent_shape(&self, [height, width]: [usize; 2]) -> Result<[usize; 3], ModelError> {
        let multiple = self.multiple();
        checks::size(multiple, height, width)?;
        Ok([self.latent_channels, height / multiple, width / multiple])
    }

    /// Refuses what no autoencoder can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::counts([
            ("channels", self.channels),
            ("latent_channels", self.latent_channels),
            ("base_channels", self.base_channels),
            ("blocks_per_level", self.blocks_per_level),
            ("groups", self.groups),
        ])?;
        let last = checks::levels("channel_multipliers", &self.channel_multipliers)?;
        (0..=last).try_for_each(|level| {
            checks::divisor("groups", self.groups, self.channels_at(level), level)
        })
    }

    /// An autoencoder with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Autoencoder, ModelError> {
        self.validate()?;
        Ok(Autoencoder::new(self, seed, device))
    }

    /// Channels of a level.
    pub(super) fn channels_at(&self, level: usize) -> usize {
        self.base_channels * self.channel_multipliers[level]
    }
}
