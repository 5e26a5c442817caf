//! Noise of a measurement.

use std::f64::consts::TAU;

use burn::tensor::Tensor;
use tweedie_core::Rng;

use crate::{PhysicsError, squared_norm};

/// The law of a measurement given the clean measurement, `p(y | A x)`.
pub trait NoiseModel<const Y: usize = 4> {
    /// A noisy measurement of the shape of `clean`; row `i` draws from row `i` of `rng`.
    ///
    /// # Panics
    /// If `rng` makes tensors of another float type or device than `clean`.
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y>;

    /// `log p(y | clean)` of each sample, `[batch]`. Either argument may have one row for all samples.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1>;
}

impl<const Y: usize, T: NoiseModel<Y> + ?Sized> NoiseModel<Y> for &T {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        (**self).corrupt(clean, rng)
    }
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        (**self).log_likelihood(y, clean)
    }
}

impl<const Y: usize, T: NoiseModel<Y> + ?Sized> NoiseModel<Y> for Box<T> {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        (**self).corrupt(clean, rng)
    }
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        (**self).log_likelihood(y, clean)
    }
}

/// `y = clean + std n`, `n ~ N(0, I)`.
///
/// Every entry of the measurement is noisy; for inpainting that includes the missing ones, which the likelihood ignores
/// except for a constant, because `A` maps every image to 0 there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoise {
    std: f64,
}

impl GaussianNoise {
    /// Noise of standard deviation `std >= 0`, in the units of pixels in [0, 1].
    ///
    /// # Errors
    /// If `std` is negative or not finite.
    pub fn new(std: f64) -> Result<Self, PhysicsError> {
        if std >= 0.0 && std.is_finite() {
            Ok(Self { std })
        } else {
            Err(PhysicsError::NoiseStd { found: std })
        }
    }

    /// The standard deviation.
    pub fn std(&self) -> f64 {
        self.std
    }
}

impl<const Y: usize> NoiseModel<Y> for GaussianNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        let noise = rng.normal(clean.dims());
        clean + noise.mul_scalar(self.std)
    }

    /// `-|y - clean|^2 / (2 std^2) - (m/2) log(2 pi std^2)`, `m` the number of entries of one measurement.
    ///
    /// # Panics
    /// If `std` is 0: a point mass has no density.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        assert!(
            self.std > 0.0,
            "noise of standard deviation 0 has no density"
        );
        let entries: usize = y.dims()[1..].iter().product();
        let variance = self.std * self.std;
        let constant = 0.5 * entries as f64 * (TAU * variance).ln();
        squared_norm(y - clean)
            .mul_scalar(-0.5 / variance)
            .sub_scalar(constant)
    }
}
