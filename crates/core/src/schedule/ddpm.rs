//! The discrete chain of DDPM as a schedule: `s(k/T)^2 = prod_{i<=k} (1 - beta_i)`, `sigma^2 = 1/s^2 - 1`.
//!
//! Ho et al. 2020, eqs. (2)-(7), <https://arxiv.org/abs/2006.11239>; the cosine table is Nichol & Dhariwal 2021, eq.
//! (17), <https://arxiv.org/abs/2102.09672>, the scaled-linear one Rombach et al. 2022,
//! <https://arxiv.org/abs/2112.10752>. Time `k/T` is the state after `k` of `T` steps; time 0 is the data. Between two
//! states the rate `beta(t)` is constant: this is the variance-preserving process whose law at each `k/T` is exactly
//! that of the chain. At `t = k/T` itself the rate is that of the step which ends there. At `t = 0` `sigma'` is
//! infinite, `f` and `g^2` are not.

use super::{
    Schedule, ScheduleError,
    beta::{Beta, preserving},
    cosine,
    error::{require_bounded, require_ordered, require_positive},
};

/// A variance-preserving schedule through a table of betas.
///
/// ```
/// use tweedie_core::{DdpmTable, Schedule};
///
/// let table = DdpmTable::linear(1000, 1e-4, 0.02).unwrap();
/// assert!((table.scale(0.001).powi(2) - (1.0 - 1e-4)).abs() < 1e-15);
/// assert_eq!(table.beta(1), 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DdpmTable {
    /// `beta_k` for `k = 1 ..= T`.
    betas: Vec<f64>,
    /// `B_k = -ln(s(k/T)^2)` for `k = 0 ..= T`.
    integrals: Vec<f64>,
}

impl DdpmTable {
    /// A table of betas, step 1 first.
    ///
    /// # Errors
    /// When it is empty, a beta does not lie in (0, 1), or the product of all `1 - beta` is below `exp(-700)`.
    pub fn new(betas: &[f64]) -> Result<Self, ScheduleError> {
        if betas.is_empty() {
            return Err(ScheduleError::EmptyTable);
        }
        let mut integrals = Vec::with_capacity(betas.len() + 1);
        let mut integral = 0.0;
        integrals.push(integral);
        for (index, &found) in betas.iter().enumerate() {
            if !(found > 0.0 && found < 1.0) {
                return Err(ScheduleError::Beta {
                    step: index + 1,
                    found,
                });
            }
            integral -= (-found).ln_1p();
            integrals.push(integral);
        }
        require_bounded(integral)?;
        Ok(Self {
            betas: betas.to_vec(),
            integrals,
        })
    }

    /// `steps` betas in arithmetic progression from `beta_min` to `beta_max`; those of DDPM are 1000, 1e-4 and 0.02.
    ///
    /// # Errors
    /// As [`new`](Self::new), or unless `beta_min < beta_max`.
    pub fn linear(steps: usize, beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        Self::new(&progression(steps, beta_min, beta_max))
    }

    /// `steps` betas whose square roots are in arithmetic progression; those of Stable Diffusion are 1000, 0.00085 and
    /// 0.012.
    ///
    /// # Errors
    /// As [`new`](Self::new), or unless `0 < beta_min < beta_max`.
    pub fn scaled_linear(
        steps: usize,
        beta_min: f64,
        beta_max: f64,
    ) -> Result<Self, ScheduleError> {
        require_positive("beta_min", beta_min)?;
        require_ordered(("beta_min", beta_min), ("beta_max", beta_max))?;
        let mut betas = progression(steps, beta_min.sqrt(), beta_max.sqrt());
        betas.iter_mut().for_each(|root| *root *= *root);
        Self::new(&betas)
    }

