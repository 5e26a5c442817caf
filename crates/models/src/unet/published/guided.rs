//! The checkpoints of guided-diffusion (Dhariwal & Nichol 2021, <https://arxiv.org/abs/2105.05233>) and of programs that took its
//! network over.
//!
//! The names are positions in lists: `input_blocks.4.0` is the fifth module of the encoder, in which a change of the
//! resolution counts too.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::{
    super::{NoiseEmbedding, Resampling, TimeInjection, UNetConfig},
    Family, Heads, Stage,
};
use crate::{
    Architecture, ModelConfig,
    import::{Inventory, Layout},
};

pub(super) fn layout(config: &UNetConfig) -> Layout {
    let mut layout = super::layout(config, &Guided(config));
    if config.classes > 0 {
        // Their networks are always told a class; to be told none is to add nothing.
        layout = layout.extended("classes", "label_emb");
    }
    // Tables of the schedule.
    layout
        .without("sqrt_alphas_cumprod")
        .without("sqrt_1m_alphas_cumprod")
}

struct Guided<'a>(&'a UNetConfig);

impl Guided<'_> {
    fn input(&self, level: usize, block: usize) -> usize {
        1 + level * (self.0.blocks_per_level + 1) + block
    }

    fn output(&self, level: usize, block: usize) -> usize {
        let last = self.0.channel_multipliers.len() - 1;
        (last - level) * (self.0.blocks_per_level + 1) + block
    }
}

fn stage(list: &str, index: usize) -> Stage {
    Stage {
        residual: format!("{list}.{index}.0"),
        attention: format!("{list}.{index}.1"),
    }
}

impl Family for Guided<'_> {
    fn ends(&self) -> [String; 5] {
        [
            "time_embed.0",
            "time_embed.2",
            "input_blocks.0.0",
            "out.0",
            "out.2",
        ]
        .map(Into::into)
    }

    fn residual(&self) -> [&'static str; 6] {
        [
            "in_layers.0",
            "in_layers.2",
            "emb_layers.1",
            "out_layers.0",
            "out_layers.3",
            "skip_connection",
        ]
    }

    fn encoder(&self, level: usize, block: usize) -> Stage {
        stage("input_blocks", self.input(level, block))
    }

    fn halving(&self, level: usize) -> String {
        let index = self.input(level, self.0.blocks_per_level);
        match self.0.resampling {
            Resampling::ResidualBlock => format!("input_blocks.{index}.0"),
            _ => format!("input_blocks.{index}.0.op"),
        }
    }

    fn bottom(&self) -> [String; 3] {
        ["middle_block.0", "middle_block.1", "middle_block.2"].map(Into::into)
    }

    fn decoder(&self, level: usize, block: usize) -> Stage {
        stage("output_blocks", self.output(level, block))
    }

    fn doubling(&self, level: usize) -> String {
        let index = self.output(level, self.0.blocks_per_level);
        let place = 1 + usize::from(self.0.attention_levels.contains(&level));
        match self.0.resampling {
            Resampling::ResidualBlock => format!("output_blocks.{index}.{place}"),
            _ => format!("output_blocks.{index}.{place}.conv"),
        }
    }

    /// Their rows are `[heads][3][channels]`.
    fn attention(&self, layout: Layout, ours: &str, theirs: &str, heads: Heads) -> Layout {
        let rows = heads.rows(|which, head, channel| (3 * head + which) * heads.channels + channel);
        layout
            .layer(format!("{ours}.norm"), format!("{theirs}.norm"))
            .rows(format!("{ours}.qkv"), format!("{theirs}.qkv"), rows)
            .layer(format!("{ours}.projection"), format!("{theirs}.proj_out"))
    }
}

