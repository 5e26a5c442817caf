//! The checkpoints of Karras et al. 2022 as deepinv publishes them: their names, and how they are recognised.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::{NcsnppConfig, NcsnppKind};
use crate::{
    Architecture, ModelConfig, Pixels,
    import::{Inventory, Layout},
};

/// Standard deviation of images in [-1, 1] in the training of the published networks.
const SIGMA_DATA: f64 = 0.5;

/// The largest noise level of their sampling.
const SIGMA_MAX: f64 = 80.0;

/// A published network: NCSN++ ("ve") or DDPM++ ("vp"), for images of 32 or 64 pixels.
pub(crate) fn published(kind: NcsnppKind, image_size: usize) -> ModelConfig {
    edm(NcsnppConfig::published(kind, image_size))
}

/// The network as Karras et al. trained it: on images in [-1, 1] with `sigma_data` 0.5. A file does not say so; a network that
/// deepinv trained with its defaults saw images in [0, 1] with `sigma_data` 0.75.
fn edm(network: NcsnppConfig) -> ModelConfig {
    let image_size = [network.image_size; 2];
    ModelConfig {
        pixels: Pixels::Symmetric,
        ..ModelConfig::new(
            Architecture::Ncsnpp(network),
            Parametrisation::Edm {
                sigma_data: SIGMA_DATA,
            },
            ScheduleConfig::Karras {
                sigma_max: SIGMA_MAX,
            },
            // The parametrisation has a label of its own.
            NoiseLabel::Time { scale: 1.0 },
            image_size,
        )
    }
}

/// The configuration of a checkpoint of this kind.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    let image_size = inventory.0.keys().find_map(|name| {
        let (size, _) = name.strip_prefix("enc.")?.split_once('x')?;
        let size = size.parse().ok()?;
        (*name == format!("{}_conv.weight", at("enc", size))).then_some(size)
    })?;
    // The networks of ADM have the names of the encoder too, but not this one.
    if !inventory.has(&format!("{}_aux_conv.weight", at("dec", image_size))) {
        return None;
    }
    let input = inventory.shape(&format!("{}_conv.weight", at("enc", image_size)))?;
    let &[base_channels, channels, ..] = input else {
        return None;
    };
    let weight = |level: usize, block: usize, layer: &str| {
        format!(
            "{}_block{block}.{layer}.weight",
            at("enc", image_size >> level)
        )
    };
    let levels = inventory.count(|level| weight(level, 0, "conv0"));
    let channel_multipliers = (0..levels)
        .map(|level| {
            let width = inventory.length(&weight(level, 0, "conv0"), 0)?;
            (base_channels > 0).then(|| width / base_channels)
        })
        .collect::<Option<_>>()?;
    let config = NcsnppConfig {
        kind: match inventory.has("map_noise.freqs") {
            true => NcsnppKind::Ncsn,
            false => NcsnppKind::Ddpm,
        },
        channels,
        image_size,
        base_channels,
        channel_multipliers,
        blocks_per_level: inventory.count(|block| weight(0, block, "conv0")),
        attention_levels: (0..levels)
            .filter(|&level| inventory.has(&weight(level, 0, "qkv")))
            .collect(),
    };
    config.validate().ok()?;
    Some(edm(config))
}

/// How the names of all layers of a side at this resolution begin.
fn at(side: &str, size: usize) -> String {
    format!("{side}.{size}x{size}")
}

impl NcsnppConfig {
    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let last = self.channel_multipliers.len() - 1;
        let size = |level: usize| self.image_size >> level;
        // The filters are not trained, and augmentation is for training only.
        let mut layout = Layout::default()
            .without("resample_filter")
            .without("map_augment.weight")
            .layer("embedding.first", "map_layer0")
            .layer("embedding.second", "map_layer1")
            .layer("input", format!("{}_conv", at("enc", size(0))))
            .layer("norm", format!("{}_aux_norm", at("dec", size(0))))
            .layer("output", format!("{}_aux_conv", at("dec", size(0))));
        if self.kind == NcsnppKind::Ncsn {
            layout = layout.layer("embedding", "map_noise");
        }
        let mut width = self.base_channels;
        let mut skips = vec![width];
        for level in 0..=last {
            let (ours, theirs) = (format!("encoder.{level}"), at("enc", size(level)));
            if level > 0 {
                skips.push(width);
                let names = (format!("{ours}.halve"), format!("{theirs}_down"));
                layout = block(layout, names, true, None);
                if self.kind == NcsnppKind::Ncsn {
                    layout =
                        layout.layer(format!("{ours}.beside"), format!("{theirs}_aux_residual"));
                }
            }
            for index in 0..self.blocks_per_level {
                let outputs = self.channels_at(level);
                let names = (
                    format!("{ours}.blocks.{index}"),
                    format!("{theirs}_block{index}"),
                );
                let attends = self.attention_levels.contains(&level).then_some(outputs);
                layout = block(layout, names, width != outputs, attends);
                width = outputs;
                skips.push(width);
            }
        }
        for (index, attends) in [Some(width), None].into_iter().enumerate() {
            let theirs = format!("{}_in{index}", at("dec", size(last)));
            layout = block(layout, (format!("bottom.{index}"), theirs), false, attends);
        }
        for level in (0..=last).rev() {
            let ours = format!("decoder.{}", last - level);
            let theirs = at("dec", size(level));
            if level < last {
                let names = (format!("{ours}.double"), format!("{theirs}_up"));
                layout = block(layout, names, true, None);
            }
            for index in 0..=self.blocks_per_level {
                let inputs = width + skips.pop().expect("one per block");
                width = self.channels_at(level);
                let names = (
                    format!("{ours}.blocks.{index}"),
                    format!("{theirs}_block{index}"),
                );
                let attends =
                    index == self.blocks_per_level && self.attention_levels.contains(&level);
                layout = block(layout, names, inputs != width, attends.then_some(width));
            }
        }
        vec![layout]
    }
}

/// A residual block, by our name and theirs, with a shortcut or none, and with attention over so many channels or none.
fn block(
    mut layout: Layout,
    (ours, theirs): (String, String),
    has_shortcut: bool,
    attends: Option<usize>,
) -> Layout {
    for (our_layer, their_layer) in [
        ("norm1", "norm0"),
        ("conv1", "conv0"),
        ("told", "affine"),
        ("norm2", "norm1"),
        ("conv2", "conv1"),
    ] {
        layout = layout.layer(
            format!("{ours}.{our_layer}"),
            format!("{theirs}.{their_layer}"),
        );
    }
    if has_shortcut {
        layout = layout.layer(format!("{ours}.shortcut"), format!("{theirs}.skip"));
    }
    let Some(channels) = attends else {
        return layout;
    };
    // Theirs have query, key and value of a channel next to each other.
    let order = (0..3 * channels).map(|row| 3 * (row % channels) + row / channels);
    layout
        .layer(format!("{ours}.attention.norm"), format!("{theirs}.norm2"))
        .rows(
            format!("{ours}.attention.qkv"),
            format!("{theirs}.qkv"),
            order.collect(),
        )
        .layer(
            format!("{ours}.attention.projection"),
            format!("{theirs}.proj"),
        )
}
