//! What is trained, and what it is to learn.

mod autoencoding;
mod classification;
mod diffusion;
mod labels;
mod latent;

use std::path::Path;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch};

use crate::{Level, LevelMemory, TrainingError};

pub use autoencoding::{Autoencoding, AutoencodingConfig};
pub use classification::{Classification, ClassificationConfig};
pub use diffusion::{Diffusion, DiffusionConfig, Measure};
pub use latent::LatentDiffusion;

/// What a task has learnt beside the weights; a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// About noise levels.
    #[serde(default)]
    pub levels: LevelMemory,
}

/// A network to be trained and the loss that it is to have little of. A [`Trainer`](crate::Trainer) does the rest.
pub trait Task: Send + Sync {
    /// What is trained.
    type Network: Module;

    /// A network with weights that depend on `seed` alone; on an autodiff device it can be trained.
    ///
    /// # Errors
    /// When there can be no such network.
    fn init(&self, seed: u64, device: &Device) -> Result<Self::Network, TrainingError>;

    /// Whether an example can be learnt from.
    ///
    /// # Errors
    /// [`TrainingError`], with what was found and what was expected.
    fn check(&self, example: &Example) -> Result<(), TrainingError>;

    /// Whether the classes of a batch can be learnt from.
    ///
    /// # Errors
    /// [`TrainingError`], with what was found and what was expected.
    fn check_classes(&self, _classes: Option<&[usize]>) -> Result<(), TrainingError> {
        Ok(())
    }

    /// Whether the network drops numbers at random while it is trained.
    fn has_dropout(&self) -> bool {
        false
    }

    /// Whether [`losses`](Self::losses) takes a network whose weights were rounded to half precision
    /// ([`tweedie_models::Precision::round`]), and gives losses in single precision.
    fn takes_half_precision(&self) -> bool {
        false
    }

    /// The noise levels of a batch of so many rows.
    fn levels(&self, rows: usize, _rng: &mut Rng) -> Vec<Level> {
        vec![Level::NONE; rows]
    }

    /// The noise levels of images held out: a function of `rng` alone, whatever was learnt.
    fn validation_levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.levels(rows, rng)
    }

    /// The loss of each row, `[batch]`, without the weights of the levels, of which there is one for each row. Row `i` draws from
    /// row `i` of `rng`, and nothing couples two rows.
    fn losses(
        &self,
        network: &Self::Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1>;

    /// Learns from the losses of a step, one for each level.
    fn observe(&mut self, _levels: &[Level], _losses: &[f64]) {}

    /// What was learnt beside the weights.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Goes on from there.
    fn recall(&mut self, _memory: Memory) {}

    /// Writes into a folder what the network is, beside its weights.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(&self, folder: &Path) -> Result<(), TrainingError>;

    /// Whether a folder that [`save`](Self::save) wrote into holds this network.
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError>;
}
