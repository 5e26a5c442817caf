//! The ADM network of Karras et al. 2022, <https://arxiv.org/abs/2206.00364>.
//!
//! It is that of guided-diffusion under other names, which hold the size of a block's images: `enc.32x32_block0`.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::{
    super::{NoiseEmbedding, Resampling, TimeInjection, UNetConfig},
    Family, Heads, Stage,
};
use crate::{
    Architecture, ModelConfig,
    import::{Inventory, Layout},
};

/// The layout for images of `size x size` pixels.
pub(crate) fn layout(config: &UNetConfig, size: usize) -> Layout {
    super::layout(config, &Edm { config, size })
        .without("resample_filter")
        // Zero unless the images of the training were augmented, and then zero for an image that is none of them.
        .without("map_augment.weight")
}

struct Edm<'a> {
    config: &'a UNetConfig,
    size: usize,
}

impl Edm<'_> {
    /// `32x32`.
    fn at(&self, level: usize) -> String {
        square(self.size >> level)
    }

    fn last(&self) -> usize {
        self.config.channel_multipliers.len() - 1
    }
}

fn square(size: usize) -> String {
    format!("{size}x{size}")
}

/// Attention is a part of the block.
fn stage(name: String) -> Stage {
    Stage {
        attention: name.clone(),
        residual: name,
    }
}

impl Family for Edm<'_> {
    fn ends(&self) -> [String; 5] {
        [
            "map_layer0".into(),
            "map_layer1".into(),
            format!("enc.{}_conv", self.at(0)),
            "out_norm".into(),
            "out_conv".into(),
        ]
    }

    fn residual(&self) -> [&'static str; 6] {
        ["norm0", "conv0", "affine", "norm1", "conv1", "skip"]
    }

    fn encoder(&self, level: usize, block: usize) -> Stage {
        stage(format!("enc.{}_block{block}", self.at(level)))
    }

    fn halving(&self, level: usize) -> String {
        format!("enc.{}_down", self.at(level + 1))
    }

    fn bottom(&self) -> [String; 3] {
        let size = self.at(self.last());
        let first = format!("dec.{size}_in0");
        [first.clone(), first, format!("dec.{size}_in1")]
    }

    fn decoder(&self, level: usize, block: usize) -> Stage {
        stage(format!("dec.{}_block{block}", self.at(level)))
    }

    fn doubling(&self, level: usize) -> String {
        format!("dec.{}_up", self.at(level - 1))
    }

    /// Their rows are `[heads][channels][3]`.
    fn attention(&self, layout: Layout, ours: &str, theirs: &str, heads: Heads) -> Layout {
        let rows = heads.rows(|which, head, channel| 3 * (head * heads.channels + channel) + which);
        layout
            .layer(format!("{ours}.norm"), format!("{theirs}.norm2"))
            .rows(format!("{ours}.qkv"), format!("{theirs}.qkv"), rows)
            .layer(format!("{ours}.projection"), format!("{theirs}.proj"))
    }
}

/// Recognises a network without classes, with heads of 64 channels, for images in [-1, 1].
pub(crate) fn recognised(theirs: &Inventory) -> Option<ModelConfig> {
    // DDPM++ and NCSN++ have these names too, but not this layer.
    let channels = theirs.length("out_conv.weight", 0)?;
    let size = theirs.0.keys().find_map(|name| {
        let (height, width) = name
            .strip_prefix("enc.")?
            .strip_suffix("_conv.weight")?
            .split_once('x')?;
        (height == width).then(|| height.parse::<usize>().ok())?
    })?;
    let base_channels = theirs.length("map_layer0.weight", 1)?;
    let at = |level: usize| square(size >> level);
    let is_level = |&level: &usize| theirs.has(&format!("enc.{}_down.norm0.weight", at(level)));
    let levels = 1
        + (1..=size.checked_ilog2()? as usize)
            .take_while(is_level)
            .count();
    let widths = (0..levels)
        .map(|level| theirs.length(&format!("enc.{}_block0.norm1.weight", at(level)), 0))
        .collect::<Option<Vec<_>>>()?;
    let multiples = widths
        .iter()
        .all(|width| width.is_multiple_of(base_channels));
    let input = theirs.length(&format!("enc.{}_conv.weight", at(0)), 0)?;
    if !multiples || input != base_channels || base_channels == 0 {
        return None;
    }
    let config = UNetConfig {
        channels,
        base_channels,
        channel_multipliers: widths.iter().map(|width| width / base_channels).collect(),
        blocks_per_level: theirs.count(|n| format!("enc.{}_block{n}.norm0.weight", at(0))),
        attention_levels: (0..levels)
            .filter(|&level| theirs.has(&format!("enc.{}_block0.qkv.weight", at(level))))
            .collect(),
        heads: 1,
        head_channels: Some(64),
        dropout: 0.0,
        time_injection: TimeInjection::ScaleShift,
        resampling: Resampling::ResidualBlock,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        ..UNetConfig::default()
    };
    Some(ModelConfig::new(
        Architecture::UNet(config),
        Parametrisation::Edm { sigma_data: 0.5 },
        ScheduleConfig::Karras { sigma_max: 80.0 },
        // The parametrisation has its own.
        NoiseLabel::Time { scale: 1.0 },
        [size, size],
    ))
}
