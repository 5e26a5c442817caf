//! Mean and sum of squared deviations of draws, which merge.
//!
//! Two sets of `a` and `b` draws with means `m_a`, `m_b` and sums of squared deviations `S_a`, `S_b`
//! are, together, `n = a + b` draws with
//!
//! `m = m_a + (b / n) d`, `S = S_a + S_b + (a b / n) d^2`, `d = m_b - m_a`.
//!
//! Chan, Golub & LeVeque 1983, eq. (2.1), <https://doi.org/10.1080/00031305.1983.10483115>.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::record::{RecordError, data, require, tensor, tensor_like};

#[derive(Clone, Debug)]
pub(crate) struct Moments<const D: usize> {
    /// How many draws each entry is of, above 0.
    pub(crate) count: u64,
    pub(crate) mean: Tensor<D>,
    /// Sums of squared deviations from the mean, of its shape.
    pub(crate) squares: Tensor<D>,
}

impl<const D: usize> Moments<D> {
    /// Of draws along axis 0, `[1, ...]`.
    pub(crate) fn of(draws: Tensor<D>) -> Self {
        let count = draws.dims()[0] as u64;
        // Differences from one of the draws: an offset that all share takes no digits.
        let origin = draws.clone().narrow(0, 0, 1);
        let differences = draws - origin.clone();
        let shift = differences.clone().mean_dim(0);
        let squares = (differences - shift.clone()).square().sum_dim(0);
        Self {
            count,
            mean: origin + shift,
            squares,
        }
    }

    /// Of both sets of draws, entry by entry.
    ///
    /// # Panics
    ///
    /// Panics if the shapes differ.
    pub(crate) fn merge(self, other: Self) -> Self {
        assert_eq!(
            self.mean.dims(),
            other.mean.dims(),
            "draws must have one shape"
        );
        let count = self.count + other.count;
        let (a, b, n) = (self.count as f64, other.count as f64, count as f64);
        let difference = other.mean - self.mean.clone();
        Self {
            count,
            mean: self.mean + difference.clone() * (b / n),
            squares: self.squares + other.squares + difference.square() * (a * b / n),
        }
    }

    /// Of the draws of all rows, `[1, ...]`.
    pub(crate) fn pool(self) -> Self {
        let between = Self::of(self.mean);
        Self {
            count: self.count * between.count,
            mean: between.mean,
            squares: self.squares.sum_dim(0) + between.squares * self.count as f64,
        }
    }

    /// Unbiased, `S / (n - 1)`; not a number of a single draw.
    pub(crate) fn variance(&self) -> Tensor<D> {
        self.squares.clone() / (self.count - 1) as f64
    }

    pub(crate) fn record(&self) -> MomentsRecord {
        MomentsRecord {
            count: self.count,
            mean: data(&self.mean),
            squares: data(&self.squares),
        }
    }
}

/// A number of draws, their mean, and the sum of their squared deviations from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MomentsRecord {
    /// Draws of each entry, from 1 to 2^53.
    pub count: u64,
    /// Their mean.
    pub mean: TensorData,
    /// Sum of squared deviations, of the shape of the mean.
    pub squares: TensorData,
}

impl MomentsRecord {
    pub(crate) fn restore<const D: usize>(
        self,
        device: &Device,
    ) -> Result<Moments<D>, RecordError> {
        let valid = (1..=1 << 53).contains(&self.count);
        require(valid, "count", "from 1 to 2^53")?;
        let mean = tensor("mean", self.mean, device)?;
        let squares = tensor_like("squares", self.squares, &mean)?;
        Ok(Moments {
            count: self.count,
            mean,
            squares,
        })
    }
}
