//! The SimpleUnet of the course: the names in its files, and its training.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::SimpleUnetConfig;
use crate::{
    Architecture, ModelConfig,
    import::{Inventory, Layout},
};

/// Steps of the notebook's table of betas.
const STEPS: usize = 300;

/// The notebook's training, with a network of any shape: images of 64 pixels in [-1, 1], betas from 1e-4 to 0.02 in 300 steps.
pub(crate) fn course(network: SimpleUnetConfig) -> ModelConfig {
    ModelConfig::new(
        Architecture::SimpleUnet(network),
        Parametrisation::Epsilon,
        ScheduleConfig::Ddpm {
            steps: STEPS,
            beta_min: 1e-4,
            beta_max: 0.02,
        },
        NoiseLabel::Step { steps: STEPS },
        [64, 64],
    )
}

/// The names of the notebook.
pub(super) fn layouts(config: &SimpleUnetConfig) -> Vec<Layout> {
    let ways = [("down", "downs", "halve"), ("up", "ups", "double")];
    let steps = config.widths.len() - 1;
    let mut layout = Layout::default()
        .layer("time", "time_mlp.1")
        .layer("input", "conv0")
        .layer("output", "output")
        .without("num_batches_tracked");
    for (ours, theirs, resample) in ways {
        for step in 0..steps {
            let (ours, theirs) = (format!("{ours}.{step}"), format!("{theirs}.{step}"));
            layout = layout.layer(format!("{ours}.{resample}"), format!("{theirs}.transform"));
            for (layer, name) in [
                ("conv1", "conv1"),
                ("norm1", "bnorm1"),
                ("time", "time_mlp"),
                ("conv2", "conv2"),
                ("norm2", "bnorm2"),
            ] {
                layout = layout.layer(format!("{ours}.block.{layer}"), format!("{theirs}.{name}"));
            }
        }
    }
    vec![layout]
}

/// Recognises a SimpleUnet of any widths by its names.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    if !inventory.has("ups.0.bnorm1.running_var") || inventory.length("output.weight", 2)? != 1 {
        return None;
    }
    let steps = inventory.count(|step| format!("downs.{step}.transform.weight"));
    let mut widths = vec![inventory.length("conv0.weight", 0)?];
    for step in 0..steps {
        widths.push(inventory.length(&format!("downs.{step}.transform.weight"), 0)?);
    }
    Some(course(SimpleUnetConfig {
        channels: inventory.length("conv0.weight", 1)?,
        widths,
        time_width: inventory.length("time_mlp.1.weight", 0)?,
    }))
}
