//! A diffusion model of the latents of a frozen autoencoder (Rombach et al. 2022, section 3.2,
//! <https://arxiv.org/abs/2112.10752>).
//!
//! Each step draws the latents of its images anew, `z ~ q(z | x)`, and what is learnt of them is what a [`Diffusion`] learns of
//! images. A checkpoint holds the autoencoder too, so that it alone makes images: it is the folder of a
//! [`LatentModel`](tweedie_models::LatentModel).

use std::path::Path;

use burn::{
    data::{dataloader::batcher::Batcher, dataset::Dataset},
    tensor::{Device, Tensor},
};
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch, ExampleBatcher};
use tweedie_models::{
    AUTOENCODER_FOLDER, LatentModel, ModelConfig, Network, PretrainedAutoencoder,
};

use super::{Diffusion, DiffusionConfig, Memory, Task, autoencoding::check_image};
use crate::{Examples, Level, ObjectiveConfig, TrainingError};

/// Images that the variance of the latents is measured on.
const MEASURED: usize = 256;

/// Training of the [`Network`] of a diffusion of latents.
pub struct LatentDiffusion {
    autoencoder: PretrainedAutoencoder,
    diffusion: Diffusion,
}

impl LatentDiffusion {
    /// `model` describes a network of the latents: its pixels are [`Unit`](tweedie_models::Pixels::Unit), its images of the shape of
    /// the latents. Their variance should be 1: see [`scaled`](Self::scaled).
    ///
    /// # Errors
    /// When the model or a setting is invalid, the model is not one of these latents, or [`TrainingError::HybridLatents`].
    pub fn new(
        model: ModelConfig,
        config: DiffusionConfig,
        autoencoder: PretrainedAutoencoder,
    ) -> Result<Self, TrainingError> {
        LatentModel::check(&model, &autoencoder)?;
        if config.objective == (ObjectiveConfig::Hybrid {}) {
            // Its bound is one of pixels that have 256 values.
            return Err(TrainingError::HybridLatents);
        }
        let [height, width] = model.image_size;
        model.architecture.check_size(height, width)?;
        Ok(Self {
            diffusion: Diffusion::new(model, config)?,
            autoencoder,
        })
    }

    /// `autoencoder` with the scale that brings the latents of `examples` to variance 1, measured on 256 of them that are evenly
    /// spread over the set, or on all.
    ///
    /// # Errors
    /// When an image cannot be read or is of another shape, or the latents are all the same.
    pub fn scaled(
        autoencoder: PretrainedAutoencoder,
        examples: &Examples,
        device: &Device,
    ) -> Result<PretrainedAutoencoder, TrainingError> {
        let count = examples.len().min(MEASURED);
        let some = (0..count)
            .map(|i| {
                let example = examples.get(i * examples.len() / count);
                let example = example.map_err(|error| TrainingError::Data {
                    message: error.to_string(),
                })?;
                check_image(autoencoder.model(), &example)?;
                Ok(example)
            })
            .collect::<Result<Vec<_>, TrainingError>>()?;
        if some.is_empty() {
            return Err(TrainingError::TooFewImages {
                set: "training",
                found: 0,
                batch_size: 1,
            });
        }
        let images = ExampleBatcher.batch(some, device).images;
        Ok(autoencoder.with_unit_latents(images)?)
    }

    /// The model of the latents.
    pub fn model(&self) -> &ModelConfig {
        self.diffusion.model()
    }

    /// The autoencoder.
    pub fn autoencoder(&self) -> &PretrainedAutoencoder {
        &self.autoencoder
    }
}

impl Task for LatentDiffusion {
    type Network = Network;

    fn init(&self, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        self.diffusion.init(seed, device)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        check_image(self.autoencoder.model(), example)?;
        self.diffusion.check_told(example)
    }

    fn check_classes(&self, classes: Option<&[usize]>) -> Result<(), TrainingError> {
        self.diffusion.check_classes(classes)
    }

    fn has_dropout(&self) -> bool {
        self.diffusion.has_dropout()
    }

    fn takes_half_precision(&self) -> bool {
        self.diffusion.takes_half_precision()
    }

    fn levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.diffusion.levels(rows, rng)
    }

    fn validation_levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.diffusion.validation_levels(rows, rng)
    }

    fn losses(
        &self,
        network: &Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let autoencoder = self.autoencoder.on(&batch.images.device());
        let latents = ExampleBatch {
            images: autoencoder.encode(batch.images).sample(rng),
            ..batch
        };
        self.diffusion.losses(network, latents, levels, rng)
    }

    fn observe(&mut self, levels: &[Level], losses: &[f64]) {
        self.diffusion.observe(levels, losses);
    }

    fn memory(&self) -> Memory {
        self.diffusion.memory()
    }

    fn recall(&mut self, memory: Memory) {
        self.diffusion.recall(memory);
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        self.diffusion.save(folder)?;
        Ok(self.autoencoder.save(&folder.join(AUTOENCODER_FOLDER))?)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        Ok(self.diffusion.is_in(folder)?
            && self.autoencoder.is_in(&folder.join(AUTOENCODER_FOLDER))?)
    }
}