    /// `steps` betas of [`Cosine`](super::Cosine), cut off at `beta_cap`; the paper's are `offset` 0.008 and `beta_cap`
    /// 0.999.
    ///
    /// # Errors
    /// As [`new`](Self::new), or unless `offset >= 0`, finite, and `beta_cap` lies in (0, 1).
    pub fn cosine(steps: usize, offset: f64, beta_cap: f64) -> Result<Self, ScheduleError> {
        cosine::require_offset(offset)?;
        if !(beta_cap > 0.0 && beta_cap < 1.0) {
            return Err(ScheduleError::OutOfRange {
                name: "beta_cap",
                expected: "between 0 and 1, both excluded",
                found: beta_cap,
            });
        }
        let angle = |k: usize| cosine::angle(k as f64 / steps as f64, offset);
        let betas: Vec<_> = (1..=steps)
            .map(|k| {
                // 1 - cos^2(b)/cos^2(a) = sin(b - a) sin(b + a)/cos^2(a).
                let (before, after) = (angle(k - 1), angle(k));
                let sines = (after - before).sin() * (after + before).sin();
                (sines / before.cos().powi(2)).min(beta_cap)
            })
            .collect();
        Self::new(&betas)
    }

    /// Number of steps `T`.
    pub fn steps(&self) -> usize {
        self.betas.len()
    }

    /// The time `k/T` of the state after `step` steps, 0 being the data.
    ///
    /// # Panics
    /// When `step > T`.
    pub fn time_of(&self, step: usize) -> f64 {
        self.require_state(step);
        step as f64 / self.steps() as f64
    }

    /// `beta_k`, the variance of step `k`: `q(x_k | x_{k-1}) = N(sqrt(1 - beta_k) x_{k-1}, beta_k I)`.
    ///
    /// # Panics
    /// Unless `1 <= step <= T`.
    pub fn beta(&self, step: usize) -> f64 {
        self.require_step(step);
        self.betas[step - 1]
    }

    /// `alpha_bar_k = prod_{i<=k} (1 - beta_i)`: `q(x_k | x_0) = N(sqrt(alpha_bar_k) x_0, (1 - alpha_bar_k) I)`; 1 at
    /// step 0.
    ///
    /// # Panics
    /// When `step > T`.
    pub fn alpha_bar(&self, step: usize) -> f64 {
        self.require_state(step);
        (-self.integrals[step]).exp()
    }

    /// Variance of `q(x_{k-1} | x_k, x_0)`: `beta_k (1 - alpha_bar_{k-1})/(1 - alpha_bar_k)`, Ho et al. eq. (7); 0 at
    /// step 1.
    ///
    /// # Panics
    /// Unless `1 <= step <= T`.
    pub fn posterior_variance(&self, step: usize) -> f64 {
        self.require_step(step);
        let noise = |k: usize| -(-self.integrals[k]).exp_m1();
        self.betas[step - 1] * noise(step - 1) / noise(step)
    }

    fn require_state(&self, step: usize) {
        let steps = self.steps();
        assert!(
            step <= steps,
            "a table of {steps} steps has no state {step}"
        );
    }

    fn require_step(&self, step: usize) {
        let steps = self.steps();
        assert!(
            (1..=steps).contains(&step),
            "steps count from 1 to {steps}, got {step}"
        );
    }

    /// Index of the step whose interval `(k/T, (k+1)/T]` holds `t`.
    fn index(&self, t: f64) -> usize {
        let steps = self.steps() as f64;
        ((t * steps).ceil() - 1.0).clamp(0.0, steps - 1.0) as usize
    }

    fn rate_of(&self, index: usize) -> f64 {
        (self.integrals[index + 1] - self.integrals[index]) * self.steps() as f64
    }
}

/// `steps` numbers in arithmetic progression; the first alone where there is one.
fn progression(steps: usize, from: f64, to: f64) -> Vec<f64> {
    let gap = (to - from) / steps.saturating_sub(1).max(1) as f64;
    (0..steps).map(|k| from + gap * k as f64).collect()
}

impl Beta for DdpmTable {
    fn rate(&self, t: f64) -> f64 {
        self.rate_of(self.index(t))
    }

    fn integral(&self, t: f64) -> f64 {
        let index = self.index(t);
        self.integrals[index] + self.rate_of(index) * (t - index as f64 / self.steps() as f64)
    }

    fn time_of_integral(&self, integral: f64) -> f64 {
        let steps = self.steps();
        let index = self.integrals[1..steps].partition_point(|&end| end < integral);
        let width = self.integrals[index + 1] - self.integrals[index];
        (index as f64 + (integral - self.integrals[index]) / width) / steps as f64
    }
}

preserving!(DdpmTable);
