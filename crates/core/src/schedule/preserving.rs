//! Variance preserving with linear rate: `s = exp(-B/2)`, `sigma = sqrt(exp(B) - 1)`, `B(t) = beta_min t + (beta_max - beta_min) t^2/2`.
//!
//! Song et al. 2021, eqs. (32)-(33), <https://arxiv.org/abs/2011.13456>. The scaled state has unit variance when the data do.

use super::{Schedule, ScheduleError, require_ordered, require_positive};

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
    /// Unless `0 < beta_min < beta_max`, both finite.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        require_positive("beta_min", beta_min)?;
        require_positive("beta_max", beta_max)?;
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        Ok(Self {
            beta_min,
            slope: beta_max - beta_min,
        })
    }

    fn beta(&self, t: f64) -> f64 {
        self.beta_min + self.slope * t
    }

    fn integral(&self, t: f64) -> f64 {
        t * (self.beta_min + 0.5 * self.slope * t)
    }
}

impl Schedule for VariancePreserving {
    fn scale(&self, t: f64) -> f64 {
        (-0.5 * self.integral(t)).exp()
    }

    fn sigma(&self, t: f64) -> f64 {
        self.integral(t).exp_m1().sqrt()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        let half_beta = 0.5 * self.beta(t);
        let sigma = self.sigma(t);
        (
            -half_beta * self.scale(t),
            half_beta * (1.0 + sigma * sigma) / sigma,
        )
    }

    fn time_at(&self, sigma: f64) -> f64 {
        // The positive root of the quadratic B(t) = ln(1 + sigma^2), in the form without cancellation.
        let integral = (sigma * sigma).ln_1p();
        let root = self
            .beta_min
            .mul_add(self.beta_min, 2.0 * self.slope * integral);
        2.0 * integral / (self.beta_min + root.sqrt())
    }

    fn drift_rate(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.beta(t)
    }
}
