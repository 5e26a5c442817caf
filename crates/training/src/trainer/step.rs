//! One step of the optimiser.

use std::time::Instant;

use burn::{optim::GradientsParams, tensor::Tensor};
use tweedie_data::ExampleBatch;

use super::{LEVELS, Purpose, Trainer};
use crate::{Level, StepRecord, Task, TrainingError, clipping, gradients::Gradients};

impl<T: Task> Trainer<T> {
    /// One step of the optimiser on a batch.
    ///
    /// # Errors
    /// [`TrainingError::NonFiniteLoss`] or [`TrainingError::NonFiniteGradient`], and when the task cannot learn from the classes of
    /// the batch; network and optimiser are then as before.
    pub fn advance(&mut self, batch: ExampleBatch) -> Result<StepRecord, TrainingError> {
        let start = Instant::now();
        self.task.check_classes(batch.classes.as_deref())?;
        let step = self.step + 1;
        let rng = self.rng(Purpose::Training).fork(step);
        let levels = self.task.levels(batch.len(), &mut rng.fork(LEVELS));
        let (losses, gradients) = Gradients {
            task: &self.task,
            config: &self.config,
            devices: &self.devices,
            step,
        }
        .of(self.network.get(), &batch, &levels)?;
        let norm = clipping::norm(self.network.get(), &gradients, self.device());
        // The one read-back of a step.
        let mut losses = Tensor::cat(vec![losses, norm.clone()], 0)
            .try_into_vec_as::<f64>()
            .map_err(|error| self.device_failure(&error))?;
        let gradient_norm = losses.pop().expect("the norm was put last");
        let loss = self.check_finite(&levels, &losses, gradient_norm)?;
        let learning_rate = self.config.learning_rate_at(step);
        self.update(gradients, norm, learning_rate);
        self.task.observe(&levels, &losses);
        Ok(StepRecord {
            step,
            loss,
            gradient_norm,
            learning_rate,
            seconds: start.elapsed().as_secs_f64(),
            data_seconds: 0.0,
        })
    }

    /// The loss of the next step, if it and the gradient are numbers.
    fn check_finite(
        &self,
        levels: &[Level],
        losses: &[f64],
        norm: f64,
    ) -> Result<f64, TrainingError> {
        let loss = weighted_mean(levels, losses);
        if loss.is_finite() && norm.is_finite() {
            return Ok(loss);
        }
        let (sigma, row_loss) = worst(levels, losses);
        let (step, checkpoint) = (self.step + 1, self.saved.clone());
        Err(if loss.is_finite() {
            TrainingError::NonFiniteGradient {
                step,
                norm,
                loss,
                row_loss,
                sigma,
                checkpoint,
            }
        } else {
            TrainingError::NonFiniteLoss {
                step,
                loss,
                row_loss,
                sigma,
                gradient_norm: norm,
                checkpoint,
            }
        })
    }

    /// Steps the weights and their averages.
    fn update(&mut self, gradients: GradientsParams, norm: Tensor<1>, learning_rate: f64) {
        let bound = self.config.clip_norm;
        let gradients = if bound > 0.0 {
            clipping::clipped(self.network.get(), gradients, norm, bound)
        } else {
            gradients
        };
        self.network
            .replace(|network| self.optimiser.step(learning_rate, network, gradients));
        self.step += 1;
        self.averages.update(self.network.get(), self.step);
    }
}

/// Noise level and loss of the worst row: one that is no number, or else the largest.
pub(crate) fn worst(levels: &[Level], losses: &[f64]) -> (f64, f64) {
    // In the total order what is no number is above infinity; its sign is chance.
    let worst = levels
        .iter()
        .zip(losses)
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    worst.map_or((0.0, 0.0), |(level, loss)| (level.sigma, *loss))
}

/// The mean loss of rows, each with the weight of its level.
pub(crate) fn weighted_mean(levels: &[Level], losses: &[f64]) -> f64 {
    let terms = levels
        .iter()
        .zip(losses)
        .map(|(level, loss)| level.weight * loss);
    terms.sum::<f64>() / losses.len() as f64
}
