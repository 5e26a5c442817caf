//! Cosine: `s^2 = cos^2(u(t)) / cos^2(u(0))`, `u(t) = (pi/2) (t + offset)/(1 + offset)`, `sigma^2 = 1/s^2 - 1`.
//!
//! Nichol & Dhariwal 2021, eq. (17), <https://arxiv.org/abs/2102.09672>. The noise level diverges at `t = 1`; the paper
//! cuts its discrete betas off at 0.999 ([`DdpmTable::cosine`](super::DdpmTable::cosine)), here the horizon is the time
//! at which the level reaches `sigma_max`. Nothing is clamped: at `t = 1` `s` is 0, `sigma`, `f` and `g^2` infinite and
//! the rates NaN.

use std::f64::consts::FRAC_PI_2;

use super::{
    Schedule, ScheduleError,
    beta::{Beta, preserving},
    error::{require_before_one, require_positive},
};

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
    /// Unless `offset >= 0` and `sigma_max > 0`, both finite, and `sigma_max` is reached before `t = 1` in double
    /// precision.
    pub fn new(offset: f64, sigma_max: f64) -> Result<Self, ScheduleError> {
        require_offset(offset)?;
        require_positive("sigma_max", sigma_max)?;
        let endless = Self {
            offset,
            horizon: 1.0,
        };
        Ok(Self {
            offset,
            horizon: require_before_one(sigma_max, endless.time_at(sigma_max))?,
        })
    }

    fn angle(&self, t: f64) -> f64 {
        angle(t, self.offset)
    }

    fn angular_rate(&self) -> f64 {
        FRAC_PI_2 / (1.0 + self.offset)
    }

    /// `cos(u(t)) = sin(pi/2 - u(t))`: exact up to `t = 1`.
    fn cos(&self, t: f64) -> f64 {
        (self.angular_rate() * (1.0 - t)).sin()
    }
}

/// `u(t)`.
pub(super) fn angle(t: f64, offset: f64) -> f64 {
    FRAC_PI_2 * (t + offset) / (1.0 + offset)
}

pub(super) fn require_offset(offset: f64) -> Result<(), ScheduleError> {
    if offset >= 0.0 && offset.is_finite() {
        return Ok(());
    }
    Err(ScheduleError::OutOfRange {
        name: "offset",
        expected: "finite and at least 0",
        found: offset,
    })
}

impl Beta for Cosine {
    fn rate(&self, t: f64) -> f64 {
        2.0 * self.angular_rate() * self.angle(t).sin() / self.cos(t)
    }

    fn integral(&self, t: f64) -> f64 {
        // cos^2(a) - cos^2(b) = sin(b - a) sin(b + a): exact down to t = 0.
        let sum = self.angle(0.0) + self.angle(t);
        let difference = (self.angular_rate() * t).sin() * sum.sin();
        (difference / self.cos(t).powi(2)).ln_1p()
    }

    fn time_of_integral(&self, integral: f64) -> f64 {
        // With sigma^2 = exp(B) - 1: tan(u)^2 = (sin^2(u(0)) + sigma^2) / cos^2(u(0)).
        let (sin, cos) = self.angle(0.0).sin_cos();
        let angle = sin.hypot(integral.exp_m1().sqrt()).atan2(cos);
        (angle - self.angle(0.0)) / self.angular_rate()
    }

    fn first_slope(&self) -> f64 {
        if self.offset > 0.0 {
            return f64::INFINITY;
        }
        // Without offset sigma = tan(u).
        self.angular_rate()
    }

    fn last_time(&self) -> f64 {
        self.horizon
    }
}

preserving!(Cosine);
