//! The times at which a network is trained: the steps of a table, or an interval.

use tweedie_core::{NoiseLabel, Schedule};

/// Share of the horizon that the least time of a continuous schedule is, where the noise vanishes: that of Song et al. 2021,
/// appendix C, <https://arxiv.org/abs/2011.13456>.
const LEAST: f64 = 1e-5;

/// Number of equal parts of an interval.
const PARTS: usize = 100;

/// A product of a step's time and the length of its table may be off by rounding.
const ROUNDING: f64 = 1e-6;

/// Where the times lie, and how they are counted: in cells, which are the steps of a table or equal parts of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Times {
    /// `k/steps`, `k = 1, 2, ..`, up to the first that is not before the horizon; the horizon stands for that one.
    Table { steps: usize, last: f64 },
    /// All times between two.
    Interval { first: f64, last: f64 },
}

impl Times {
    /// Of a schedule whose levels are told so.
    pub(crate) fn of(schedule: &dyn Schedule, label: NoiseLabel) -> Self {
        let last = schedule.horizon();
        match label {
            NoiseLabel::Step { steps } | NoiseLabel::NearestStep { steps } => {
                Self::Table { steps, last }
            }
            _ => Self::Interval {
                first: LEAST * last,
                last,
            },
        }
    }

    /// Number of cells.
    pub(crate) fn cells(self) -> usize {
        match self {
            Self::Table { last, .. } => self.cell(last) + 1,
            Self::Interval { .. } => PARTS,
        }
    }

    /// The cell in which a time lies; times beyond the ends lie in the nearest one.
    pub(crate) fn cell(self, time: f64) -> usize {
        match self {
            Self::Table { steps, .. } => {
                let k = (time * steps as f64 - ROUNDING).ceil();
                (k.max(1.0) as usize).min(steps) - 1
            }
            Self::Interval { first, last } => {
                let place = (time - first) / (last - first) * PARTS as f64;
                (place.max(0.0) as usize).min(PARTS - 1)
            }
        }
    }

    /// The time at a place in [0, 1) of a cell; in a table all places are one.
    pub(crate) fn within(self, cell: usize, place: f64) -> f64 {
        match self {
            Self::Table { steps, last } => ((cell + 1) as f64 / steps as f64).min(last),
            Self::Interval { first, last } => {
                first + (last - first) * ((cell as f64 + place) / PARTS as f64)
            }
        }
    }

    /// The time that a number in [0, 1) stands for: where it is uniform, each time is equally likely.
    pub(crate) fn at(self, u: f64) -> f64 {
        let place = u * self.cells() as f64;
        let cell = (place as usize).min(self.cells() - 1);
        self.within(cell, place - cell as f64)
    }

    /// The step before that of a time in a table; none where that is the first, or there is no table.
    pub(crate) fn before(self, time: f64) -> Option<f64> {
        match (self, self.cell(time)) {
            (Self::Table { steps, .. }, cell @ 1..) => Some(cell as f64 / steps as f64),
            _ => None,
        }
    }
}
