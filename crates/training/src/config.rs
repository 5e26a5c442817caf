//! The settings of a run.

use serde::{Deserialize, Serialize};
use tweedie_models::Precision;

use crate::{LearningRateDecay, PostHocConfig, TrainingError};

/// The settings of a run; `serde` refuses unknown fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Optimiser steps in all.
    pub steps: u64,
    /// Images per step.
    pub batch_size: usize,
    /// Micro-batches that each device cuts its images into, one after the other: less memory for the same step.
    pub accumulate: usize,
    /// Type of the network's weights in the forward and backward pass, `f32` or `bf16`; the optimiser steps single precision.
    pub precision: Precision,
    /// Learning rate after the warm-up.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises linearly from zero.
    pub warmup_steps: u64,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub weight_decay: f64,
    /// Bound on the Euclidean norm of the gradient of all weights together; 0 is none.
    pub clip_norm: f64,
    /// Decays of the moving averages of the weights, each reached after its warm-up. The first is what samples.
    pub ema_decays: Vec<f64>,
    /// Seed of the weights, the order of the data, the noise levels and the noise.
    pub seed: u64,
    /// Steps between two validations; 0 is none but the last.
    pub validate_every: u64,
    /// Validations without a new best after which the run ends; 0 is never.
    pub patience: u64,
    /// Steps between two sample grids; 0 is none but the last.
    pub sample_every: u64,
    /// Steps between two checkpoints; 0 is none but the last.
    pub checkpoint_every: u64,
    /// What the learning rate does after the warm-up.
    pub learning_rate_decay: LearningRateDecay,
    /// Snapshots of averages from which others are made afterwards; none are kept without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_hoc: Option<PostHocConfig>,
}

impl Default for TrainingConfig {
    /// Sized for the embedded phantoms on two processor cores.
    fn default() -> Self {
        Self {
            steps: 1000,
            batch_size: 16,
            accumulate: 1,
            precision: Precision::F32,
            learning_rate: 1e-3,
            warmup_steps: 50,
            weight_decay: 0.0,
            clip_norm: 1.0,
            ema_decays: vec![0.995],
            seed: 0,
            validate_every: 250,
            patience: 0,
            sample_every: 250,
            checkpoint_every: 250,
            learning_rate_decay: LearningRateDecay::default(),
            post_hoc: None,
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
        let expected = "finite and at least 0";
        require("weight_decay", self.weight_decay, expected, at_least_zero)?;
        require("clip_norm", self.clip_norm, expected, at_least_zero)?;
        self.check_parts(1)?;
        if !matches!(self.precision, Precision::F32 | Precision::Bf16) {
            return Err(TrainingError::Precision {
                found: self.precision,
            });
        }
        self.check_averages()?;
        if let LearningRateDecay::Cosine { floor } = self.learning_rate_decay {
            let expected = "in [0, learning_rate]";
            require("learning_rate_decay.floor", floor, expected, |v| {
                (0.0..=self.learning_rate).contains(&v)
            })?;
        }
        Ok(())
    }

    /// Whether a batch can be cut over so many devices.
    pub(crate) fn check_parts(&self, devices: usize) -> Result<(), TrainingError> {
        let expected =
            "at least 1, and with the devices no more than leave each an image of a batch";
        require("accumulate", self.accumulate as f64, expected, |_| {
            (1..=self.batch_size / devices).contains(&self.accumulate)
        })
    }

    fn check_averages(&self) -> Result<(), TrainingError> {
        let decays = &self.ema_decays;
        let expected = "at least one number";
        require("ema_decays", decays.len() as f64, expected, |v| v > 0.0)?;
        for (i, &decay) in decays.iter().enumerate() {
            require("ema_decays", decay, "in [0, 1)", |v| {
                (0.0..1.0).contains(&v)
            })?;
            require("ema_decays", decay, "different from each other", |v| {
                !decays[..i].contains(&v)
            })?;
        }
        self.post_hoc.iter().try_for_each(PostHocConfig::validate)
    }
}

pub(crate) fn require(
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
