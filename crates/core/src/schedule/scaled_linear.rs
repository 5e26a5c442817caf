//! Variance preserving with scaled-linear rate: `beta(t) = (a + c t)^2`, `a = sqrt(beta_min)`,
//! `c = sqrt(beta_max) - a`, `B = ((a + c t)^3 - a^3)/(3 c)`.
//!
//! The limit of many steps of the table of latent diffusion, Rombach et al. 2022, <https://arxiv.org/abs/2112.10752>
//! ([`DdpmTable::scaled_linear`](super::DdpmTable::scaled_linear)), in the frame of Song et al. 2021,
//! <https://arxiv.org/abs/2011.13456>. At `t = 0` `sigma'` is infinite, `f` and `g^2` are not.

use super::{
    Schedule, ScheduleError,
    beta::{Beta, preserving},
    error::{require_bounded, require_ordered, require_positive},
};

/// The variance-preserving schedule whose `sqrt(beta)` is linear in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledLinear {
    root_min: f64,
    slope: f64,
}

impl ScaledLinear {
    /// The rates at time 0 and 1; T times the first and last beta of a table of T steps.
    ///
    /// # Errors
    /// Unless `0 < beta_min < beta_max`, both finite, with `B(1)` at most 700.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        require_positive("beta_min", beta_min)?;
        require_positive("beta_max", beta_max)?;
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        let schedule = Self {
            root_min: beta_min.sqrt(),
            slope: beta_max.sqrt() - beta_min.sqrt(),
        };
        require_bounded(schedule.integral(1.0))?;
        Ok(schedule)
    }
}

impl Beta for ScaledLinear {
    fn rate(&self, t: f64) -> f64 {
        (self.root_min + self.slope * t).powi(2)
    }

    fn integral(&self, t: f64) -> f64 {
        let growth = self.slope * t;
        t * (self.root_min * (self.root_min + growth) + growth * growth / 3.0)
    }

    fn time_of_integral(&self, integral: f64) -> f64 {
        // With r = a + c t: 3 c B = r^3 - a^3 = c t (r^2 + r a + a^2), free of cancellation.
        let start = self.root_min;
        let root = (start.powi(3) + 3.0 * self.slope * integral).cbrt();
        3.0 * integral / (root * (root + start) + start * start)
    }
}

preserving!(ScaledLinear);
