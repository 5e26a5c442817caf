//! The times that a sampler visits, from noise to data.

mod error;
mod spacing;

pub use error::GridError;
pub use spacing::Spacing;

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

    /// The same grid, once it is known that `schedule` reaches its first time.
    ///
    /// A start that is beyond the horizon by rounding alone, at most four ulps, becomes the horizon.
    ///
    /// # Errors
    /// When the grid starts beyond the horizon.
    pub fn within(mut self, schedule: &dyn Schedule) -> Result<Self, GridError> {
        let (time, horizon) = (self.start(), schedule.horizon());
        if time > horizon * (1.0 + 4.0 * f64::EPSILON) {
            return Err(GridError::BeyondHorizon { time, horizon });
        }
        self.times[0] = time.min(horizon);
        Self::new(self.times)
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
