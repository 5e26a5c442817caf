//! The loss of the averaged network on images held out, at the same noise levels and with the same noise each time.

use burn::data::{dataloader::DataLoaderBuilder, dataset::Dataset};
use tweedie_data::ExampleBatcher;

use crate::{
    Level, LevelRecord, Task, Trainer, TrainingError, ValidationRecord,
    trainer::{LEVELS, Purpose, weighted_mean, worst},
};

/// Classes of noise levels, each with as many rows.
const BINS: usize = 8;

/// What a validation finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// The whole.
    pub record: ValidationRecord,
    /// By noise level, from the least on, in classes with as many rows as another; none where all levels are the same.
    pub levels: Vec<LevelRecord>,
}

impl<T: Task> Trainer<T> {
    /// Validates the averaged network.
    ///
    /// # Errors
    /// When an image cannot be read, or [`TrainingError::NonFiniteValidation`].
    pub fn validate(&self) -> Result<Validation, TrainingError> {
        self.validate_network(self.average())
    }

    /// Validates a network of the same shapes, on the same device: another average, for one.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn validate_network(&self, network: &T::Network) -> Result<Validation, TrainingError> {
        let levels = self.task.validation_levels(
            self.validation.len(),
            &mut self.rng(Purpose::Validation).fork(LEVELS),
        );
        let losses = self.validation_losses(network, &levels)?;
        let (step, loss) = (self.step(), weighted_mean(&levels, &losses));
        if !loss.is_finite() {
            let (sigma, row_loss) = worst(&levels, &losses);
            return Err(TrainingError::NonFiniteValidation {
                step,
                loss,
                row_loss,
                sigma,
                checkpoint: self.saved.clone(),
            });
        }
        Ok(Validation {
            record: ValidationRecord { step, loss },
            levels: by_level(step, &levels, &losses),
        })
    }

    /// The loss of each image held out, in their order.
    fn validation_losses(
        &self,
        network: &T::Network,
        levels: &[Level],
    ) -> Result<Vec<f64>, TrainingError> {
        // No more rows at a time than a step has.
        let rows = self.config.batch_size.div_ceil(self.config.accumulate);
        let batches = DataLoaderBuilder::new(ExampleBatcher)
            .batch_size(rows)
            .set_device(self.device().clone())
            .build(self.validation.clone());
        let mut losses = Vec::new();
        for batch in batches.iter() {
            let batch = batch.map_err(TrainingError::from_dataset)?;
            self.task.check_classes(batch.classes.as_deref())?;
            let first = losses.len();
            let mut rng = self.rng(Purpose::Validation).starting_at(first as u64);
            let part = &levels[first..first + batch.len()];
            let found = self
                .task
                .losses(network, batch, part, &mut rng)
                .try_into_vec_as::<f64>()
                .map_err(|error| self.device_failure(&error))?;
            losses.extend(found);
        }
        Ok(losses)
    }
}

/// The mean loss in classes of noise levels.
fn by_level(step: u64, levels: &[Level], losses: &[f64]) -> Vec<LevelRecord> {
    let mut rows: Vec<(f64, f64)> = levels
        .iter()
        .zip(losses)
        .map(|(level, loss)| (level.sigma, *loss))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends = [rows.first(), rows.last()].map(|row| row.map(|(sigma, _)| *sigma));
    if ends[0] == ends[1] {
        return Vec::new();
    }
    let bins = BINS.min(rows.len());
    let edge = |bin: usize| rows.len() * bin / bins;
    (0..bins)
        .map(|bin| {
            let rows = &rows[edge(bin)..edge(bin + 1)];
            LevelRecord {
                step,
                sigma_min: rows[0].0,
                sigma_max: rows[rows.len() - 1].0,
                rows: rows.len(),
                loss: rows.iter().map(|(_, loss)| loss).sum::<f64>() / rows.len() as f64,
            }
        })
        .collect()
}
