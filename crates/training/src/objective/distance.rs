//! The distance between the network's output and its target.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The distance between the network's output and its target, averaged over pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Distance {
    /// `r^2`.
    #[default]
    L2,
    /// `|r|`.
    L1,
    /// `r^2/2` where `|r| < 1`, `|r| - 1/2` elsewhere.
    Huber,
}

impl Distance {
    /// The mean over each row, `[batch]`, of residuals `[batch, ..]`.
    pub(crate) fn rows<const D: usize>(self, residual: Tensor<D>) -> Tensor<1> {
        let each = match self {
            Self::L2 => residual.clone() * residual,
            Self::L1 => residual.abs(),
            Self::Huber => {
                // With m = min(|r|, 1): r^2/2 below 1 and |r| - 1/2 above are both m (|r| - m/2).
                let size = residual.abs();
                let small = size.clone().clamp_max(1.0);
                small.clone() * (size - small.mul_scalar(0.5))
            }
        };
        rows(each)
    }
}

/// The mean over all but axis 0.
pub(crate) fn rows<const D: usize>(each: Tensor<D>) -> Tensor<1> {
    let batch = each.dims()[0];
    each.reshape([batch as i32, -1])
        .mean_dim(1)
        .reshape([batch])
}
