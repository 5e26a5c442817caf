//! The reverse chain of a table of steps, and its variances.
//!
//! Step `k` leads from the noise level `sigma_k` to `sigma_(k-1)`. Given `x_0`, its law is normal with the variance
//! `beta_tilde_k = beta_k (1 - alpha_bar_(k-1))/(1 - alpha_bar_k)`, of which the mean is known (Ho et al. 2020, eqs. (6)-(7),
//! <https://arxiv.org/abs/2006.11239>). A network's step has the same mean but for `D` in the place of `x_0`, and a variance from
//! `beta_tilde_k` to `beta_k`, which is right for a point and for white noise. With `alpha_bar = 1/(1 + sigma^2)`,
//!
//! - `beta_k/beta_tilde_k = (1 + 1/sigma_(k-1)^2)/(1 + 1/sigma_k^2)`,
//! - `|mean - mean'|^2/beta_tilde_k = (1/sigma_(k-1)^2 - 1/sigma_k^2) |D - x_0|^2`.
//!
//! Step 1 ends without noise, where `beta_tilde_1 = 0` and `beta_1 = sigma_1^2/(1 + sigma_1^2)`. There `beta_tilde_2` stands for it, as in
//! the programs of both papers (that of Nichol & Dhariwal has the MIT licence).

use crate::{Level, Prediction, TrainingError, levels::Times};

/// How far `s^2 (1 + sigma^2)` may be from 1.
const ROUNDING: f64 = 1e-9;

/// The levels of the chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// After so many steps, from 0 on.
    levels: Vec<Level>,
}

impl Chain {
    /// Of a network that is told steps of a variance-preserving table.
    pub(crate) fn of(prediction: &Prediction) -> Result<Self, TrainingError> {
        let times = prediction.times();
        let Times::Table { .. } = times else {
            return Err(TrainingError::NoSteps {
                found: prediction.label,
            });
        };
        let mut levels = vec![Level::NONE];
        for step in 1..=times.cells() {
            let time = times.within(step - 1, 0.0);
            let sigma = prediction.schedule.sigma(time);
            let found = (prediction.schedule.scale(time) * sigma.hypot(1.0)).powi(2);
            if (found - 1.0).abs() > ROUNDING {
                return Err(TrainingError::NotPreserving { step, found });
            }
            levels.push(Level {
                time,
                sigma,
                weight: 1.0,
            });
        }
        Ok(Self { levels })
    }

    /// How many steps there are.
    pub(crate) fn steps(&self) -> usize {
        self.levels.len() - 1
    }

    /// The level from which a step starts.
    pub(crate) fn level(&self, step: usize) -> Level {
        self.levels[step]
    }

    /// The noise level after so many steps.
    pub(crate) fn sigma(&self, step: usize) -> f64 {
        self.levels[step].sigma
    }

    /// `1/sigma_(k-1)^2 - 1/sigma_k^2`; 0 for step 1, whose law has no density.
    pub(crate) fn precision(&self, step: usize) -> f64 {
        if step == 1 {
            return 0.0;
        }
        self.sigma(step - 1).powi(-2) - self.sigma(step).powi(-2)
    }

    /// `ln(beta_k/beta_tilde_k)`.
    pub(crate) fn log_ratio(&self, step: usize) -> f64 {
        if step == 1 {
            return self.first_beta().ln() - self.first_log_variance();
        }
        let plus_one = |step: usize| self.sigma(step).powi(-2).ln_1p();
        plus_one(step - 1) - plus_one(step)
    }

    /// The logarithm of what stands for `beta_tilde_1`.
    pub(crate) fn first_log_variance(&self) -> f64 {
        if self.steps() == 1 {
            return self.first_beta().ln();
        }
        // s_1^2 sigma_1^2 (1 - sigma_1^2/sigma_2^2), and s_1^2 sigma_1^2 is beta_1.
        let kept = (self.sigma(1) / self.sigma(2)).powi(2);
        self.first_beta().ln() + (-kept).ln_1p()
    }

    fn first_beta(&self) -> f64 {
        let noise = self.sigma(1).powi(2);
        noise / (1.0 + noise)
    }
}
