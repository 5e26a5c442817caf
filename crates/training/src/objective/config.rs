//! The serialisable names of the objectives.

use serde::{Deserialize, Serialize};
use tweedie_models::{Architecture, ModelConfig, Pixels};

use super::{Denoising, Distance, Hybrid, Implicit, Objective, Prediction, Sliced, Weighting};
use crate::{LevelDistribution, LevelsConfig, TrainingError, config::require};

/// An objective and its settings; `serde` refuses unknown fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ObjectiveConfig {
    /// [`Denoising`].
    Denoising {
        /// How much each noise level counts.
        #[serde(default)]
        weighting: Weighting,
        /// Distance that is minimised.
        #[serde(default)]
        distance: Distance,
    },
    /// [`Sliced`].
    Sliced {
        /// Random directions for each image, each at the cost of two evaluations.
        #[serde(default = "one")]
        projections: usize,
        /// Whether the squared score is taken whole instead of along the directions.
        #[serde(default = "yes")]
        variance_reduction: bool,
    },
    /// [`Implicit`].
    Implicit {},
    /// [`Hybrid`].
    Hybrid {},
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::Denoising {
            weighting: Weighting::default(),
            distance: Distance::default(),
        }
    }
}

impl ObjectiveConfig {
    /// Refuses settings that no objective can have.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the field.
    pub fn validate(&self) -> Result<(), TrainingError> {
        match self {
            Self::Denoising { weighting, .. } => weighting.validate(),
            Self::Sliced { projections, .. } => {
                require("projections", *projections as f64, "at least 1", |v| {
                    v >= 1.0
                })
            }
            Self::Implicit {} | Self::Hybrid {} => Ok(()),
        }
    }

    /// Refuses models and noise levels that this objective cannot train.
    ///
    /// # Errors
    /// [`TrainingError`], with what was found and what was expected.
    pub fn check(&self, model: &ModelConfig, levels: &LevelsConfig) -> Result<(), TrainingError> {
        let network = &model.architecture;
        if network.learns_variance() && *self != (Self::Hybrid {}) {
            return Err(TrainingError::UntrainedVariance);
        }
        match self {
            Self::Denoising { .. } => Ok(()),
            Self::Sliced { .. } => without_dropout(network),
            Self::Implicit {} => {
                let dimensions = network.channels() * model.image_size.iter().product::<usize>();
                require(
                    "channels times height times width",
                    dimensions as f64,
                    "at most 64 for the implicit objective (sliced has the same mean)",
                    |v| v <= Implicit::MAX_DIMENSIONS as f64,
                )?;
                without_dropout(network)
            }
            Self::Hybrid {} => {
                if !network.learns_variance() {
                    return Err(TrainingError::NoVariance);
                }
                if model.pixels != Pixels::Symmetric {
                    return Err(TrainingError::HybridPixels {
                        found: model.pixels.range(),
                    });
                }
                use LevelDistribution::{Importance, LogitNormal, Uniform};
                match levels.distribution {
                    Uniform | Importance | LogitNormal { .. } => Ok(()),
                    found => Err(TrainingError::OffTable { found }),
                }
            }
        }
    }

    /// The objective of a network.
    ///
    /// # Errors
    /// As [`Hybrid::new`].
    pub fn build<const D: usize>(
        &self,
        prediction: Prediction,
    ) -> Result<Box<dyn Objective<D>>, TrainingError> {
        Ok(match *self {
            Self::Denoising {
                weighting,
                distance,
            } => Box::new(Denoising {
                prediction,
                weighting,
                distance,
            }),
            Self::Sliced {
                projections,
                variance_reduction,
            } => Box::new(Sliced {
                prediction,
                projections,
                variance_reduction,
            }),
            Self::Implicit {} => Box::new(Implicit { prediction }),
            Self::Hybrid {} => Box::new(Hybrid::new(prediction)?),
        })
    }
}

/// Differences of two outputs need the same network twice.
fn without_dropout(network: &Architecture) -> Result<(), TrainingError> {
    let dropout = match network {
        Architecture::UNet(unet) => unet.dropout,
        _ => 0.0,
    };
    require(
        "dropout",
        dropout,
        "0 for objectives that take differences of the network's outputs",
        |v| v == 0.0,
    )
}
