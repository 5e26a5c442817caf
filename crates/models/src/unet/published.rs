//! What published checkpoints of the U-Net call its layers.
//!
//! The families differ in their words and in where they keep the queries, keys and values; the blocks and their order are the
//! same.

pub(crate) mod diffusers;
pub(crate) mod edm;
pub(crate) mod guided;

use super::{Resampling, UNetConfig};
use crate::import::Layout;

/// The layouts whose names do not depend on the size of the images.
pub(super) fn layouts(config: &UNetConfig) -> Vec<Layout> {
    let mut layouts = vec![guided::layout(config)];
    for linear in [diffusers::Linear::Lettered, diffusers::Linear::Spelt] {
        layouts.push(diffusers::layout(config, linear));
    }
    layouts
}

/// The words of one family.
trait Family {
    /// Of the layers `time.first`, `time.second`, `input`, `norm` and `output`.
    fn ends(&self) -> [String; 5];

    /// Of the layers of a residual block: `norm1`, `conv1`, `time`, `norm2`, `conv2` and `shortcut`.
    fn residual(&self) -> [&'static str; 6];

    /// Of a block of the encoder.
    fn encoder(&self, level: usize, block: usize) -> Stage;

    /// Of what leads from a level of the encoder to the next.
    fn halving(&self, level: usize) -> String;

    /// Of the bottom's first block, of its attention, and of its second block.
    fn bottom(&self) -> [String; 3];

    /// Of a block of the decoder.
    fn decoder(&self, level: usize, block: usize) -> Stage;

    /// Of what leads from a level of the decoder to the next finer one.
    fn doubling(&self, level: usize) -> String;

    /// Our attention layer `ours` is their `theirs`.
    fn attention(&self, layout: Layout, ours: &str, theirs: &str, heads: Heads) -> Layout;
}

/// The names of a residual block and of the attention after it.
struct Stage {
    residual: String,
    attention: String,
}

/// An attention layer's number of heads, and the channels of each.
#[derive(Clone, Copy)]
struct Heads {
    count: usize,
    channels: usize,
}

impl Heads {
    /// For the rows of the queries, keys and values, ours: `[3][heads][channels]`, where theirs stand; `position` is of which of
    /// the three, of which head, and of which channel.
    fn rows(self, position: impl Fn(usize, usize, usize) -> usize) -> Vec<usize> {
        let mut rows = Vec::new();
        for which in 0..3 {
            for head in 0..self.count {
                rows.extend((0..self.channels).map(|channel| position(which, head, channel)));
            }
        }
        rows
    }
}

fn layout(config: &UNetConfig, family: &dyn Family) -> Layout {
    let map = Map { config, family };
    let last = config.channel_multipliers.len() - 1;
    let mut layout = map.ends(Layout::default());
    let mut width = config.base_channels;
    for level in 0..=last {
        let ours = format!("encoder.{level}");
        for block in 0..config.blocks_per_level {
            let widens = width != config.channels_at(level);
            width = config.channels_at(level);
            let stage = format!("{ours}.stages.{block}");
            layout = map.stage(layout, &stage, &family.encoder(level, block), level, widens);
        }
        if level < last {
            layout = map.resample(layout, &ours, &family.halving(level));
        }
    }
    let [first, attention, second] = family.bottom();
    layout = map.residual(layout, "bottom.first", &first, false);
    layout = map.attention(layout, "bottom.attention", &attention, last);
    layout = map.residual(layout, "bottom.second", &second, false);
    for level in (0..=last).rev() {
        let ours = format!("decoder.{}", last - level);
        for block in 0..=config.blocks_per_level {
            let stage = format!("{ours}.stages.{block}");
            // What comes in is the sum of two widths.
            layout = map.stage(layout, &stage, &family.decoder(level, block), level, true);
        }
        if level > 0 {
            layout = map.resample(layout, &ours, &family.doubling(level));
        }
    }
    layout
}

struct Map<'a> {
    config: &'a UNetConfig,
    family: &'a dyn Family,
}

impl Map<'_> {
    fn ends(&self, layout: Layout) -> Layout {
        let [first, second, input, norm, output] = self.family.ends();
        layout
            .layer("time.first", first)
            .layer("time.second", second)
            .layer("input", input)
            .layer("norm", norm)
            .layer("output", output)
    }

    fn stage(
        &self,
        layout: Layout,
        ours: &str,
        theirs: &Stage,
        level: usize,
        widens: bool,
    ) -> Layout {
        let residual = format!("{ours}.residual");
        let layout = self.residual(layout, &residual, &theirs.residual, widens);
        if !self.config.attention_levels.contains(&level) {
            return layout;
        }
        let attention = format!("{ours}.attention");
        self.attention(layout, &attention, &theirs.attention, level)
    }

    fn resample(&self, layout: Layout, level: &str, theirs: &str) -> Layout {
        let ours = format!("{level}.resample");
        match self.config.resampling {
            Resampling::ResidualBlock => self.residual(layout, &ours, theirs, false),
            _ => layout.layer(ours, theirs),
        }
    }

    fn residual(&self, layout: Layout, ours: &str, theirs: &str, widens: bool) -> Layout {
        let names = ["norm1", "conv1", "time", "norm2", "conv2", "shortcut"];
        let count = if widens { 6 } else { 5 };
        let pairs = names.into_iter().zip(self.family.residual()).take(count);
        pairs.fold(layout, |layout, (our, their)| {
            layout.layer(format!("{ours}.{our}"), format!("{theirs}.{their}"))
        })
    }

    fn attention(&self, layout: Layout, ours: &str, theirs: &str, level: usize) -> Layout {
        let channels = self.config.channels_at(level);
        let count = self.config.heads_of(channels);
        let heads = Heads {
            count,
            channels: channels / count,
        };
        self.family.attention(layout, ours, theirs, heads)
    }
}
