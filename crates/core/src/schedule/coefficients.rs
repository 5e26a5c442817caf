//! The schedule of a given forward process `dx = f(t) x dt + g(t) dw`: `s = exp(int_0^t f)`,
//! `sigma^2 = int_0^t g^2/s^2`.
//!
//! Song et al. 2021, eq. (5), <https://arxiv.org/abs/2011.13456>; Karras et al. 2022, appendix B.1,
//! <https://arxiv.org/abs/2206.00364>. The integrals are composite Gauss-Legendre sums of eight points on 256 panels,
//! tabulated at the ends of the panels: for coefficients that are smooth within a panel the error is of rounding, about
//! `1e-14` relative; a kink costs the square of a panel. One value of `sigma` takes 72 evaluations of the coefficients.

use std::{fmt, sync::Arc};

use super::{Schedule, ScheduleError, error::require_positive, inverse::invert};
use crate::gauss_legendre;

type Coefficient = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

const PANELS: usize = 256;

/// A schedule from the coefficients of its stochastic differential equation.
///
/// Outside `[0, sigma(horizon)]` [`time_at`](Schedule::time_at) is NaN, which every time grid refuses. The rates are
/// exact in terms of `f`, `g^2`, `s` and `sigma`; where `sigma` is 0, at `t = 0`, `sigma'` is infinite, or NaN if `g^2`
/// is 0 there too.
///
/// ```
/// use tweedie_core::{FromCoefficients, Schedule};
///
/// // The Ornstein-Uhlenbeck process: s = exp(-t), sigma^2 = exp(2 t) - 1.
/// let schedule = FromCoefficients::new(2.0, |_| -1.0, |_| 2.0)?;
/// assert!((schedule.scale(1.5) - (-1.5f64).exp()).abs() < 1e-14);
/// # Ok::<(), tweedie_core::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct FromCoefficients {
    horizon: f64,
    drift_rate: Coefficient,
    diffusion_sq: Coefficient,
    /// `ln s` at the ends of the panels.
    log_scales: Vec<f64>,
    /// `sigma^2` there.
    growths: Vec<f64>,
}

impl FromCoefficients {
    /// `f` and `g^2` on `[0, horizon]`.
    ///
    /// # Errors
    /// Unless at all nodes `f` is finite and `g^2` finite and above 0, and `s` and `sigma` stay finite and above 0.
    pub fn new(
        horizon: f64,
        drift_rate: impl Fn(f64) -> f64 + Send + Sync + 'static,
        diffusion_sq: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Result<Self, ScheduleError> {
        require_positive("horizon", horizon)?;
        let mut schedule = Self {
            horizon,
            drift_rate: Arc::new(drift_rate),
            diffusion_sq: Arc::new(diffusion_sq),
            log_scales: vec![0.0],
            growths: vec![0.0],
        };
        for panel in 0..PANELS {
            schedule.check(panel)?;
            let end = schedule.start(panel + 1);
            let log_scale = schedule.log_scale_on(panel, end);
            let growth = schedule.growth_on(panel, end);
            require_normal("scale", end, log_scale.exp())?;
            require_normal("sigma^2", end, growth)?;
            schedule.log_scales.push(log_scale);
            schedule.growths.push(growth);
        }
        Ok(schedule)
    }

    fn check(&self, panel: usize) -> Result<(), ScheduleError> {
        for time in gauss_legendre(self.start(panel), self.start(panel + 1)).map(|(time, _)| time) {
            let f = (self.drift_rate)(time);
            if !f.is_finite() {
                return Err(ScheduleError::Function {
                    name: "f",
                    time,
                    expected: "finite",
                    found: f,
                });
            }
            require_normal("g^2", time, (self.diffusion_sq)(time))?;
        }
        Ok(())
    }

    fn start(&self, panel: usize) -> f64 {
        self.horizon * panel as f64 / PANELS as f64
    }

    fn panel(&self, t: f64) -> usize {
        (t / self.horizon * PANELS as f64).clamp(0.0, (PANELS - 1) as f64) as usize
    }

    fn log_scale_on(&self, panel: usize, t: f64) -> f64 {
        self.log_scales[panel] + integral(self.start(panel), t, &*self.drift_rate)
    }

    fn growth_on(&self, panel: usize, t: f64) -> f64 {
        let slope = |t: f64| (self.diffusion_sq)(t) * (-2.0 * self.log_scale_on(panel, t)).exp();
        self.growths[panel] + integral(self.start(panel), t, slope)
    }
}

fn integral(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    gauss_legendre(from, to)
        .map(|(time, weight)| weight * f(time))
        .sum()
}

fn require_normal(name: &'static str, time: f64, found: f64) -> Result<(), ScheduleError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(ScheduleError::Function {
        name,
        time,
        expected: "finite and above 0",
        found,
    })
}

impl Schedule for FromCoefficients {
    fn scale(&self, t: f64) -> f64 {
        self.log_scale_on(self.panel(t), t).exp()
    }

    fn sigma(&self, t: f64) -> f64 {
        self.growth_on(self.panel(t), t).sqrt()
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        let s = self.scale(t);
        let growth = self.diffusion_sq(t) / (s * s);
        (self.drift_rate(t) * s, 0.5 * growth / self.sigma(t))
    }

    fn time_at(&self, sigma: f64) -> f64 {
        let target = sigma * sigma;
        let panel = self.growths[1..PANELS].partition_point(|&end| end < target);
        let curve = |t: f64| {
            let s = self.log_scale_on(panel, t).exp();
            (self.growth_on(panel, t), self.diffusion_sq(t) / (s * s))
        };
        let end = |index: usize| (self.start(index), self.growths[index]);
        invert(curve, target, end(panel), end(panel + 1))
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn drift_rate(&self, t: f64) -> f64 {
        (self.drift_rate)(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        (self.diffusion_sq)(t)
    }
}

impl fmt::Debug for FromCoefficients {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FromCoefficients")
            .field("horizon", &self.horizon)
            .finish_non_exhaustive()
    }
}