/// Recognises a network, with or without classes.
///
/// Three things do not show in names and shapes, and are taken to be as in the published networks of that shape: images whose
/// coarsest level has 8 pixels a side; heads of 64 channels where residual blocks change the resolution, and four heads where
/// convolutions do; a training on the 1000 levels of Ho et al. 2020. The published program tells such networks whole steps;
/// between two steps the label here is the fraction, which [`NoiseLabel::NearestStep`] rounds.
pub(crate) fn recognised(theirs: &Inventory) -> Option<ModelConfig> {
    let base_channels = theirs.length("time_embed.0.weight", 1)?;
    let [width, channels] = [0, 1].map(|axis| theirs.length("input_blocks.0.0.weight", axis));
    let channels = channels?;
    let has = |name: String| theirs.has(&name);
    let changes = |kind: &str| {
        let raises = |index: &usize| {
            let found = |place| has(format!("output_blocks.{index}.{place}.{kind}.weight"));
            found(1) || found(2)
        };
        let outputs = theirs.count(|n| format!("output_blocks.{n}.0.in_layers.0.weight"));
        (0..outputs).filter(raises).count()
    };
    let (by_blocks, by_convolutions) = (changes("in_layers.0"), changes("conv"));
    let (levels, resampling) = match (by_blocks, by_convolutions) {
        (n, 0) => (n + 1, Resampling::ResidualBlock),
        (0, n) => (n + 1, Resampling::PaddedConvolution),
        _ => return None,
    };
    let inputs = (1_usize..)
        .find(|n| {
            let found = |kind| has(format!("input_blocks.{n}.0.{kind}.weight"));
            !found("in_layers.0") && !found("op")
        })
        .expect("a file ends");
    let fits = width == Some(base_channels) && inputs.is_multiple_of(levels);
    if !fits || inputs < 2 * levels || base_channels == 0 {
        return None;
    }
    let first_of = |level: usize| format!("input_blocks.{}", 1 + level * (inputs / levels));
    let widths = (0..levels)
        .map(|level| theirs.length(&format!("{}.0.out_layers.0.weight", first_of(level)), 0))
        .collect::<Option<Vec<_>>>()?;
    if !widths
        .iter()
        .all(|width| width.is_multiple_of(base_channels))
    {
        return None;
    }
    let told = theirs.length("middle_block.0.emb_layers.1.weight", 0)?;
    let outputs = theirs.length("out.2.weight", 0)?;
    let config = UNetConfig {
        channels,
        base_channels,
        channel_multipliers: widths.iter().map(|width| width / base_channels).collect(),
        blocks_per_level: inputs / levels - 1,
        attention_levels: (0..levels)
            .filter(|&level| has(format!("{}.1.qkv.weight", first_of(level))))
            .collect(),
        time_injection: if widths[levels - 1].checked_mul(2) == Some(told) {
            TimeInjection::ScaleShift
        } else {
            TimeInjection::Add
        },
        learned_sigma: channels.checked_mul(2) == Some(outputs),
        classes: theirs.length("label_emb.weight", 0).unwrap_or(0),
        ..published(resampling)
    };
    config.validate().ok()?;
    Some(trained(config))
}

/// What the networks have in common.
fn published(resampling: Resampling) -> UNetConfig {
    let head_channels = (resampling == Resampling::ResidualBlock).then_some(64);
    UNetConfig {
        heads: if head_channels.is_some() { 1 } else { 4 },
        head_channels,
        dropout: 0.0,
        time_injection: TimeInjection::ScaleShift,
        resampling,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        learned_sigma: true,
        ..UNetConfig::default()
    }
}

fn trained(unet: UNetConfig) -> ModelConfig {
    let size = 8 * unet.multiple();
    ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [size, size],
    )
}

/// The network for faces of 256 pixels of Choi et al. 2021, <https://arxiv.org/abs/2108.02938>: `ffhq_10m.pt`.
pub(crate) fn ffhq() -> ModelConfig {
    let unet = UNetConfig {
        base_channels: 128,
        channel_multipliers: vec![1, 1, 2, 2, 4, 4],
        blocks_per_level: 1,
        attention_levels: vec![4],
        ..published(Resampling::ResidualBlock)
    };
    trained(unet)
}

/// Dhariwal & Nichol's network for ImageNet at 256 pixels, without classes: `256x256_diffusion_uncond.pt`.
pub(crate) fn imagenet() -> ModelConfig {
    let unet = UNetConfig {
        base_channels: 256,
        channel_multipliers: vec![1, 1, 2, 2, 4, 4],
        blocks_per_level: 2,
        attention_levels: vec![3, 4, 5],
        ..published(Resampling::ResidualBlock)
    };
    trained(unet)
}
