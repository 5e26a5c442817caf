//! The shape of a U-Net, what is refused, and the presets.

use serde::{Deserialize, Serialize};

use super::published;
use crate::{ModelError, checks, import::Layout};

/// How the embedded noise label `e` reaches a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeInjection {
    /// `h + W e` before the second norm (Ho et al. 2020, <https://arxiv.org/abs/2006.11239>).
    Add,
    /// `GroupNorm(h) (1 + w) + b` with `(w, b) = W e` (Nichol & Dhariwal 2021, section 3,
    /// <https://arxiv.org/abs/2102.09672>).
    ScaleShift,
}

/// How the resolution changes from a level to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resampling {
    /// Down by a 3x3 convolution of stride 2 with zeros at the bottom and at the right; up by repeating pixels before a 3x3
    /// convolution (Ho et al. 2020).
    #[default]
    Convolution,
    /// As [`Convolution`](Self::Convolution), but with zeros on all sides.
    PaddedConvolution,
    /// By residual blocks that, before their first convolution and on their shortcut, take the mean of 2x2 pixels or repeat
    /// pixels (Dhariwal & Nichol 2021, section 3, <https://arxiv.org/abs/2105.05233>).
    ResidualBlock,
}

/// The functions of the noise label `t` that the network is told, `n` of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoiseEmbedding {
    /// `sin(w_k t)`, then `cos(w_k t)`, with `w_k = 10000^(-k/(n-1))` (Ho et al. 2020): see
    /// [`sinusoidal_embedding`](super::sinusoidal_embedding).
    #[default]
    SinesFirst,
    /// `cos(w_k t)`, then `sin(w_k t)`, with `w_k = 10000^(-k/n)` (Dhariwal & Nichol 2021).
    CosinesFirst,
}

/// The shape of a [`UNet`](super::UNet).
///
/// Level `i` works on images of `1 / 2^i` of the size with `base_channels * channel_multipliers[i]` channels.
///
/// ```
/// use tweedie_models::UNetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let colour = UNetConfig { channels: 3, ..UNetConfig::preset("tiny")? };
/// colour.validate()?;
/// assert_eq!(colour.multiple(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Channels at full resolution per unit of multiplier; even, at least 4.
    pub base_channels: usize,
    /// One entry per level, full resolution first.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    pub blocks_per_level: usize,
    /// Levels with self-attention after each block, counted from 0 at full resolution. The bottom always has one.
    pub attention_levels: Vec<usize>,
    /// Heads of each attention layer, where `head_channels` does not say it.
    pub heads: usize,
    /// Channels of each head: a layer has as many heads as its channels make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_channels: Option<usize>,
    /// Groups of each normalisation.
    pub groups: usize,
    /// How many classes the network is told of; 0: none. There is one more, for a class that is not told.
    #[serde(default, skip_serializing_if = "is_none")]
    pub classes: usize,
    /// Channels of the image that the network sees beside its input; 0: none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub condition_channels: usize,
    /// Probability in [0, 1) with which a residual block drops a number while training.
    pub dropout: f64,
    /// How the noise label reaches the residual blocks.
    pub time_injection: TimeInjection,
    /// How the resolution changes.
    #[serde(default)]
    pub resampling: Resampling,
    /// What is made of the noise label.
    #[serde(default)]
    pub noise_embedding: NoiseEmbedding,
    /// Added to the variances of the normalisations.
    #[serde(default = "published_epsilon")]
    pub norm_epsilon: f64,
    /// Whether the weights hold, after those of the mean, those of a variance (Nichol & Dhariwal 2021, section 3.1,
    /// <https://arxiv.org/abs/2102.09672>).
    #[serde(default)]
    pub learned_sigma: bool,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// That of Ho et al. 2020's networks.
fn published_epsilon() -> f64 {
    1e-6
}

