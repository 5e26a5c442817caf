//! Sigmoid: `s^2 = (v(1) - v(t))/(v(1) - v(0))`, `v(t) = 1/(1 + exp(-(start + t (end - start))/tau))`,
//! `sigma^2 = 1/s^2 - 1`.
//!
//! Jabri, Fleet & Chen 2022, <https://arxiv.org/abs/2212.11972>. In code the differences of sigmoids are quotients of
//! hyperbolic functions: with `w = (end - start)/tau`,
//! `sigma^2 = K sinh(w t/2) / sinh(w (1 - t)/2)`, `K = cosh(end/(2 tau)) / cosh(start/(2 tau))`, exact near both ends.
//! The noise level diverges at `t = 1`: the horizon is the time at which it reaches `sigma_max`. Nothing is clamped: at
//! `t = 1` `s` is 0, `sigma`, `f` and `g^2` are infinite and the rates NaN.

use super::{
    Schedule, ScheduleError,
    beta::{Beta, preserving},
    error::{require_before_one, require_ordered, require_positive},
};

/// Largest `|start|/tau` and `|end|/tau`: beyond it the hyperbolic functions overflow.
const STEEPEST: f64 = 200.0;

/// The sigmoid schedule, variance preserving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid {
    /// `start/tau`.
    start: f64,
    /// `end/tau`.
    end: f64,
    horizon: f64,
}

impl Sigmoid {
    /// Usual values of `start`, `end` and `tau` are -3, 3 and 0.9; `sigma_max` is the noise level at the horizon.
    ///
    /// # Errors
    /// Unless `start < end`, `tau > 0`, `sigma_max > 0`, all finite, `|start|` and `|end|` are at most `200 tau`, and
    /// `sigma_max` is reached before `t = 1` in double precision.
    pub fn new(start: f64, end: f64, tau: f64, sigma_max: f64) -> Result<Self, ScheduleError> {
        require_positive("tau", tau)?;
        require_positive("sigma_max", sigma_max)?;
        require_ordered(("start", start), ("end", end))?;
        for (name, found) in [("start/tau", start / tau), ("end/tau", end / tau)] {
            if found.abs() > STEEPEST {
                return Err(ScheduleError::OutOfRange {
                    name,
                    expected: "between -200 and 200",
                    found,
                });
            }
        }
        let endless = Self {
            start: start / tau,
            end: end / tau,
            horizon: 1.0,
        };
        Ok(Self {
            horizon: require_before_one(sigma_max, endless.time_at(sigma_max))?,
            ..endless
        })
    }

    /// `w/2`.
    fn half_width(&self) -> f64 {
        0.5 * (self.end - self.start)
    }

    /// `K`.
    fn ratio(&self) -> f64 {
        (0.5 * self.end).cosh() / (0.5 * self.start).cosh()
    }
}

impl Beta for Sigmoid {
    fn rate(&self, t: f64) -> f64 {
        let half_width = self.half_width();
        let here = (0.5 * self.start + half_width * t).cosh();
        half_width * (0.5 * self.end).cosh() / here / (half_width * (1.0 - t)).sinh()
    }

    fn integral(&self, t: f64) -> f64 {
        let half_width = self.half_width();
        let quotient = (half_width * t).sinh() / (half_width * (1.0 - t)).sinh();
        (self.ratio() * quotient).ln_1p()
    }

    fn time_of_integral(&self, integral: f64) -> f64 {
        // exp(w t) - 1 = 2 sinh(w/2) / (K/sigma^2 + exp(-w/2)): every term is positive.
        let half_width = self.half_width();
        let level = self.ratio() / integral.exp_m1() + (-half_width).exp();
        0.5 * (2.0 * half_width.sinh() / level).ln_1p() / half_width
    }

    fn last_time(&self) -> f64 {
        self.horizon
    }
}

preserving!(Sigmoid);
