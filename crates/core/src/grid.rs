//! The times that a sampler visits, from noise to data.

use crate::Schedule;

/// One step of a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The noisier end.
    pub from: f64,
    /// The cleaner end; `to < from`.
    pub to: f64,
}

impl Span {
    /// `to - from`, negative.
    pub fn step(self) -> f64 {
        self.to - self.from
    }
}

/// Why a grid cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// Fewer than two times.
    #[error("a time grid needs at least one step, found {times} times")]
    TooShort {
        /// How many times were given.
        times: usize,
    },
    /// A time is negative or not finite.
    #[error("time {index} of the grid must be finite and at least 0, found {found}")]
    OutOfRange {
        /// Its index.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// Two neighbours do not decrease.
    #[error("times must decrease strictly, found {earlier} then {later} at index {index}")]
    NotDecreasing {
        /// Index of the second of the two.
        index: usize,
        /// The first.
        earlier: f64,
        /// The second.
        later: f64,
    },
    /// The exponent of a Karras grid is not positive.
    #[error("rho must be finite and above 0, found {found}")]
    Rho {
        /// Its value.
        found: f64,
    },
}

/// Strictly decreasing times, at least two, all `>= 0`.
///
/// ```
/// use tweedie_core::TimeGrid;
///
/// let grid = TimeGrid::uniform(1.0, 0.0, 4)?;
/// assert_eq!(grid.times(), [1.0, 0.75, 0.5, 0.25, 0.0]);
/// assert_eq!(grid.steps(), 4);
/// # Ok::<(), tweedie_core::GridError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TimeGrid {
    times: Vec<f64>,
}

impl TimeGrid {
    /// A given list.
    ///
    /// # Errors
    /// Unless the times decrease strictly, are at least two, finite and `>= 0`.
    pub fn new(times: Vec<f64>) -> Result<Self, GridError> {
        if times.len() < 2 {
            return Err(GridError::TooShort { times: times.len() });
        }
        if let Some(index) = times.iter().position(|t| !(t.is_finite() && *t >= 0.0)) {
            return Err(GridError::OutOfRange {
                index,
                found: times[index],
            });
        }
        if let Some(index) = times.windows(2).position(|pair| pair[1] >= pair[0]) {
            return Err(GridError::NotDecreasing {
                index: index + 1,
                earlier: times[index],
                later: times[index + 1],
            });
        }
        Ok(Self { times })
    }

    /// `steps` equal steps of time between two ends.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn uniform(from: f64, to: f64, steps: usize) -> Result<Self, GridError> {
        Self::between(steps, |fraction| (1.0 - fraction) * from + fraction * to)
    }

    /// `steps` steps between two noise levels, equal in `sigma^(1/rho)`: small steps where there is little noise.
    ///
    /// Karras et al. 2022, eq. (5), <https://arxiv.org/abs/2206.00364>, with `rho = 7`; the paper's closing step to zero noise
    /// is added by [`then_zero`](Self::then_zero).
    ///
    /// # Errors
    /// As [`new`](Self::new), for instance when the schedule has no such noise levels, or unless `rho > 0`.
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
        Self::between(steps, |fraction| {
            schedule.time_at(((1.0 - fraction) * high + fraction * low).powf(rho))
        })
    }

    fn between(steps: usize, time: impl Fn(f64) -> f64) -> Result<Self, GridError> {
        if steps == 0 {
            return Err(GridError::TooShort { times: 1 });
        }
        let count = steps as f64;
        Self::new((0..=steps).map(|k| time(k as f64 / count)).collect())
    }

    /// One more step, to time 0; none when the grid ends there already.
    pub fn then_zero(mut self) -> Self {
        if self.end() > 0.0 {
            self.times.push(0.0);
        }
        self
    }

    /// All times, noisiest first.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The noisiest time.
    pub fn start(&self) -> f64 {
        self.times[0]
    }

    /// The cleanest time.
    pub fn end(&self) -> f64 {
        self.times[self.steps()]
    }

    /// Number of steps, one less than of times.
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// The steps in order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = Span> + '_ {
        self.times.windows(2).map(|pair| Span {
            from: pair[0],
            to: pair[1],
        })
    }
}
