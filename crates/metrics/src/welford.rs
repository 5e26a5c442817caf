//! Mean and variance of draws that arrive in batches.
//!
//! Two sets of `a` and `b` draws with means `m_a`, `m_b` and sums of squared deviations `S_a`, `S_b`
//! are, together, `n = a + b` draws with
//!
//! `m = m_a + (b / n) d`, `S = S_a + S_b + (a b / n) d^2`, `d = m_b - m_a`.
//!
//! Chan, Golub & LeVeque 1983, eq. (2.1), <https://doi.org/10.1080/00031305.1983.10483115>;
//! with `b = 1`, Welford 1962, <https://doi.org/10.1080/00401706.1962.10490022>.

use burn::tensor::Tensor;

/// Streaming mean and variance along the batch axis, elementwise.
///
/// Holds two tensors of the size of one draw, however many draws there are, and is accurate where the
/// sum of squares is not: for a spread that is small beside the mean. Nothing is read back from the
/// device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_metrics::Welford;
///
/// let device = Device::flex();
/// let mut statistics = Welford::<2>::default();
/// statistics.update(Tensor::from_data([[1.0], [2.0]], &device));
/// statistics.update(Tensor::from_data([[6.0]], &device));
/// assert_eq!(statistics.count(), 3);
/// assert_eq!(statistics.mean().unwrap().into_scalar::<f32>(), 3.0);
/// assert_eq!(statistics.variance().unwrap().into_scalar::<f32>(), 7.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Welford<const D: usize = 4> {
    moments: Option<Moments<D>>,
}

#[derive(Clone, Debug)]
struct Moments<const D: usize> {
    count: u64,
    /// `[1, ...]`
    mean: Tensor<D>,
    /// Sum of squared deviations from the mean, `[1, ...]`.
    squares: Tensor<D>,
}

impl<const D: usize> Welford<D> {
    /// Counts a batch of draws, `[draws, ...]`, each with the same weight. An empty batch changes
    /// nothing.
    ///
    /// # Panics
    ///
    /// Panics if the shape of a draw differs from that of earlier ones.
    pub fn update(&mut self, draws: Tensor<D>) {
        if draws.dims()[0] > 0 {
            self.merge(Self {
                moments: Some(Moments::of(draws)),
            });
        }
    }

    /// Counts the draws that `other` counted, as if they had come here.
    ///
    /// # Panics
    ///
    /// Panics if the shapes of the draws differ.
    pub fn merge(&mut self, other: Self) {
        self.moments = match (self.moments.take(), other.moments) {
            (Some(a), Some(b)) => Some(a.merge(b)),
            (a, b) => a.or(b),
        };
    }

    /// Number of draws so far.
    pub fn count(&self) -> u64 {
        self.moments.as_ref().map_or(0, |moments| moments.count)
    }

    /// Mean of the draws, `[1, ...]`; `None` before the first.
    pub fn mean(&self) -> Option<Tensor<D>> {
        self.moments.as_ref().map(|moments| moments.mean.clone())
    }

    /// Unbiased variance of the draws, `S / (n - 1)`, `[1, ...]`; `None` before the second.
    pub fn variance(&self) -> Option<Tensor<D>> {
        let moments = self.moments.as_ref().filter(|moments| moments.count > 1)?;
        Some(moments.squares.clone() / (moments.count - 1) as f64)
    }

    /// Square root of [`variance`](Self::variance).
    pub fn std(&self) -> Option<Tensor<D>> {
        self.variance().map(Tensor::sqrt)
    }
}

impl<const D: usize> Moments<D> {
    fn of(draws: Tensor<D>) -> Self {
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

    fn merge(self, other: Self) -> Self {
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
}
