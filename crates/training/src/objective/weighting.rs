//! How much each noise level counts.
//!
//! One squared error has three readings. With `x = x_0 + sigma n`, `D = c_skip x + c_out F` and `n_hat = (x - D)/sigma`,
//! `|F - F*|^2 = |D - x_0|^2 / c_out^2 = (sigma/c_out)^2 |n_hat - n|^2`, and the signal-to-noise ratio is `SNR = 1/sigma^2`.
//! A weighting is the number that multiplies any one of them:
//!
//! | weighting | of `\|F - F*\|^2` | of `\|n_hat - n\|^2` | of `\|D - x_0\|^2` |
//! |---|---|---|---|
//! | [`Output`](Weighting::Output) | `1` | `(sigma/c_out)^2` | `1/c_out^2` |
//! | [`Simple`](Weighting::Simple) | `(c_out/sigma)^2` | `1` | `SNR` |
//! | [`MinSnr`](Weighting::MinSnr) | `c_out^2 min(SNR, gamma)` | `min(1, gamma/SNR)` | `min(SNR, gamma)` |
//! | [`P2`](Weighting::P2) | `(c_out/sigma)^2 (k + SNR)^-gamma` | `(k + SNR)^-gamma` | `SNR (k + SNR)^-gamma` |
//! | [`Elbo`](Weighting::Elbo) | `c_out^2 w` | `sigma^2 w` | `w`, below |
//!
//! `w = T/2 (SNR(s) - SNR(t))` for step `t` of a table of `T`, `s` the step before: the terms of the variational bound whose
//! reverse step has the variance of `q(x_s | x_t, x_0)`, the `beta-tilde` of Ho et al. 2020, eq. (7)
//! (<https://arxiv.org/abs/2006.11239>, there eq. (12); Kingma et al. 2021, eq. (13), <https://arxiv.org/abs/2107.00630>). For step 1,
//! whose term is the reconstruction, `w = T/2 SNR(t)`: `p(x_0 | x_1)` is normal with variance `sigma^2`, its discretisation left
//! out. In continuous time `w = -L/2 dSNR/dt = L sigma'/sigma^3`, the limit of many steps, `L` the length of the interval of times.
//!
//! Two weightings of the literature have no name of their own here. `lambda = sigma^2` of the error of the score `-n/sigma` (Song &
//! Ermon 2019, section 4.2, <https://arxiv.org/abs/1907.05600>) is [`Simple`](Weighting::Simple). `lambda = 1/c_out^2` of
//! `|D - x_0|^2` (Karras et al. 2022, table 1, <https://arxiv.org/abs/2206.00364>) is [`Output`](Weighting::Output).

use serde::{Deserialize, Serialize};
use tweedie_core::Coefficients;

use super::Prediction;
use crate::{Level, TrainingError, config::require, levels::Times};

/// The weight of a noise level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Weighting {
    /// 1 for the squared error of the network's own output: the usual loss of each parametrisation.
    #[default]
    Output,
    /// 1 for the squared error of the noise (Ho et al. 2020, eq. (14), <https://arxiv.org/abs/2006.11239>).
    Simple,
    /// As [`Simple`](Self::Simple), but at most `gamma` for the squared error of `x_0` (Hang et al. 2023,
    /// <https://arxiv.org/abs/2303.09556>).
    MinSnr {
        /// The bound; 5 in the paper.
        gamma: f64,
    },
    /// `(k + SNR)^-gamma` for the squared error of the noise (Choi et al. 2022, <https://arxiv.org/abs/2204.00227>).
    P2 {
        /// What keeps the weight of little noise finite; 1 in the paper.
        k: f64,
        /// How much less little noise counts; 0.5 or 1 in the paper, 0 is [`Simple`](Self::Simple).
        gamma: f64,
    },
    /// The variational bound: where each time is equally likely, the L2 loss is the bound in nats per dimension, but for its
    /// constants.
    Elbo,
}

impl Weighting {
    /// Refuses parameters out of range.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the parameter.
    pub fn validate(&self) -> Result<(), TrainingError> {
        let positive = |v: f64| v > 0.0 && v.is_finite();
        match *self {
            Self::Output | Self::Simple | Self::Elbo => Ok(()),
            Self::MinSnr { gamma } => {
                require("weighting.gamma", gamma, "finite and above 0", positive)
            }
            Self::P2 { k, gamma } => {
                require("weighting.k", k, "finite and above 0", positive)?;
                require("weighting.gamma", gamma, "finite and at least 0", |v| {
                    v >= 0.0 && v.is_finite()
                })
            }
        }
    }

    /// What multiplies the squared error of the network's own output at a level with these coefficients.
    pub fn at(self, prediction: &Prediction, level: &Level, c: &Coefficients) -> f64 {
        let snr = level.sigma.powi(-2);
        let of_noise = match self {
            Self::Output => return 1.0,
            Self::Simple => 1.0,
            Self::MinSnr { gamma } => (gamma / snr).min(1.0),
            Self::P2 { k, gamma } => (k + snr).powf(-gamma),
            Self::Elbo => elbo(prediction, level),
        };
        of_noise * (c.out / level.sigma).powi(2)
    }
}

/// `sigma^2 w`.
fn elbo(prediction: &Prediction, level: &Level) -> f64 {
    let times = prediction.times();
    match times {
        Times::Table { steps, .. } => {
            let gain = match times.before(level.time) {
                Some(before) => (level.sigma / prediction.schedule.sigma(before)).powi(2) - 1.0,
                // The reconstruction.
                None => 1.0,
            };
            0.5 * steps as f64 * gain
        }
        Times::Interval { first, last } => {
            (last - first) * prediction.schedule.rates(level.time).1 / level.sigma
        }
    }
}
