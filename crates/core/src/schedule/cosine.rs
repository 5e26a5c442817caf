//! Cosine: `s^2 = cos^2(u(t)) / cos^2(u(0))`, `u(t) = (pi/2) (t + offset)/(1 + offset)`, `sigma^2 = 1/s^2 - 1`.
//!
//! Nichol & Dhariwal 2021, eq. (17), <https://arxiv.org/abs/2102.09672>. The noise level diverges at `t = 1`; the paper cuts
//! its discrete betas off at 0.999, here the horizon is the time at which the level reaches `sigma_max`.

use std::f64::consts::FRAC_PI_2;

use super::{Schedule, ScheduleError, require_positive};

/// The cosine schedule, variance preserving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    offset: f64,
    horizon: f64,
}

impl Cosine {
    /// The paper's offset is 0.008; `sigma_max` is the noise level at the horizon, 1000 being ample for images.
    ///
    /// # Errors
    /// Unless `offset >= 0` and `sigma_max > 0`, both finite.
    pub fn new(offset: f64, sigma_max: f64) -> Result<Self, ScheduleError> {
        if !(offset >= 0.0 && offset.is_finite()) {
            return Err(ScheduleError::OutOfRange {
                name: "offset",
                expected: "finite and at least 0",
                found: offset,
            });
        }
        require_positive("sigma_max", sigma_max)?;
        let endless = Self {
            offset,
            horizon: 1.0,
        };
        Ok(Self {
            offset,
            horizon: endless.time_at(sigma_max),
        })
    }

    fn angle(&self, t: f64) -> f64 {
        FRAC_PI_2 * (t + self.offset) / (1.0 + self.offset)
    }

    fn angular_rate(&self) -> f64 {
        FRAC_PI_2 / (1.0 + self.offset)
    }
}

impl Schedule for Cosine {
    fn scale(&self, t: f64) -> f64 {
        self.angle(t).cos() / self.angle(0.0).cos()
    }

    fn sigma(&self, t: f64) -> f64 {
        // cos^2(a) - cos^2(b) = sin(b - a) sin(b + a): exact down to t = 0.
        let (start, angle) = (self.angle(0.0), self.angle(t));
        let difference = (self.angular_rate() * t).sin() * (angle + start).sin();
        difference.max(0.0).sqrt() / angle.cos()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        // sigma^2 = cos^2(u(0))/cos^2(u) - 1, so sigma sigma' = u' cos^2(u(0)) tan(u)/cos^2(u).
        let angle = self.angle(t);
        let s = self.scale(t);
        let growth = self.angular_rate() * angle.tan();
        (-growth * s, growth / (s * s * self.sigma(t)))
    }

    fn time_at(&self, sigma: f64) -> f64 {
        // sin^2(u) = (sin^2(u(0)) + sigma^2)/(1 + sigma^2) and cos(u) = cos(u(0))/sqrt(1 + sigma^2).
        let (sin, cos) = self.angle(0.0).sin_cos();
        let angle = sin.hypot(sigma).atan2(cos);
        (angle - self.angle(0.0)) / self.angular_rate()
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn drift_rate(&self, t: f64) -> f64 {
        -self.angular_rate() * self.angle(t).tan()
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        -2.0 * self.drift_rate(t)
    }
}