/// The preset `ddpm-cifar10`.
impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            channels: 3,
            base_channels: 128,
            channel_multipliers: vec![1, 2, 2, 2],
            blocks_per_level: 2,
            attention_levels: vec![1],
            heads: 1,
            head_channels: None,
            groups: 32,
            classes: 0,
            condition_channels: 0,
            dropout: 0.1,
            time_injection: TimeInjection::Add,
            resampling: Resampling::Convolution,
            noise_embedding: NoiseEmbedding::SinesFirst,
            norm_epsilon: published_epsilon(),
            learned_sigma: false,
        }
    }
}

impl UNetConfig {
    /// Names of the presets, smallest first.
    pub const PRESETS: &[&str] = &["tiny", "small", "ddpm-cifar10"];

    /// A named configuration.
    ///
    /// | name | images | parameters |
    /// |---|---|---|
    /// | `tiny` | 28 to 32 pixels, grey; made for CPUs | 937 281 |
    /// | `small` | 28 to 64 pixels, grey | 9 248 881 |
    /// | `ddpm-cifar10` | 32 pixels, colour; the network of Ho et al. 2020, <https://arxiv.org/abs/2006.11239> | 35 746 307 |
    ///
    /// # Errors
    /// [`ModelError::UnknownPreset`] for another name.
    pub fn preset(name: &str) -> Result<Self, ModelError> {
        match name {
            "tiny" => Ok(Self {
                channels: 1,
                base_channels: 16,
                channel_multipliers: vec![1, 2, 5],
                blocks_per_level: 1,
                attention_levels: vec![],
                heads: 1,
                groups: 8,
                dropout: 0.0,
                time_injection: TimeInjection::ScaleShift,
                ..Self::default()
            }),
            "small" => Ok(Self {
                channels: 1,
                base_channels: 48,
                channel_multipliers: vec![1, 2, 4],
                blocks_per_level: 2,
                attention_levels: vec![2],
                heads: 4,
                groups: 8,
                dropout: 0.1,
                time_injection: TimeInjection::ScaleShift,
                ..Self::default()
            }),
            "ddpm-cifar10" => Ok(Self::default()),
            _ => Err(ModelError::UnknownPreset {
                found: name.into(),
                expected: Self::PRESETS,
            }),
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
            ("blocks_per_level", self.blocks_per_level),
            ("heads", self.heads),
            ("head_channels", self.head_channels.unwrap_or(1)),
            ("groups", self.groups),
        ])?;
        if self.base_channels < 4 || !self.base_channels.is_multiple_of(2) {
            return Err(ModelError::BaseChannels {
                found: self.base_channels,
            });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ModelError::OutOfRange {
                field: "dropout",
                expected: "in [0, 1)",
                found: self.dropout,
            });
        }
        checks::positive("norm_epsilon", self.norm_epsilon)?;
        let last = checks::levels("channel_multipliers", &self.channel_multipliers)?;
        checks::attention(&self.attention_levels, last)?;
        // The base is the width of the input; all other widths are sums of multiples of it.
        checks::divisor("groups", self.groups, self.base_channels, 0)?;
        let (field, divisor) = match self.head_channels {
            None => ("heads", self.heads),
            Some(each) => ("head_channels", each),
        };
        let attends = |level: &usize| *level == last || self.attention_levels.contains(level);
        (0..=last)
            .filter(attends)
            .try_for_each(|level| checks::divisor(field, divisor, self.channels_at(level), level))
    }

    /// Heads of an attention layer of so many channels.
    pub(super) fn heads_of(&self, channels: usize) -> usize {
        self.head_channels
            .map_or(self.heads, |each| channels / each)
    }

    /// Channels of the last layer.
    pub(super) fn outputs(&self) -> usize {
        self.channels * if self.learned_sigma { 2 } else { 1 }
    }

    /// Channels of a level.
    pub(super) fn channels_at(&self, level: usize) -> usize {
        self.base_channels * self.channel_multipliers[level]
    }
}
