//! A diffusion model: a network that denoises at all noise levels.

use std::{path::Path, slice, sync::Arc};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_core::{Given, Rng};
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{Architecture, InPrecision, ModelConfig, Network};

use super::{Memory, Task, labels::Labels};
use crate::{Level, Levels, LevelsConfig, Objective, ObjectiveConfig, Prediction, TrainingError};

/// What a diffusion model is to learn; `serde` refuses unknown fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionConfig {
    /// What is minimised.
    pub objective: ObjectiveConfig,
    /// How noise levels are drawn.
    pub levels: LevelsConfig,
    /// Probability that a network with classes is not told the class of an image, in [0, 1].
    pub label_dropout: f64,
}

/// Makes a measurement of each of a batch of images in [0, 1], an image of their height and width; row `i` draws from row `i` of
/// the generator.
pub type Measure = Arc<dyn Fn(Tensor<4>, &mut Rng) -> Tensor<4> + Send + Sync>;

/// Keeps the random numbers of measurements apart from all others.
const MEASURING: u64 = u64::from_be_bytes(*b"measured");

/// Training of a model's [`Network`].
///
/// A network with classes is told those of its images. A network that sees an image beside its input can learn the posterior of a
/// measurement: shown a new measurement of each image in each step, its optimum is `E[x_0 | x_0 + sigma n, y]`, the denoiser of
/// `p(x_0 | y)` (Batzolis et al. 2021, <https://arxiv.org/abs/2111.13606>). See [`measuring`](Self::measuring).
pub struct Diffusion {
    model: ModelConfig,
    objective: Box<dyn Objective>,
    levels: Levels,
    labels: Labels,
    measure: Option<Measure>,
}

impl Diffusion {
    /// Of a model with images in [0, 1].
    ///
    /// # Errors
    /// When the model or a setting is invalid.
    pub fn new(model: ModelConfig, config: DiffusionConfig) -> Result<Self, TrainingError> {
        model.validate()?;
        config.objective.validate()?;
        config.levels.check(&model)?;
        config.objective.check(&model, &config.levels)?;
        let prediction = Prediction::of(&model)?;
        Ok(Self {
            objective: config.objective.build(prediction.clone())?,
            levels: Levels::new(config.levels, prediction)?,
            labels: Labels::new(model.architecture.classes(), config.label_dropout)?,
            measure: None,
            model,
        })
    }

    /// Shows the network a measurement of each image beside its input.
    pub fn measuring(self, measure: Measure) -> Self {
        Self {
            measure: Some(measure),
            ..self
        }
    }

    /// Refuses an example by what the network would be told of it.
    pub(super) fn check_told(&self, example: &Example) -> Result<(), TrainingError> {
        self.labels
            .check(example.class.as_ref().map(slice::from_ref))?;
        let channels = self.model.architecture.condition_channels();
        if (channels > 0) != self.measure.is_some() {
            return Err(TrainingError::Measurement { channels });
        }
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }
}

impl Task for Diffusion {
    type Network = Network;

    fn init(&self, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        Ok(self.model.architecture.init(seed, device)?)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        let [height, width] = self.model.image_size;
        let expected = [self.model.architecture.channels(), height, width];
        let found = example.image.shape();
        if found != expected {
            return Err(TrainingError::ImageShape { expected, found });
        }
        self.model.architecture.check_size(height, width)?;
        self.check_told(example)
    }

    fn check_classes(&self, classes: Option<&[usize]>) -> Result<(), TrainingError> {
        self.labels.check(classes)
    }

    fn has_dropout(&self) -> bool {
        matches!(&self.model.architecture, Architecture::UNet(unet) if unet.dropout > 0.0)
    }

    fn takes_half_precision(&self) -> bool {
        true
    }

    fn levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.levels.draw(rows, rng)
    }

    fn validation_levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.levels.draw_untaught(rows, rng)
    }

    fn losses(
        &self,
        network: &Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let (low, high) = self.model.pixels.range();
        let own = |image: Tensor<4>| image.mul_scalar(high - low).add_scalar(low);
        let ExampleBatch { images, classes } = batch;
        let given = Given {
            class: self.labels.told(classes, rng, &images.device()),
            image: self
                .measure
                .as_ref()
                .map(|measure| own(measure(images.clone(), &mut rng.fork(MEASURING)))),
        };
        self.objective
            .losses(&InPrecision::of(network), own(images), given, levels, rng)
    }

    fn observe(&mut self, levels: &[Level], losses: &[f64]) {
        self.levels.observe(levels, losses);
    }

    fn memory(&self) -> Memory {
        Memory {
            levels: self.levels.memory(),
        }
    }

    fn recall(&mut self, memory: Memory) {
        self.levels.recall(memory.levels);
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        Ok(self.model.save(folder)?)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        Ok(ModelConfig::open(folder)? == self.model)
    }
}
