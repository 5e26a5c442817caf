//! Variance preserving with linear rate: `s = exp(-B/2)`, `sigma = sqrt(exp(B) - 1)`,
//! `B(t) = beta_min t + (beta_max - beta_min) t^2/2`.
//!
//! Song et al. 2021, eqs. (32)-(33), <https://arxiv.org/abs/2011.13456>. The scaled state has unit variance when the
//! data do. At `t = 0` `sigma` starts like `sqrt(beta_min t)`: `sigma'` is infinite there, `f` and `g^2` are not.

use super::{
    Schedule, ScheduleError,
    beta::{Beta, preserving},
    error::{require_bounded, require_ordered, require_positive},
};

/// The variance-preserving schedule with `beta(t) = beta_min + (beta_max - beta_min) t`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariancePreserving {
    beta_min: f64,
    slope: f64,
}

impl VariancePreserving {
    /// The usual values are 0.1 and 20.
    ///
    /// # Errors
    /// Unless `0 < beta_min < beta_max`, both finite, with a mean of at most 700.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        require_positive("beta_min", beta_min)?;
        require_positive("beta_max", beta_max)?;
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        let schedule = Self {
            beta_min,
            slope: beta_max - beta_min,
        };
        require_bounded(schedule.integral(1.0))?;
        Ok(schedule)
    }
}

impl Beta for VariancePreserving {
    fn rate(&self, t: f64) -> f64 {
        self.beta_min + self.slope * t
    }

    fn integral(&self, t: f64) -> f64 {
        t * (self.beta_min + 0.5 * self.slope * t)
    }

    fn time_of_integral(&self, integral: f64) -> f64 {
        // The positive root of the quadratic, in the form without cancellation.
        let root = self
            .beta_min
            .mul_add(self.beta_min, 2.0 * self.slope * integral);
        2.0 * integral / (self.beta_min + root.sqrt())
    }
}

preserving!(VariancePreserving);
