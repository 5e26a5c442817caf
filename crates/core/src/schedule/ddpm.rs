//! The discrete chain of DDPM as a schedule: `s(k/T)^2 = prod_{i<=k} (1 - beta_i)`, `sigma^2 = 1/s^2 - 1`.
//!
//! Ho et al. 2020, eqs. (2)-(4), <https://arxiv.org/abs/2006.11239>. Time `k/T` is the state after `k` of `T` steps; time 0 is
//! the data. Between two states the rate `beta(t)` is constant: this is the variance-preserving process whose law at each
//! `k/T` is exactly that of the chain. At `t = k/T` itself the rate is that of the step which ends there.

use super::{Schedule, ScheduleError, require_ordered};

/// A variance-preserving schedule through a table of betas.
///
/// ```
/// use tweedie_core::{DdpmTable, Schedule};
///
/// let table = DdpmTable::linear(1000, 1e-4, 0.02).unwrap();
/// assert!((table.scale(0.001).powi(2) - (1.0 - 1e-4)).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DdpmTable {
    /// `B_k = -ln(s(k/T)^2)` for `k = 0 ..= T`.
    integrals: Vec<f64>,
}

impl DdpmTable {
    /// A table of betas, step 1 first.
    ///
    /// # Errors
    /// When it is empty, or a beta does not lie in (0, 1).
    pub fn new(betas: &[f64]) -> Result<Self, ScheduleError> {
        if betas.is_empty() {
            return Err(ScheduleError::EmptyTable);
        }
        let mut integrals = Vec::with_capacity(betas.len() + 1);
        let mut integral = 0.0;
        integrals.push(integral);
        for (step, &beta) in betas.iter().enumerate() {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(ScheduleError::Beta { step, found: beta });
            }
            integral -= (-beta).ln_1p();
            integrals.push(integral);
        }
        Ok(Self { integrals })
    }

    /// `steps` betas in arithmetic progression from `beta_min` to `beta_max`; the paper's are 1000, 1e-4 and 0.02.
    ///
    /// # Errors
    /// As [`new`](Self::new), or unless `beta_min < beta_max`.
    pub fn linear(steps: usize, beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        let gap = (beta_max - beta_min) / steps.saturating_sub(1).max(1) as f64;
        let betas: Vec<_> = (0..steps).map(|k| beta_min + gap * k as f64).collect();
        Self::new(&betas)
    }

    /// Number of steps `T`.
    pub fn steps(&self) -> usize {
        self.integrals.len() - 1
    }

    /// Index of the step whose interval `(k/T, (k+1)/T]` holds `t`, and the rate `beta(t)` on it.
    fn interval(&self, t: f64) -> (usize, f64) {
        let steps = self.steps();
        let index = ((t * steps as f64).ceil() - 1.0).clamp(0.0, (steps - 1) as f64) as usize;
        let rate = (self.integrals[index + 1] - self.integrals[index]) * steps as f64;
        (index, rate)
    }

    fn integral(&self, t: f64) -> f64 {
        let (index, rate) = self.interval(t);
        self.integrals[index] + rate * (t - index as f64 / self.steps() as f64)
    }
}

impl Schedule for DdpmTable {
    fn scale(&self, t: f64) -> f64 {
        (-0.5 * self.integral(t)).exp()
    }

    fn sigma(&self, t: f64) -> f64 {
        self.integral(t).exp_m1().sqrt()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        let half_rate = 0.5 * self.interval(t).1;
        let sigma = self.sigma(t);
        (
            -half_rate * self.scale(t),
            half_rate * (1.0 + sigma * sigma) / sigma,
        )
    }

    fn time_at(&self, sigma: f64) -> f64 {
        let integral = (sigma * sigma).ln_1p();
        let steps = self.steps();
        let index = self.integrals[1..steps].partition_point(|&end| end < integral);
        let width = self.integrals[index + 1] - self.integrals[index];
        (index as f64 + (integral - self.integrals[index]) / width) / steps as f64
    }

    fn drift_rate(&self, t: f64) -> f64 {
        -0.5 * self.interval(t).1
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.interval(t).1
    }
}
