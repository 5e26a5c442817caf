//! Variance exploding: `s = 1`, `sigma(t) = sigma_min (sigma_max/sigma_min)^t`.
//!
//! Song et al. 2021, eq. (30), <https://arxiv.org/abs/2011.13456>.

use super::{
    Schedule, ScheduleError,
    error::{require_ordered, require_positive},
};

/// The variance-exploding schedule. Data are met at `sigma_min`, not at zero noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceExploding {
    sigma_min: f64,
    log_ratio: f64,
}

impl VarianceExploding {
    /// `sigma(0) = sigma_min`, `sigma(1) = sigma_max`.
    ///
    /// # Errors
    /// Unless `0 < sigma_min < sigma_max`, both finite.
    pub fn new(sigma_min: f64, sigma_max: f64) -> Result<Self, ScheduleError> {
        require_positive("sigma_min", sigma_min)?;
        require_positive("sigma_max", sigma_max)?;
        require_ordered(("sigma_min", sigma_min), ("sigma_max", sigma_max))?;
        Ok(Self {
            sigma_min,
            log_ratio: (sigma_max / sigma_min).ln(),
        })
    }
}

impl Schedule for VarianceExploding {
    fn scale(&self, _: f64) -> f64 {
        1.0
    }

    fn sigma(&self, t: f64) -> f64 {
        self.sigma_min * (self.log_ratio * t).exp()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        (0.0, self.sigma(t) * self.log_ratio)
    }

    fn time_at(&self, sigma: f64) -> f64 {
        (sigma / self.sigma_min).ln() / self.log_ratio
    }
}
