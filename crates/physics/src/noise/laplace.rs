//! Laplace noise, `y = clean + e`, `p(e) = exp(-|e| / scale) / (2 scale)`.

use burn::tensor::Tensor;
use rand_distr::{Distribution, Exp1};
use tweedie_core::Rng;

use super::host::positive;
use super::{LikelihoodScore, NoiseModel, entries, sum_entries};
use crate::PhysicsError;

/// `y = clean + e`, `e` of density `exp(-|e| / scale) / (2 scale)` and variance `2 scale^2`: outliers are frequent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaplaceNoise {
    scale: f64,
}

impl LaplaceNoise {
    /// Noise of mean absolute value `scale > 0`, in the units of pixels in [0, 1].
    ///
    /// # Errors
    /// If `scale` is not finite and above 0.
    pub fn new(scale: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            scale: positive("scale", scale)?,
        })
    }

    /// The mean absolute value.
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl<const Y: usize> NoiseModel<Y> for LaplaceNoise {
    /// The noise is the difference of two exponential numbers.
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        rng.draw_from(clean, |value, stream| {
            let (up, down): (f64, f64) = (Exp1.sample(stream), Exp1.sample(stream));
            value + self.scale * (up - down)
        })
    }

    /// `-|y - clean|_1 / scale - m ln(2 scale)`, `m` the number of entries of one measurement.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let constant = entries(&y) * (2.0 * self.scale).ln();
        sum_entries((y - clean).abs())
            .mul_scalar(-1.0 / self.scale)
            .sub_scalar(constant)
    }
}

impl<const Y: usize> LikelihoodScore<Y> for LaplaceNoise {
    /// `sign(y - clean) / scale`, and 0 at the kink.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        (y - clean).sign().mul_scalar(1.0 / self.scale)
    }
}
