//! From a uniform number to a noise level.

use serde::{Deserialize, Serialize};

use super::quantile;
use crate::{TrainingError, config::require};

/// Which noise levels are drawn how often; `serde` refuses unknown fields.
///
/// Noise levels are in the network's own pixel units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LevelDistribution {
    /// Each step of the network's table, or each time of its schedule from `1e-5` of the horizon on, is equally likely (Ho et al.
    /// 2020, algorithm 1, <https://arxiv.org/abs/2006.11239>).
    #[default]
    Uniform,
    /// The objective of [`Uniform`](Self::Uniform), estimated with less variance: times are drawn in proportion to the root mean
    /// square of their last ten losses and weighted against it (Nichol & Dhariwal 2021, eq. (18),
    /// <https://arxiv.org/abs/2102.09672>). It pays where losses differ much, as with [`Elbo`](crate::Weighting::Elbo).
    Importance,
    /// The share of the way from the first time to the last is `1/(1 + exp(-g))`, `g ~ N(mean, std^2)`: more in the middle than at
    /// the ends (Esser et al. 2024, section 3.1, <https://arxiv.org/abs/2403.03206>).
    LogitNormal {
        /// Mean of `g`; 0 in the paper.
        mean: f64,
        /// Standard deviation of `g`; 1 in the paper.
        std: f64,
    },
    /// `ln sigma ~ N(mean, std^2)` (Karras et al. 2022, table 1, <https://arxiv.org/abs/2206.00364>).
    LogNormal {
        /// The paper's `P_mean`; -1.2 for pixels in [-1, 1].
        mean: f64,
        /// The paper's `P_std`, 1.2.
        std: f64,
    },
    /// `sigma` uniform: a denoiser for a range of noise levels (Zhang et al. 2021, section 3.2, <https://arxiv.org/abs/2008.13751>).
    Sigma {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// `ln sigma` uniform: the geometric sequence of Song & Ermon 2019, section 4.1, <https://arxiv.org/abs/1907.05600>, with every
    /// level between.
    LogSigma {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// One level: denoising score matching as Vincent 2011 has it, <https://doi.org/10.1162/NECO_a_00142>.
    One {
        /// The level.
        sigma: f64,
    },
}

/// What a distribution draws.
pub(super) enum Drawn {
    /// A time, by the number in [0, 1) that stands for it.
    Time(f64),
    /// A noise level.
    Sigma(f64),
    /// A time, by the number in [0, 1) that stands for it among those of importance sampling.
    Importance(f64),
}

impl LevelDistribution {
    /// Refuses parameters out of range.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the parameter.
    pub fn validate(&self) -> Result<(), TrainingError> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        match *self {
            Self::Uniform | Self::Importance => Ok(()),
            Self::LogitNormal { mean, std } | Self::LogNormal { mean, std } => {
                require("levels.mean", mean, "finite", f64::is_finite)?;
                require("levels.std", std, "finite and above 0", positive)
            }
            Self::Sigma { low, high } => {
                require("levels.low", low, "finite and at least 0", |v| {
                    v >= 0.0 && v.is_finite()
                })?;
                require("levels.high", high, "finite and above levels.low", |v| {
                    v > low && v.is_finite()
                })
            }
            Self::LogSigma { low, high } => {
                require("levels.low", low, "finite and above 0", positive)?;
                require("levels.high", high, "finite and above levels.low", |v| {
                    v > low && v.is_finite()
                })
            }
            Self::One { sigma } => require("levels.sigma", sigma, "finite and above 0", positive),
        }
    }

    /// What a number in [0, 1) stands for; where it is uniform, the result has this distribution.
    pub(super) fn at(self, u: f64) -> Drawn {
        match self {
            Self::Uniform => Drawn::Time(u),
            Self::Importance => Drawn::Importance(u),
            Self::LogitNormal { mean, std } => {
                let logit = mean + std * quantile::normal(u);
                Drawn::Time((1.0 + (-logit).exp()).recip())
            }
            Self::LogNormal { mean, std } => Drawn::Sigma((mean + std * quantile::normal(u)).exp()),
            // From the greatest downwards: 0 itself is never drawn.
            Self::Sigma { low, high } => Drawn::Sigma(high - (high - low) * u),
            Self::LogSigma { low, high } => Drawn::Sigma(high * (low / high).powf(u)),
            Self::One { sigma } => Drawn::Sigma(sigma),
        }
    }
}
