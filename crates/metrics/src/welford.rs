//! Mean and variance of draws that arrive in batches.
//!
//! Batches merge by Chan, Golub & LeVeque 1983, eq. (2.1), <https://doi.org/10.1080/00031305.1983.10483115>;
//! for batches of one draw that is Welford 1962, <https://doi.org/10.1080/00401706.1962.10490022>.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    moments::{Moments, MomentsRecord},
    record::{RecordError, require},
};

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
        Some(moments.variance())
    }

    /// Square root of [`variance`](Self::variance).
    pub fn std(&self) -> Option<Tensor<D>> {
        self.variance().map(Tensor::sqrt)
    }

    /// Its state, from which [`WelfordRecord::restore`] continues bit for bit.
    ///
    /// # Panics
    ///
    /// Panics if the state cannot be read from its device.
    pub fn record(&self) -> WelfordRecord {
        WelfordRecord {
            moments: self.moments.as_ref().map(Moments::record),
        }
    }
}

/// The state of a [`Welford`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WelfordRecord {
    /// Of the draws so far; none before the first.
    pub moments: Option<MomentsRecord>,
}

impl WelfordRecord {
    /// The statistic whose record this is.
    ///
    /// # Errors
    ///
    /// If the record is of draws of another rank or type, or damaged.
    pub fn restore<const D: usize>(self, device: &Device) -> Result<Welford<D>, RecordError> {
        let restored = self.moments.map(|moments| moments.restore(device));
        let moments: Option<Moments<D>> = restored.transpose()?;
        let one = moments.as_ref().is_none_or(|m| m.mean.dims()[0] == 1);
        require(one, "mean", "of one row")?;
        Ok(Welford { moments })
    }
}
