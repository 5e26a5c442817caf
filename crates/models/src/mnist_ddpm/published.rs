//! The published network of digits: the names in its file, and its training.
//!
//! The file holds two tables of 1001 entries, `beta_t` and `alpha_t`, the running product of `1 - beta_t`. Entry `i` belongs to step
//! `i`, whose label is `i/1000`, and training and sampling take the steps 1 to 1000. Entry 0 is in every product all the same: so the
//! first step of our table is the entries 0 and 1 together, `1 - beta = (1 - beta_0)(1 - beta_1)`, and its further steps are the
//! entries 2 to 1000.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::MnistDdpmConfig;
use crate::{
    Architecture, ModelConfig, Pixels,
    import::{Inventory, Layout},
};

/// Steps of the training.
const STEPS: usize = 1000;

/// The training of the published network, with a network of any shape.
pub(crate) fn digits(network: MnistDdpmConfig) -> ModelConfig {
    let image_size = [network.size; 2];
    let mut config = ModelConfig::new(
        Architecture::MnistDdpm(network),
        Parametrisation::Epsilon,
        ScheduleConfig::DdpmTable { betas: betas() },
        NoiseLabel::Time { scale: 1.0 },
        image_size,
    );
    config.pixels = Pixels::Centred;
    config
}

/// Those of the steps 1 to 1000: see the head of this file.
fn betas() -> Vec<f64> {
    // 1e-4 to 0.02 in 1001 equal parts, with both ends.
    let entry = |index: usize| 1e-4 + (0.02 - 1e-4) * index as f64 / STEPS as f64;
    let both = 1.0 - (1.0 - entry(0)) * (1.0 - entry(1));
    [both].into_iter().chain((2..=STEPS).map(entry)).collect()
}

/// The names in the file.
pub(super) fn layouts(config: &MnistDdpmConfig) -> Vec<Layout> {
    let blocks = config.widths.len();
    let mut layout = Layout::default()
        .layer("output", format!("gt.blocks.{blocks}"))
        .without("beta_t")
        .without("alpha_t")
        .without("frequencies");
    for block in 0..blocks {
        for (number, layer) in ["convolution", "norm"].into_iter().enumerate() {
            let theirs = format!("gt.blocks.{block}.net.{number}");
            layout = layout.layer(format!("blocks.{block}.{layer}"), theirs);
        }
    }
    for index in 0..4 {
        // A GELU stands between two layers.
        layout = layout.layer(
            format!("time.{index}"),
            format!("gt.time_embed.{}", 2 * index),
        );
    }
    vec![layout]
}

/// Recognises a network of this kind of any widths by its names, with the training of the published one.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    let weight = |block: usize| format!("gt.blocks.{block}.net.0.weight");
    let blocks = inventory.count(weight);
    let widths: Option<Vec<_>> = (0..blocks)
        .map(|block| inventory.length(&weight(block), 0))
        .collect();
    Some(digits(MnistDdpmConfig {
        channels: inventory.length(&weight(0), 1)?,
        widths: widths?,
        size: inventory.length("gt.blocks.0.net.1.weight", 1)?,
        frequencies: inventory.length("gt.time_embed.0.weight", 1)? / 2,
        time_width: inventory.length("gt.time_embed.0.weight", 0)?,
    }))
}
