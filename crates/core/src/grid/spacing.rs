//! Where the times of a grid lie: equal steps of time, of its root, of the noise level, of the log-SNR, of a discrete
//! table.

use super::{GridError, TimeGrid};
use crate::Schedule;

/// How the steps of a sampler are spread over a table of `T` training steps.
///
/// Lin et al. 2023, table 2, <https://arxiv.org/abs/2305.08891>. For `T = 1000` in 10 steps, least noise first:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// 1, 101, ..., 901: multiples of `floor(T/steps)`, plus 1. The noisiest states of the table are left out.
    Leading,
    /// 100, 200, ..., 1000: multiples of `T/steps`, rounded. The least noisy states are left out.
    Trailing,
    /// 1, 112, 223, ..., 1000: both ends and equal steps between, rounded. A single step is that of the first state.
    Linspace,
}

impl Spacing {
    /// State number `index` of `steps`, least noise first.
    fn state(self, index: usize, steps: usize, table_steps: usize) -> f64 {
        // Halves are rounded to even, as in the array libraries with which the published numbers are made.
        let (index, count, table) = (index as f64, steps as f64, table_steps as f64);
        match self {
            Self::Leading => 1.0 + index * (table_steps / steps) as f64,
            Self::Trailing => (table * (index + 1.0) / count).round_ties_even(),
            Self::Linspace => {
                let gaps = (count - 1.0).max(1.0);
                (1.0 + index * (table - 1.0) / gaps).round_ties_even()
            }
        }
    }
}

impl TimeGrid {
    /// `steps` equal steps of time between two ends.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn uniform(from: f64, to: f64, steps: usize) -> Result<Self, GridError> {
        Self::between(from, to, steps, |fraction| {
            (1.0 - fraction) * from + fraction * to
        })
    }

    /// `steps` steps between two ends, equal in `sqrt(t)`: small steps where there is little noise.
    ///
    /// Song, Meng & Ermon 2021, appendix D.2, <https://arxiv.org/abs/2010.02502>, without rounding to the states of a
    /// table.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn quadratic(from: f64, to: f64, steps: usize) -> Result<Self, GridError> {
        let (high, low) = (from.sqrt(), to.sqrt());
        Self::between(from, to, steps, |fraction| {
            ((1.0 - fraction) * high + fraction * low).powi(2)
        })
    }

    /// `steps` steps between two noise levels, equal in `sigma^(1/rho)`: small steps where there is little noise.
    ///
    /// Karras et al. 2022, eq. (5), <https://arxiv.org/abs/2206.00364>, with `rho = 7`; the paper's closing step to
    /// zero noise is added by [`then_zero`](Self::then_zero).
    ///
    /// # Errors
    /// Without steps, when the schedule does not have both noise levels, unless `sigma_min < sigma_max`, or unless
    /// `rho > 0`.
    pub fn karras(
        schedule: &dyn Schedule,
        sigma_max: f64,
        sigma_min: f64,
        rho: f64,
        steps: usize,
    ) -> Result<Self, GridError> {
        if !(rho > 0.0 && rho.is_finite()) {
            return Err(GridError::Rho { found: rho });
        }
        let (high, low) = (sigma_max.powf(rho.recip()), sigma_min.powf(rho.recip()));
        Self::levels(schedule, sigma_max, sigma_min, steps, |fraction| {
            ((1.0 - fraction) * high + fraction * low).powf(rho)
        })
    }

    /// `steps` steps between two noise levels, equal in `lambda = -ln(sigma)`, half the log-SNR.
    ///
    /// Lu et al. 2022 (DPM-Solver), <https://arxiv.org/abs/2206.00927>. The closing step to zero noise is added by
    /// [`then_zero`](Self::then_zero).
    ///
    /// # Errors
    /// Without steps, when the schedule does not have both noise levels, or unless `0 < sigma_min < sigma_max`.
    pub fn log_snr(
        schedule: &dyn Schedule,
        sigma_max: f64,
        sigma_min: f64,
        steps: usize,
    ) -> Result<Self, GridError> {
        if sigma_min == 0.0 {
            return Err(GridError::ZeroLevel { found: sigma_min });
        }
        let (high, low) = (sigma_max.ln(), sigma_min.ln());
        Self::levels(schedule, sigma_max, sigma_min, steps, |fraction| {
            ((1.0 - fraction) * high + fraction * low).exp()
        })
    }

    /// `steps` of the states `k/T` of a table of `T = table_steps` steps, then 0: in all `steps` steps.
    ///
    /// ```
    /// use tweedie_core::{Spacing, TimeGrid};
    ///
    /// let grid = TimeGrid::table(1000, 4, Spacing::Trailing)?;
    /// assert_eq!(grid.times(), [1.0, 0.75, 0.5, 0.25, 0.0]);
    /// # Ok::<(), tweedie_core::GridError>(())
    /// ```
    ///
    /// # Errors
    /// Unless `1 <= steps <= table_steps`.
    pub fn table(table_steps: usize, steps: usize, spacing: Spacing) -> Result<Self, GridError> {
        if steps > table_steps {
            return Err(GridError::TableTooShort { steps, table_steps });
        }
        let states = (0..steps).rev();
        let times = states
            .map(|index| spacing.state(index, steps, table_steps) / table_steps as f64)
            .chain([0.0]);
        Self::new(times.collect())
    }

    /// `level` gives the noise levels between the two ends.
    fn levels(
        schedule: &dyn Schedule,
        sigma_max: f64,
        sigma_min: f64,
        steps: usize,
        level: impl Fn(f64) -> f64,
    ) -> Result<Self, GridError> {
        let from = time_of(schedule, "sigma_max", sigma_max)?;
        let to = time_of(schedule, "sigma_min", sigma_min)?;
        if sigma_min >= sigma_max {
            return Err(GridError::Reversed {
                sigma_min,
                sigma_max,
            });
        }
        Self::between(from, to, steps, |fraction| {
            schedule.time_at(level(fraction))
        })
    }

    /// `time` gives the times between the two ends.
    fn between(
        from: f64,
        to: f64,
        steps: usize,
        time: impl Fn(f64) -> f64,
    ) -> Result<Self, GridError> {
        if steps == 0 {
            return Err(GridError::TooShort { times: 1 });
        }
        let ends = Self::new(vec![from, to])?;
        let inner = (1..steps).map(|k| time(k as f64 / steps as f64));
        let times = [ends.start()].into_iter().chain(inner).chain([ends.end()]);
        Self::new(times.collect())
    }
}

/// The time of a noise level that the schedule has. Its ends count as reached within the accuracy of `time_at`.
fn time_of(schedule: &dyn Schedule, name: &'static str, found: f64) -> Result<f64, GridError> {
    let horizon = schedule.horizon();
    let slack = 1e-12 * horizon;
    let time = schedule.time_at(found);
    if found >= 0.0 && time >= -slack && time <= horizon + slack {
        return Ok(time.clamp(0.0, horizon));
    }
    Err(GridError::Level {
        name,
        lowest: schedule.sigma(0.0),
        highest: schedule.sigma(horizon),
        found,
    })
}
