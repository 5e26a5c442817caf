//! The names of `UNet2DModel` of diffusers. What the network is stands in its `config.json`: see `import/diffusers.rs`.

use super::{super::UNetConfig, Family, Heads, Stage};
use crate::import::Layout;

pub(super) fn layout(config: &UNetConfig, linear: Linear) -> Layout {
    super::layout(config, &Diffusers { config, linear })
}

struct Diffusers<'a> {
    config: &'a UNetConfig,
    linear: Linear,
}

/// The names of the four matrices of an attention layer.
#[derive(Clone, Copy)]
pub(super) enum Linear {
    /// `to_q`, in the files of today.
    Lettered,
    /// `query`, in older ones.
    Spelt,
}

impl Diffusers<'_> {
    fn last(&self) -> usize {
        self.config.channel_multipliers.len() - 1
    }
}

fn stage(block: &str, index: usize, layer: usize) -> Stage {
    Stage {
        residual: format!("{block}.{index}.resnets.{layer}"),
        attention: format!("{block}.{index}.attentions.{layer}"),
    }
}

impl Family for Diffusers<'_> {
    fn ends(&self) -> [String; 5] {
        [
            "time_embedding.linear_1",
            "time_embedding.linear_2",
            "conv_in",
            "conv_norm_out",
            "conv_out",
        ]
        .map(Into::into)
    }

    fn residual(&self) -> [&'static str; 6] {
        [
            "norm1",
            "conv1",
            "time_emb_proj",
            "norm2",
            "conv2",
            "conv_shortcut",
        ]
    }

    fn encoder(&self, level: usize, block: usize) -> Stage {
        stage("down_blocks", level, block)
    }

    fn halving(&self, level: usize) -> String {
        format!("down_blocks.{level}.downsamplers.0.conv")
    }

    fn bottom(&self) -> [String; 3] {
        [
            "mid_block.resnets.0",
            "mid_block.attentions.0",
            "mid_block.resnets.1",
        ]
        .map(Into::into)
    }

    fn decoder(&self, level: usize, block: usize) -> Stage {
        stage("up_blocks", self.last() - level, block)
    }

    fn doubling(&self, level: usize) -> String {
        format!("up_blocks.{}.upsamplers.0.conv", self.last() - level)
    }

    fn attention(&self, layout: Layout, ours: &str, theirs: &str, _: Heads) -> Layout {
        let ([q, k, v], projection) = match self.linear {
            Linear::Lettered => (["to_q", "to_k", "to_v"], "to_out.0"),
            Linear::Spelt => (["query", "key", "value"], "proj_attn"),
        };
        let qkv = [q, k, v].map(|name| format!("{theirs}.{name}"));
        layout
            .layer(format!("{ours}.norm"), format!("{theirs}.group_norm"))
            .stacked(format!("{ours}.qkv"), qkv.to_vec())
            .layer(
                format!("{ours}.projection"),
                format!("{theirs}.{projection}"),
            )
    }
}
