//! Uniform noise, `y = clean + u`, `u ~ U(-a, a)`.

use burn::tensor::Tensor;
use tweedie_core::Rng;

use super::host::positive;
use super::{NoiseModel, entries, sum_entries};
use crate::PhysicsError;

/// `y = clean + u`, `u` uniform in `[-half_width, half_width]`; variance `half_width^2 / 3`.
///
/// Its density jumps, so it has no score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UniformNoise {
    half_width: f64,
}

impl UniformNoise {
    /// Noise of at most `half_width > 0` either way, in the units of pixels in [0, 1].
    ///
    /// # Errors
    /// If `half_width` is not finite and above 0.
    pub fn new(half_width: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            half_width: positive("half_width", half_width)?,
        })
    }

    /// The largest noise.
    pub fn half_width(&self) -> f64 {
        self.half_width
    }
}

impl<const Y: usize> NoiseModel<Y> for UniformNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        let unit = rng.uniform(clean.dims());
        clean + unit.sub_scalar(0.5).mul_scalar(2.0 * self.half_width)
    }

    /// `-m ln(2 half_width)`, `m` the number of entries of one measurement, where each lies within `half_width` of
    /// the clean one up to rounding; else negative infinity.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let constant = entries(&y) * (2.0 * self.half_width).ln();
        // Of millions of entries one ends, rounded, just outside of the interval.
        let rounding = y.dtype().finfo().map_or(0.0, |float| float.epsilon);
        let size = y.clone().abs() + clean.clone().abs();
        let slack = size.add_scalar(self.half_width).mul_scalar(rounding);
        let excess = (y - clean).abs().sub_scalar(self.half_width) - slack;
        let outside = excess.clone().greater_elem(0.0);
        sum_entries(excess.zeros_like().mask_fill(outside, f64::NEG_INFINITY)).sub_scalar(constant)
    }
}
