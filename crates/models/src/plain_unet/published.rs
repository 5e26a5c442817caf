//! The names in the files of deepinv's `UNet`, and how they are recognised.
//!
//! A file holds the layers' shapes only. It does not say whether the input is added to the output, nor what lies beyond the edges:
//! both are taken to be deepinv's defaults. Which of deepinv's two batch normalisations it holds is told by their means and shifts:
//! training leaves those of the bias-free one at zero.
//!
//! deepinv's `cat=False`, which skips the joining convolutions though the file has them, is not supported.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::PlainUNetConfig;
use crate::{
    Architecture, ModelConfig, Pixels,
    import::{Fold, Inventory, Layout},
};

/// Added to the variances.
const EPSILON: f64 = 1e-5;

/// A network as a blind denoiser of images in [0, 1].
fn blind(network: PlainUNetConfig) -> ModelConfig {
    ModelConfig {
        pixels: Pixels::Unit,
        ..ModelConfig::new(
            Architecture::PlainUNet(network),
            Parametrisation::Denoised,
            // The file says neither the noise levels nor the sizes of the training.
            ScheduleConfig::Karras { sigma_max: 1.0 },
            NoiseLabel::Time { scale: 1.0 },
            [128, 128],
        )
    }
}

/// The configuration of a checkpoint of this kind.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    let first = |level: usize| format!("Conv{}.0.weight", level + 1);
    let levels = inventory.count(first);
    let widths: Vec<usize> = (0..levels)
        .map(|level| inventory.length(&first(level), 0))
        .collect::<Option<_>>()?;
    let channels = inventory.length(&first(0), 1)?;
    if inventory.shape("Conv_1x1.weight")? != [channels, *widths.first()?, 1, 1] {
        return None;
    }
    // A normalisation leaves a bias.
    let has_norms = inventory.has("Conv1.1.running_var");
    let config = PlainUNetConfig {
        widths,
        biases: [
            has_norms || inventory.has("Conv1.0.bias"),
            inventory.has("Conv_1x1.bias"),
        ],
        ..PlainUNetConfig::published(channels)
    };
    config.validate().ok()?;
    Some(blind(config))
}

impl PlainUNetConfig {
    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let mut layouts = vec![self.named(None)];
        if self.biases[0] {
            layouts.push(self.named(Some(Fold {
                bias: self.biases[1],
                epsilon: EPSILON,
            })));
        }
        layouts
    }

    /// With or without batch normalisation.
    fn named(&self, norm: Option<Fold>) -> Layout {
        let last = self.widths.len() - 1;
        let mut layout = Layout::default()
            .layer("output", "Conv_1x1")
            .without("num_batches_tracked");
        // Theirs count every layer: the second convolution stands after the norm, if there is one, and the ReLU.
        let second = if norm.is_some() { 3 } else { 2 };
        let mut add = |ours: String, block: String, position: usize| {
            let theirs = format!("{block}.{position}");
            let before = std::mem::take(&mut layout);
            layout = match norm {
                Some(fold) => {
                    before.folded(ours, theirs, format!("{block}.{}", position + 1), fold)
                }
                None => before.layer(ours, theirs),
            };
        };
        for level in 0..=last {
            let (ours, block) = (format!("encoder.{level}"), format!("Conv{}", level + 1));
            add(format!("{ours}.conv1"), block.clone(), 0);
            add(format!("{ours}.conv2"), block, second);
        }
        for level in 0..last {
            let (ours, number) = (format!("decoder.{level}"), last - level + 1);
            add(format!("{ours}.double"), format!("Up{number}"), 1);
            let block = format!("Up_conv{number}");
            add(format!("{ours}.join.conv1"), block.clone(), 0);
            add(format!("{ours}.join.conv2"), block, second);
        }
        layout
    }
}
