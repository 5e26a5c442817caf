//! DRUNet as published with DPIR and deepinv: the names of its weights, and its two networks.
//!
//! <https://github.com/cszn/DPIR>, <https://huggingface.co/deepinv/drunet>

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::DrunetConfig;
use crate::{
    Architecture, ModelConfig, Pixels,
    import::{Inventory, Layout},
};

/// The highest noise level of the schedule.
///
/// The networks were trained up to 50/255. They have no biases, so they scale with their input and are sensible beyond
/// that; samplers start from nearly pure noise.
const SIGMA_MAX: f64 = 10.0;

/// The published network for images with `channels` channels.
pub(crate) fn published(channels: usize) -> ModelConfig {
    model(DrunetConfig::published(channels))
}

fn model(config: DrunetConfig) -> ModelConfig {
    let mut model = ModelConfig::new(
        Architecture::Drunet(config),
        Parametrisation::Denoised,
        ScheduleConfig::Karras {
            sigma_max: SIGMA_MAX,
        },
        // Not told: a denoiser's label is its noise level.
        NoiseLabel::Time { scale: 1.0 },
        [128, 128],
    );
    model.pixels = Pixels::Unit;
    model
}

/// A network of any number of channels, widths and blocks.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    let head = inventory.shape("m_head.weight")?;
    let &[first, inputs, 3, 3] = head else {
        return None;
    };
    inventory.shape("m_body.0.res.0.weight")?;
    let blocks_per_level = inventory.count(|index| format!("m_body.{index}.res.0.weight"));
    let steps = inventory.count(|index| format!("m_down{}.{blocks_per_level}.weight", index + 1));
    let mut widths = vec![first];
    for step in 1..=steps {
        widths.push(inventory.length(&format!("m_down{step}.{blocks_per_level}.weight"), 0)?);
    }
    Some(model(DrunetConfig {
        channels: inputs.checked_sub(1)?,
        widths,
        blocks_per_level,
    }))
}

/// Level `i` is `m_down(i+1)` and `m_up(i+1)`; of a block `res.0` and `res.2` are convolutions, `res.1` is the ReLU between.
pub(crate) fn layout(config: &DrunetConfig) -> Layout {
    let blocks = config.blocks_per_level;
    let steps = config.widths.len() - 1;
    let block = |layout: Layout, ours: String, theirs: String| {
        layout
            .layer(format!("{ours}.conv1"), format!("{theirs}.res.0"))
            .layer(format!("{ours}.conv2"), format!("{theirs}.res.2"))
    };
    let mut layout = Layout::default()
        .layer("head", "m_head")
        .layer("tail", "m_tail");
    for index in 0..blocks {
        layout = block(layout, format!("body.{index}"), format!("m_body.{index}"));
    }
    for level in 0..steps {
        let (down, up) = (format!("m_down{}", level + 1), format!("m_up{}", level + 1));
        // Ours are coarsest first.
        let ours = steps - 1 - level;
        for index in 0..blocks {
            layout = block(
                layout,
                format!("down.{level}.blocks.{index}"),
                format!("{down}.{index}"),
            );
            layout = block(
                layout,
                format!("up.{ours}.blocks.{index}"),
                format!("{up}.{}", index + 1),
            );
        }
        layout = layout
            .layer(format!("down.{level}.halve"), format!("{down}.{blocks}"))
            .layer(format!("up.{ours}.double"), format!("{up}.0"));
    }
    layout
}
