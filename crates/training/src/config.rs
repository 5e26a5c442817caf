//! The settings of a run.

use serde::{Deserialize, Serialize};

use crate::TrainingError;

/// The distance between the network's output and its target, averaged over pixels and batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// `r^2`.
    #[default]
    L2,
    /// `|r|`.
    L1,
    /// `r^2/2` where `|r| < 1`, `|r| - 1/2` elsewhere.
    Huber,
}

/// The settings of a run; `serde` refuses unknown fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Optimiser steps in all.
    pub steps: u64,
    /// Images per step.
    pub batch_size: usize,
    /// Learning rate after the warm-up.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises linearly from zero.
    pub warmup_steps: u64,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub weight_decay: f64,
    /// Bound on the Euclidean norm of the gradient of all weights together; 0 is none.
    pub clip_norm: f64,
    /// Decay of the moving average of the weights, reached after its warm-up.
    pub ema_decay: f64,
    /// Distance that is minimised.
    pub loss: Loss,
    /// Seed of the weights, the order of the data, the noise levels and the noise.
    pub seed: u64,
    /// Steps between two validations; 0 is none but the last.
    pub validate_every: u64,
    /// Steps between two sample grids; 0 is none but the last.
    pub sample_every: u64,
    /// Steps between two checkpoints; 0 is none but the last.
    pub checkpoint_every: u64,
}

impl Default for TrainingConfig {
    /// Sized for the embedded phantoms on two processor cores.
    fn default() -> Self {
        Self {
            steps: 1000,
            batch_size: 16,
            learning_rate: 1e-3,
            warmup_steps: 50,
            weight_decay: 0.0,
            clip_norm: 1.0,
            ema_decay: 0.995,
            loss: Loss::L2,
            seed: 0,
            validate_every: 250,
            sample_every: 250,
            checkpoint_every: 250,
        }
    }
}

impl TrainingConfig {
    /// Refuses settings that no run can have.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the field.
    pub fn validate(&self) -> Result<(), TrainingError> {
        require("steps", self.steps as f64, "at least 1", |v| v >= 1.0)?;
        require("batch_size", self.batch_size as f64, "at least 1", |v| {
            v >= 1.0
        })?;
        require(
            "learning_rate",
            self.learning_rate,
            "finite and above 0",
            |v| v > 0.0 && v.is_finite(),
        )?;
        let at_least_zero = |v: f64| v >= 0.0 && v.is_finite();
        require(
            "weight_decay",
            self.weight_decay,
            "finite and at least 0",
            at_least_zero,
        )?;
        require(
            "clip_norm",
            self.clip_norm,
            "finite and at least 0",
            at_least_zero,
        )?;
        require("ema_decay", self.ema_decay, "in [0, 1)", |v| {
            (0.0..1.0).contains(&v)
        })
    }

    /// Learning rate of a step, counted from 1.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let warm = step as f64 / self.warmup_steps.max(1) as f64;
        self.learning_rate * warm.min(1.0)
    }
}

fn require(
    field: &'static str,
    found: f64,
    expected: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), TrainingError> {
    if holds(found) {
        return Ok(());
    }
    Err(TrainingError::Setting {
        field,
        expected,
        found,
    })
}
