//! The shape of a classifier, and what is refused.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Classifier;
use crate::{ModelError, UNetConfig};

/// The shape of a [`Classifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// How many classes it tells apart, at least 2.
    pub classes: usize,
    /// The U-Net whose encoder it has. That one is told nothing but the noise level, and has no learnt variance.
    pub encoder: UNetConfig,
}

impl ClassifierConfig {
    /// Refuses what no classifier can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        let unet = &self.encoder;
        unet.validate()?;
        if self.classes < 2 {
            return Err(ModelError::OutOfRange {
                field: "classes",
                expected: "at least 2",
                found: self.classes as f64,
            });
        }
        let unheard = [
            ("encoder.classes", unet.classes),
            ("encoder.condition_channels", unet.condition_channels),
            ("encoder.learned_sigma", unet.learned_sigma.into()),
        ];
        match unheard.into_iter().find(|(_, value)| *value > 0) {
            Some((field, found)) => Err(ModelError::OutOfRange {
                field,
                expected: "0 or false in a classifier",
                found: found as f64,
            }),
            None => Ok(()),
        }
    }

    /// A classifier with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Classifier, ModelError> {
        self.validate()?;
        Ok(Classifier::new(self, seed, device))
    }
}
