//! Time is the noise level: `s = 1`, `sigma(t) = t`.
//!
//! Karras et al. 2022, table 1 (EDM), <https://arxiv.org/abs/2206.00364>. The horizon is `sigma_max`; `g^2 = 2 t`.
//! Nothing is singular.

use super::{Schedule, ScheduleError, error::require_positive};

/// The schedule of EDM. Its grid is [`TimeGrid::karras`](crate::TimeGrid::karras).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Karras {
    sigma_max: f64,
}

impl Karras {
    /// The paper's `sigma_max` is 80 for pixels in [-1, 1].
    ///
    /// # Errors
    /// Unless `sigma_max` is finite and above 0.
    pub fn new(sigma_max: f64) -> Result<Self, ScheduleError> {
        require_positive("sigma_max", sigma_max)?;
        Ok(Self { sigma_max })
    }
}

impl Schedule for Karras {
    fn scale(&self, _: f64) -> f64 {
        1.0
    }

    fn sigma(&self, t: f64) -> f64 {
        t
    }

    fn rates(&self, _: f64) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn time_at(&self, sigma: f64) -> f64 {
        sigma
    }

    fn horizon(&self) -> f64 {
        self.sigma_max
    }
}
