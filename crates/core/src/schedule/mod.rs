//! Noise schedules: the two numbers `s(t)` and `sigma(t)` of the perturbation kernel `x_t = s(t) (x_0 + sigma(t) n)`.
//!
//! The notation is that of Karras et al. 2022, appendix B, <https://arxiv.org/abs/2206.00364>: `sigma` is the noise level
//! of the image itself, before scaling. The forward process is `dx = f(t) x dt + g(t) dw` with `f = s'/s` and
//! `g^2 = 2 s^2 sigma sigma'`. Time runs from 0 (data) to the schedule's horizon (noise).
//!
//! Schedules hold no tensors: all arithmetic is `f64` on the host.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod cosine;
mod ddpm;
mod exploding;
mod preserving;
mod scaled;

pub use cosine::Cosine;
pub use ddpm::DdpmTable;
pub use exploding::VarianceExploding;
pub use preserving::VariancePreserving;
pub use scaled::Scaled;

/// Perturbation kernel `x_t = s(t) (x_0 + sigma(t) n)`, `n ~ N(0, I)`.
///
/// `sigma` is continuous and strictly increasing on `[0, horizon]`, `s` is positive there and `s(0) = 1`.
///
/// ```
/// use tweedie_core::{Schedule, VarianceExploding};
///
/// let schedule = VarianceExploding::new(0.01, 50.0).unwrap();
/// assert!((schedule.time_at(schedule.sigma(0.4)) - 0.4).abs() < 1e-12);
/// ```
pub trait Schedule: Send + Sync {
    /// `s(t)`.
    fn scale(&self, t: f64) -> f64;

    /// `sigma(t)`, the noise level relative to the unscaled image.
    fn sigma(&self, t: f64) -> f64;

    /// `(s'(t), sigma'(t))`. Either may be infinite at `t = 0`, where `sigma` of a variance-preserving process starts
    /// like a square root; [`drift_rate`](Self::drift_rate) and [`diffusion_sq`](Self::diffusion_sq) are finite there.
    fn rates(&self, t: f64) -> (f64, f64);

    /// The time at which the noise level is `sigma`: the inverse of [`sigma`](Self::sigma).
    fn time_at(&self, sigma: f64) -> f64;

    /// The time of the noisiest state.
    fn horizon(&self) -> f64 {
        1.0
    }

    /// `f(t) = s'/s`.
    fn drift_rate(&self, t: f64) -> f64 {
        self.rates(t).0 / self.scale(t)
    }

    /// `g(t)^2 = 2 s^2 sigma sigma'`.
    fn diffusion_sq(&self, t: f64) -> f64 {
        let s = self.scale(t);
        2.0 * s * s * self.sigma(t) * self.rates(t).1
    }
}

macro_rules! forward_schedule {
    ($($pointer:ty),*) => {$(
        impl<T: Schedule + ?Sized> Schedule for $pointer {
            fn scale(&self, t: f64) -> f64 {
                (**self).scale(t)
            }
            fn sigma(&self, t: f64) -> f64 {
                (**self).sigma(t)
            }
            fn rates(&self, t: f64) -> (f64, f64) {
                (**self).rates(t)
            }
            fn time_at(&self, sigma: f64) -> f64 {
                (**self).time_at(sigma)
            }
            fn horizon(&self) -> f64 {
                (**self).horizon()
            }
            fn drift_rate(&self, t: f64) -> f64 {
                (**self).drift_rate(t)
            }
            fn diffusion_sq(&self, t: f64) -> f64 {
                (**self).diffusion_sq(t)
            }
        }
    )*};
}
forward_schedule!(&T, Arc<T>);

/// Why a schedule cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A parameter is out of its range.
    #[error("schedule parameter {name} must be {expected}, found {found}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// A lower end is not below its upper end.
    #[error("schedule needs {low_name} < {high_name}, found {low} and {high}")]
    Reversed {
        /// Name of the lower end.
        low_name: &'static str,
        /// Name of the upper end.
        high_name: &'static str,
        /// Its value.
        low: f64,
        /// Value of the upper end.
        high: f64,
    },
    /// A table of betas is empty.
    #[error("a discrete schedule needs at least one beta, found none")]
    EmptyTable,
    /// An entry of a table of betas is not in (0, 1).
    #[error("beta of step {step} must lie in (0, 1), found {found}")]
    Beta {
        /// Its index, from 0.
        step: usize,
        /// Its value.
        found: f64,
    },
}

fn require_positive(name: &'static str, found: f64) -> Result<(), ScheduleError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(ScheduleError::OutOfRange {
        name,
        expected: "finite and above 0",
        found,
    })
}

fn require_ordered(
    (low_name, low): (&'static str, f64),
    (high_name, high): (&'static str, f64),
) -> Result<(), ScheduleError> {
    if low < high {
        return Ok(());
    }
    Err(ScheduleError::Reversed {
        low_name,
        high_name,
        low,
        high,
    })
}

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
    /// [`Cosine`].
    Cosine {
        /// The paper's `s`.
        offset: f64,
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
            Self::Cosine { offset, sigma_max } => Arc::new(Cosine::new(offset, sigma_max)?),
            Self::Ddpm {
                steps,
                beta_min,
                beta_max,
            } => Arc::new(DdpmTable::linear(steps, beta_min, beta_max)?),
        })
    }
}
