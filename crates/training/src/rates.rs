//! How the learning rate changes with the step. It is a function of the step alone, so a resumed run needs to know no more.
//!
//! With `eta` the learning rate, `W` steps of warm-up, `T` steps in all and `p = (k - W)/(T - W)`:
//! `eta k/W` for `k <= W`, then `eta` (constant), or `f + (eta - f)(1 + cos(pi p))/2` (cosine to the floor `f`: Loshchilov & Hutter
//! 2017, eq. (5) without restarts, <https://arxiv.org/abs/1608.03983>).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::TrainingConfig;

/// What the learning rate does after the warm-up; `serde` refuses unknown fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LearningRateDecay {
    /// Nothing.
    Constant {},
    /// Falls as half a cosine, to be at `floor` in the last step. A run that is made longer falls more slowly from where it goes on.
    Cosine {
        /// The last learning rate, in [0, `learning_rate`].
        #[serde(default)]
        floor: f64,
    },
}

impl Default for LearningRateDecay {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl TrainingConfig {
    /// Learning rate of a step, counted from 1.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step as f64 / self.warmup_steps as f64);
        }
        match self.learning_rate_decay {
            LearningRateDecay::Constant {} => self.learning_rate,
            LearningRateDecay::Cosine { floor } => {
                let after = |step: u64| step.saturating_sub(self.warmup_steps) as f64;
                let done = (after(step) / after(self.steps).max(1.0)).min(1.0);
                floor + (self.learning_rate - floor) * 0.5 * (1.0 + (PI * done).cos())
            }
        }
    }
}
