//! What a network predicts, and at which noise levels.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use tweedie_core::{
    Coefficients, NoiseLabel, Parametrisation, Preconditioning, Schedule, ScheduleError,
};
use tweedie_models::ModelConfig;

use crate::{Level, levels::Times};

/// The meaning of a network's output at each noise level of a schedule: what all objectives are built on.
#[derive(Clone)]
pub struct Prediction {
    /// The schedule, in the network's own pixel units.
    pub schedule: Arc<dyn Schedule>,
    /// How its noise levels are told to the network.
    pub label: NoiseLabel,
    /// `c_skip, c_out, c_in, c_noise`.
    pub preconditioning: Arc<dyn Preconditioning>,
}

impl Prediction {
    /// By its name.
    pub fn new(
        schedule: Arc<dyn Schedule>,
        label: NoiseLabel,
        parametrisation: Parametrisation,
    ) -> Self {
        Self {
            preconditioning: parametrisation.preconditioning(schedule.clone(), label),
            schedule,
            label,
        }
    }

    /// Of a model.
    ///
    /// # Errors
    /// When the model's schedule is invalid.
    pub fn of(model: &ModelConfig) -> Result<Self, ScheduleError> {
        Ok(Self::new(
            model.schedule.build()?,
            model.label,
            model.parametrisation,
        ))
    }

    /// The times of training.
    pub(crate) fn times(&self) -> Times {
        Times::of(&*self.schedule, self.label)
    }

    /// The coefficients of each level.
    pub(crate) fn coefficients(&self, levels: &[Level]) -> Vec<Coefficients> {
        levels
            .iter()
            .map(|level| self.preconditioning.at(level.sigma))
            .collect()
    }
}

/// One number for each row, as a tensor that multiplies rows of `[batch, ..]`.
pub(crate) fn column<const D: usize>(values: Vec<f64>, device: &Device) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = values.len();
    let rows = values.len();
    Tensor::<1>::from_data(TensorData::new(values, [rows]), device).reshape(shape)
}
