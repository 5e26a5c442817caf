//! Sub-variance-preserving: `s = exp(-B/2)`, `s sigma = 1 - exp(-B)`, so `sigma = 2 sinh(B/2)`,
//! `B(t) = beta_min t + (beta_max - beta_min) t^2/2`.
//!
//! Song et al. 2021, eqs. (12) and (29), <https://arxiv.org/abs/2011.13456>. Its variance is at every time at most that
//! of the variance-preserving process with the same rate; `g^2 = beta (1 - exp(-2 B))`. Nothing is singular:
//! `sigma'(0) = beta_min`.

use super::{Schedule, ScheduleError, VariancePreserving, beta::Beta};

/// The sub-variance-preserving schedule with `beta(t) = beta_min + (beta_max - beta_min) t`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubVariancePreserving {
    beta: VariancePreserving,
}

impl SubVariancePreserving {
    /// The usual values are 0.1 and 20.
    ///
    /// # Errors
    /// As [`VariancePreserving::new`].
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        let beta = VariancePreserving::new(beta_min, beta_max)?;
        Ok(Self { beta })
    }
}

impl Schedule for SubVariancePreserving {
    fn scale(&self, t: f64) -> f64 {
        self.beta.scale(t)
    }

    fn sigma(&self, t: f64) -> f64 {
        2.0 * (0.5 * self.beta.integral(t)).sinh()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        let growth = self.beta.rate(t) * (0.5 * self.beta.integral(t)).cosh();
        (self.drift_rate(t) * self.scale(t), growth)
    }

    fn time_at(&self, sigma: f64) -> f64 {
        self.beta.time_of_integral(2.0 * (0.5 * sigma).asinh())
    }

    fn drift_rate(&self, t: f64) -> f64 {
        self.beta.drift_rate(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        -self.beta.rate(t) * (-2.0 * self.beta.integral(t)).exp_m1()
    }
}
