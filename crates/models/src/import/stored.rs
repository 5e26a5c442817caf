//! A network in one file: its weights by our names, and its configuration in the file's metadata.

use std::{iter, path::Path};

use serde_json::Value;

use super::{CONFIG_KEY, file::Checkpoint, load::Imported};
use crate::{Architecture, CheckpointProblem, ModelConfig, ModelError, weights::save_with};

/// What no number of channels in a network's configuration exceeds, unless an axis of a tensor does.
const COUNT: u64 = 1024;

/// What no number in a configuration exceeds: lengths of schedules, sizes of images.
const STEPS: u64 = 100_000;

impl Imported {
    /// Writes one safetensors file with the weights and the configuration, which [`import`](crate::import) and
    /// [`Pretrained::open`](crate::Pretrained::open) take; a file there is replaced in one step.
    ///
    /// The bytes depend on the network alone.
    ///
    /// # Errors
    /// [`ModelError::Write`] when the file cannot be written, [`ModelError::WriteWeights`] when the weights cannot be read
    /// from their device.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let config = serde_json::to_string(&self.config).map_err(|source| ModelError::Json {
            path: path.into(),
            source,
        })?;
        save_with(&self.network, path, CONFIG_KEY, &config)
    }
}

/// The configuration that a file carries, if it does.
pub(super) fn carried(checkpoint: &Checkpoint) -> Result<Option<ModelConfig>, ModelError> {
    let Some(text) = &checkpoint.config else {
        return Ok(None);
    };
    let path = checkpoint.path();
    let value = serde_json::from_str(text).map_err(|source| ModelError::Json {
        path: path.into(),
        source,
    })?;
    if let Some((field, found)) = out_of_proportion(checkpoint, &value) {
        return Err(ModelError::Checkpoint {
            path: path.into(),
            problem: CheckpointProblem::Configuration { field, found },
        });
    }
    let config = ModelConfig::parse(text, path)?;
    let (needed, found) = (fewest(&config.architecture), checkpoint.tensors.len());
    if needed > found {
        return Err(ModelError::Checkpoint {
            path: path.into(),
            problem: CheckpointProblem::Layers { needed, found },
        });
    }
    Ok(Some(config))
}

/// As many tensors as every network of this shape has, found without making one.
fn fewest(architecture: &Architecture) -> usize {
    // A residual block has five layers of two tensors, or two of one; each level has as many blocks on the way up as down.
    let blocks = |levels: &[usize], blocks: usize, tensors: usize| {
        levels.len().saturating_mul(blocks).saturating_mul(tensors)
    };
    match architecture {
        Architecture::UNet(it) => blocks(&it.channel_multipliers, it.blocks_per_level, 20),
        Architecture::Ncsnpp(it) => blocks(&it.channel_multipliers, it.blocks_per_level, 20),
        Architecture::Drunet(it) => blocks(&it.widths, it.blocks_per_level, 2),
        Architecture::Dncnn(it) => it.depth,
        // They have a few levels of a few layers.
        Architecture::SimpleUnet(_) | Architecture::PlainUNet(_) | Architecture::MnistDdpm(_) => 1,
    }
}

/// A number of the configuration that would make larger layers or longer tables than a file of these tensors can need.
fn out_of_proportion(checkpoint: &Checkpoint, config: &Value) -> Option<(String, u64)> {
    let held = (checkpoint.tensors.values()).filter(|entry| entry.elements() > 0);
    let longest = held.flat_map(|entry| &entry.shape).max();
    let longest = longest.map_or(0, |&axis| axis as u64);
    let architecture = largest("architecture", &config["architecture"]);
    let all = largest("", config);
    architecture
        .filter(|(_, found)| *found > longest.max(COUNT))
        .or(all.filter(|(_, found)| *found > STEPS))
}

/// The largest whole number in a value and the field that holds it; the length of a list counts.
fn largest(field: &str, value: &Value) -> Option<(String, u64)> {
    let own = match value {
        Value::Number(number) => number.as_u64().map(|number| (field.to_owned(), number)),
        Value::Array(list) => Some((field.to_owned(), list.len() as u64)),
        _ => None,
    };
    let inner: Box<dyn Iterator<Item = _>> = match value {
        Value::Array(list) => Box::new(list.iter().filter_map(|inner| largest(field, inner))),
        Value::Object(map) => Box::new(map.iter().filter_map(|(name, inner)| largest(name, inner))),
        _ => Box::new(iter::empty()),
    };
    inner.chain(own).max_by_key(|(_, number)| *number)
}
