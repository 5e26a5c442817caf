//! Rectified flow, flow matching: `x_t = (1 - t) x_0 + t n`, so `s = 1 - t`, `sigma = t/(1 - t)`.
//!
//! Lipman et al. 2023, eq. (20), <https://arxiv.org/abs/2210.02747>; Liu et al. 2023, eq. (1),
//! <https://arxiv.org/abs/2209.03003>, both with time reversed. At `t = 1` the state is noise alone: `s` is 0, `sigma`,
//! `f = -1/(1 - t)` and `g^2 = 2 t/(1 - t)` are infinite. Nothing is clamped; the horizon lies before.

use super::{
    Schedule, ScheduleError,
    error::{require_before_one, require_positive},
};

/// The schedule of straight lines from data to noise.
///
/// ```
/// use tweedie_core::{FlowMatching, Schedule};
///
/// let schedule = FlowMatching::new(99.0)?;
/// assert_eq!(schedule.horizon(), 0.99);
/// assert_eq!((schedule.scale(1.0), schedule.sigma(1.0)), (0.0, f64::INFINITY));
/// # Ok::<(), tweedie_core::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowMatching {
    horizon: f64,
}

impl FlowMatching {
    /// Up to the noise level `sigma_max`: the horizon is `sigma_max/(1 + sigma_max)`.
    ///
    /// # Errors
    /// Unless `sigma_max` is finite, above 0, and reached before `t = 1` in double precision (about `1e16`).
    pub fn new(sigma_max: f64) -> Result<Self, ScheduleError> {
        require_positive("sigma_max", sigma_max)?;
        let horizon = require_before_one(sigma_max, sigma_max / (1.0 + sigma_max))?;
        Ok(Self { horizon })
    }

    /// Up to a time: the greatest noise level is `horizon/(1 - horizon)`.
    ///
    /// # Errors
    /// Unless `0 < horizon < 1`.
    pub fn until(horizon: f64) -> Result<Self, ScheduleError> {
        if horizon > 0.0 && horizon < 1.0 {
            return Ok(Self { horizon });
        }
        Err(ScheduleError::OutOfRange {
            name: "horizon",
            expected: "between 0 and 1, both excluded",
            found: horizon,
        })
    }
}

impl Schedule for FlowMatching {
    fn scale(&self, t: f64) -> f64 {
        1.0 - t
    }

    fn sigma(&self, t: f64) -> f64 {
        t / (1.0 - t)
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        (-1.0, (1.0 - t).powi(-2))
    }

    fn time_at(&self, sigma: f64) -> f64 {
        // Instead of sigma/(1 + sigma): right at an infinite level too.
        (1.0 + sigma.recip()).recip()
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        2.0 * self.sigma(t)
    }
}
