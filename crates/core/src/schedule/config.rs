//! Schedules in configuration files.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Cosine, DdpmTable, FlowMatching, Karras, ScaledLinear, Schedule, ScheduleError, Sigmoid,
    SubVariancePreserving, VarianceExploding, VariancePreserving,
};

/// A schedule as written in a configuration file.
///
/// ```
/// use tweedie_core::{Schedule, ScheduleConfig};
///
/// let text = r#"{ "type": "variance_preserving", "beta_min": 0.1, "beta_max": 20.0 }"#;
/// let schedule = serde_json::from_str::<ScheduleConfig>(text).unwrap().build().unwrap();
/// assert!(schedule.sigma(1.0) > 100.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ScheduleConfig {
    /// [`VarianceExploding`].
    VarianceExploding {
        /// Noise level at time 0.
        sigma_min: f64,
        /// Noise level at time 1.
        sigma_max: f64,
    },
    /// [`VariancePreserving`].
    VariancePreserving {
        /// Rate at time 0.
        beta_min: f64,
        /// Rate at time 1.
        beta_max: f64,
    },
    /// [`SubVariancePreserving`].
    SubVariancePreserving {
        /// Rate at time 0.
        beta_min: f64,
        /// Rate at time 1.
        beta_max: f64,
    },
    /// [`ScaledLinear`].
    ScaledLinear {
        /// Rate at time 0.
        beta_min: f64,
        /// Rate at time 1.
        beta_max: f64,
    },
    /// [`Cosine`].
    Cosine {
        /// The paper's `s`.
        offset: f64,
        /// Noise level at the horizon.
        sigma_max: f64,
    },
    /// [`Sigmoid`].
    Sigmoid {
        /// Argument of the sigmoid at time 0, times `tau`.
        start: f64,
        /// Argument of the sigmoid at time 1, times `tau`.
        end: f64,
        /// Temperature.
        tau: f64,
        /// Noise level at the horizon.
        sigma_max: f64,
    },
    /// [`Karras`].
    Karras {
        /// Noise level at the horizon, and the horizon.
        sigma_max: f64,
    },
    /// [`FlowMatching`].
    FlowMatching {
        /// Noise level at the horizon.
        sigma_max: f64,
    },
    /// [`DdpmTable::linear`].
    Ddpm {
        /// Number of steps.
        steps: usize,
        /// First beta.
        beta_min: f64,
        /// Last beta.
        beta_max: f64,
    },
    /// [`DdpmTable::scaled_linear`].
    DdpmScaledLinear {
        /// Number of steps.
        steps: usize,
        /// First beta.
        beta_min: f64,
        /// Last beta.
        beta_max: f64,
    },
    /// [`DdpmTable::cosine`].
    DdpmCosine {
        /// Number of steps.
        steps: usize,
        /// The paper's `s`.
        offset: f64,
        /// The largest beta.
        beta_cap: f64,
    },
    /// [`DdpmTable::new`].
    DdpmTable {
        /// All betas, step 1 first.
        betas: Vec<f64>,
    },
}

impl ScheduleConfig {
    /// The table of Ho et al. 2020: 1000 steps, beta from 1e-4 to 0.02.
    pub const DDPM: Self = Self::Ddpm {
        steps: 1000,
        beta_min: 1e-4,
        beta_max: 0.02,
    };

    /// The schedule itself.
    ///
    /// # Errors
    /// [`ScheduleError`] when a parameter is out of range.
    pub fn build(&self) -> Result<Arc<dyn Schedule>, ScheduleError> {
        Ok(match *self {
            Self::VarianceExploding {
                sigma_min,
                sigma_max,
            } => Arc::new(VarianceExploding::new(sigma_min, sigma_max)?),
            Self::VariancePreserving { beta_min, beta_max } => {
                Arc::new(VariancePreserving::new(beta_min, beta_max)?)
            }
            Self::SubVariancePreserving { beta_min, beta_max } => {
                Arc::new(SubVariancePreserving::new(beta_min, beta_max)?)
            }
            Self::ScaledLinear { beta_min, beta_max } => {
                Arc::new(ScaledLinear::new(beta_min, beta_max)?)
            }
            Self::Cosine { offset, sigma_max } => Arc::new(Cosine::new(offset, sigma_max)?),
            Self::Sigmoid {
                start,
                end,
                tau,
                sigma_max,
            } => Arc::new(Sigmoid::new(start, end, tau, sigma_max)?),
            Self::Karras { sigma_max } => Arc::new(Karras::new(sigma_max)?),
            Self::FlowMatching { sigma_max } => Arc::new(FlowMatching::new(sigma_max)?),
            Self::Ddpm {
                steps,
                beta_min,
                beta_max,
            } => Arc::new(DdpmTable::linear(steps, beta_min, beta_max)?),
            Self::DdpmScaledLinear {
                steps,
                beta_min,
                beta_max,
            } => Arc::new(DdpmTable::scaled_linear(steps, beta_min, beta_max)?),
            Self::DdpmCosine {
                steps,
                offset,
                beta_cap,
            } => Arc::new(DdpmTable::cosine(steps, offset, beta_cap)?),
            Self::DdpmTable { ref betas } => Arc::new(DdpmTable::new(betas)?),
        })
    }
}
