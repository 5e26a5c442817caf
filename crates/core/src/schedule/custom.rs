//! A schedule of the user's own: `s(t)` and `sigma(t)` as functions, each with its derivative.
//!
//! The kernel is that of Karras et al. 2022, appendix B, <https://arxiv.org/abs/2206.00364>. The inverse of `sigma` is
//! found by safeguarded Newton iteration. Both functions are checked when the schedule is made.

use std::{fmt, sync::Arc};

use super::{Schedule, ScheduleError, error::require_positive, inverse::invert};

/// A function of time: its value and its derivative.
type Curve = Arc<dyn Fn(f64) -> (f64, f64) + Send + Sync>;

/// Points at which the functions are checked, beside time 0.
const POINTS: usize = 256;

/// Where between two points of the lattice the slopes are compared: kinks at round numbers are missed.
const BETWEEN: f64 = 0.381_966;

/// A schedule from two closures.
///
/// Outside `[sigma(0), sigma(horizon)]` [`time_at`](Schedule::time_at) is NaN, which every time grid refuses.
///
/// ```
/// use tweedie_core::{Custom, Schedule};
///
/// let schedule = Custom::new(1.0, |_| (1.0, 0.0), |t| (50.0 * t * t, 100.0 * t))?;
/// assert!((schedule.time_at(12.5) - 0.5).abs() < 1e-15);
/// assert!(schedule.time_at(60.0).is_nan());
/// # Ok::<(), tweedie_core::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Custom {
    horizon: f64,
    scale: Curve,
    sigma: Curve,
    lowest: f64,
    highest: f64,
}

impl Custom {
    /// Value and derivative of `s` and of `sigma`, on `[0, horizon]`.
    ///
    /// `sigma'` may be infinite at 0, as it is where `sigma` starts like a square root.
    ///
    /// # Errors
    /// Unless on 257 equally spaced times `s` is positive with `s(0) = 1`, `sigma` at least 0 and strictly increasing,
    /// all finite, and between them the derivatives agree with central differences to `1e-5` relative.
    pub fn new(
        horizon: f64,
        scale: impl Fn(f64) -> (f64, f64) + Send + Sync + 'static,
        sigma: impl Fn(f64) -> (f64, f64) + Send + Sync + 'static,
    ) -> Result<Self, ScheduleError> {
        require_positive("horizon", horizon)?;
        check_values(horizon, &scale, &sigma)?;
        check_derivative("scale", horizon, &scale)?;
        check_derivative("sigma", horizon, &sigma)?;
        Ok(Self {
            horizon,
            lowest: sigma(0.0).0,
            highest: sigma(horizon).0,
            scale: Arc::new(scale),
            sigma: Arc::new(sigma),
        })
    }
}

fn check_values(
    horizon: f64,
    scale: impl Fn(f64) -> (f64, f64),
    sigma: impl Fn(f64) -> (f64, f64),
) -> Result<(), ScheduleError> {
    let mut earlier = (0.0, f64::NEG_INFINITY);
    for k in 0..=POINTS {
        let time = horizon * k as f64 / POINTS as f64;
        let require = |name, fits: bool, expected, found| {
            let error = ScheduleError::Function {
                name,
                time,
                expected,
                found,
            };
            fits.then_some(()).ok_or(error)
        };
        let (s, s_rate) = scale(time);
        let (level, level_rate) = sigma(time);
        let steep = k == 0 && level_rate == f64::INFINITY;
        require("scale", s > 0.0 && s.is_finite(), "finite and above 0", s)?;
        require("scale", k > 0 || (s - 1.0).abs() <= 1e-12, "1", s)?;
        require(
            "sigma",
            level >= 0.0 && level.is_finite(),
            "finite and at least 0",
            level,
        )?;
        require("derivative of scale", s_rate.is_finite(), "finite", s_rate)?;
        require(
            "derivative of sigma",
            steep || level_rate.is_finite(),
            "finite",
            level_rate,
        )?;
        if level <= earlier.1 {
            return Err(ScheduleError::NotIncreasing {
                earlier_time: earlier.0,
                earlier: earlier.1,
                later_time: time,
                later: level,
            });
        }
        earlier = (time, level);
    }
    Ok(())
}

fn check_derivative(
    name: &'static str,
    horizon: f64,
    curve: impl Fn(f64) -> (f64, f64),
) -> Result<(), ScheduleError> {
    let h = 1e-5 * horizon;
    for k in 0..POINTS {
        let time = horizon * (k as f64 + BETWEEN) / POINTS as f64;
        let (value, found) = curve(time);
        let difference = |h: f64| curve(time + h).0 - curve(time - h).0;
        let expected = (8.0 * difference(h) - difference(2.0 * h)) / (12.0 * h);
        // The second term is above the rounding of the quotient, 1e5 eps |value|/horizon.
        let tolerance = 1e-5 * expected.abs() + 1e-9 * value.abs() / horizon;
        if (found - expected).abs() <= tolerance {
            continue;
        }
        return Err(ScheduleError::Derivative {
            name,
            time,
            expected,
            found,
        });
    }
    Ok(())
}

impl Schedule for Custom {
    fn scale(&self, t: f64) -> f64 {
        (self.scale)(t).0
    }

    fn sigma(&self, t: f64) -> f64 {
        (self.sigma)(t).0
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        ((self.scale)(t).1, (self.sigma)(t).1)
    }

    fn time_at(&self, sigma: f64) -> f64 {
        let high = (self.horizon, self.highest);
        invert(&*self.sigma, sigma, (0.0, self.lowest), high)
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        let s = self.scale(t);
        let (level, rate) = (self.sigma)(t);
        if level == 0.0 && rate.is_infinite() {
            // The slope of sigma^2, which is 0 here, by an extrapolated difference: off by the square of the step.
            let h = 1e-6 * self.horizon;
            let quotient = |h: f64| self.sigma(t + h).powi(2) / h;
            return s * s * (2.0 * quotient(0.5 * h) - quotient(h));
        }
        2.0 * s * s * level * rate
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Custom")
            .field("horizon", &self.horizon)
            .finish_non_exhaustive()
    }
}
