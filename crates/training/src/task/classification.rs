//! A classifier of noisy images, by its cross entropy at random noise levels: `L = E[ -log p(c | x_0 + sigma n; sigma) ]`.
//!
//! Dhariwal & Nichol 2021, section 4, <https://arxiv.org/abs/2105.05233>. Its gradient with respect to the noisy image leads a diffusion
//! model to a class: see `ClassLikelihood` of `tweedie-fidelity`.

use std::{path::Path, slice};

use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_core::{Parametrisation, Rng};
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{Classifier, ClassifierModel};

use super::{Memory, Task, labels::Labels};
use crate::{Level, Levels, LevelsConfig, Prediction, TrainingError, objective::Noisy};

/// What a classifier is to learn; `serde` refuses unknown fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassificationConfig {
    /// How noise levels are drawn.
    pub levels: LevelsConfig,
}

/// Training of a [`Classifier`].
pub struct Classification {
    model: ClassifierModel,
    prediction: Prediction,
    levels: Levels,
    labels: Labels,
}

impl Classification {
    /// Of images in [0, 1] with classes.
    ///
    /// # Errors
    /// When the model or a setting is invalid.
    pub fn new(
        model: ClassifierModel,
        config: ClassificationConfig,
    ) -> Result<Self, TrainingError> {
        model.validate()?;
        // It sees what a network that predicts noise sees.
        let schedule = model.schedule.build()?;
        let prediction = Prediction::new(schedule, model.label, Parametrisation::Epsilon);
        Ok(Self {
            levels: Levels::new(config.levels, prediction.clone())?,
            labels: Labels::new(model.architecture.classes, 0.0)?,
            prediction,
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &ClassifierModel {
        &self.model
    }
}

impl Task for Classification {
    type Network = Classifier;

    fn init(&self, seed: u64, device: &Device) -> Result<Classifier, TrainingError> {
        Ok(self.model.architecture.init(seed, device)?)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        let [height, width] = self.model.image_size;
        let expected = [self.model.architecture.encoder.channels, height, width];
        let found = example.image.shape();
        if found != expected {
            return Err(TrainingError::ImageShape { expected, found });
        }
        self.check_classes(example.class.as_ref().map(slice::from_ref))
    }

    fn check_classes(&self, classes: Option<&[usize]>) -> Result<(), TrainingError> {
        self.labels.check(classes)
    }

    fn has_dropout(&self) -> bool {
        self.model.architecture.encoder.dropout > 0.0
    }

    fn levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.levels.draw(rows, rng)
    }

    fn validation_levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.levels.draw_untaught(rows, rng)
    }

    /// # Panics
    /// If the batch has no classes.
    fn losses(
        &self,
        network: &Classifier,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let device = batch.images.device();
        let clean = batch.images.mul_scalar(2.0).sub_scalar(1.0);
        let noisy = Noisy::draw(&self.prediction, clean, levels, rng);
        let found = network.forward(noisy.input, noisy.labels);
        let classes = batch.classes.expect("the batch was checked");
        let classes: Vec<i64> = classes.into_iter().map(|class| class as i64).collect();
        let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
        found
            .gather(1, classes.unsqueeze_dim(1))
            .squeeze_dim(1)
            .neg()
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
        Ok(ClassifierModel::open(folder)? == self.model)
    }
}
