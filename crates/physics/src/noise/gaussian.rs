//! Gaussian noise, `y = clean + std n`, of one level or of a level per sample.

use std::f64::consts::TAU;

use burn::tensor::Tensor;
use tweedie_core::Rng;

use super::{LikelihoodScore, NoiseModel, entries};
use crate::{PhysicsError, squared_norm};

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

    /// `std^2`, above 0.
    fn density_variance(&self) -> f64 {
        assert!(
            self.std > 0.0,
            "noise of standard deviation 0 has no density"
        );
        self.std * self.std
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
        let variance = self.density_variance();
        let constant = 0.5 * entries(&y) * (TAU * variance).ln();
        squared_norm(y - clean)
            .mul_scalar(-0.5 / variance)
            .sub_scalar(constant)
    }
}

impl<const Y: usize> LikelihoodScore<Y> for GaussianNoise {
    /// `(y - clean) / std^2`.
    ///
    /// # Panics
    /// If `std` is 0: a point mass has no density.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        (y - clean).mul_scalar(1.0 / self.density_variance())
    }
}

/// `y_i = clean_i + std_i n_i`: Gaussian noise with a level per sample.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_physics::{NoiseModel, PerSampleGaussianNoise};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let noise = PerSampleGaussianNoise::new(Tensor::from_floats([0.01, 0.2], &device))?;
/// let clean = Tensor::<4>::zeros([2, 1, 8, 8], &device);
/// let y = noise.corrupt(clean, &mut Rng::seeded(1, &device));
/// assert_eq!(y.dims(), [2, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PerSampleGaussianNoise {
    stds: Tensor<1>,
}

impl PerSampleGaussianNoise {
    /// Noise of standard deviation `stds[i] > 0` for sample `i`.
    ///
    /// # Errors
    /// If a level is not finite and above 0, or the levels cannot be read from their device.
    pub fn new(stds: Tensor<1>) -> Result<Self, PhysicsError> {
        let levels = stds.try_to_vec_as::<f64>()?;
        match levels
            .iter()
            .position(|&std| !(std > 0.0 && std.is_finite()))
        {
            None => Ok(Self { stds }),
            Some(row) => Err(PhysicsError::NoiseLevel {
                row,
                found: levels[row],
            }),
        }
    }

    /// The standard deviations, `[batch]`.
    pub fn stds(&self) -> Tensor<1> {
        self.stds.clone()
    }

    /// The levels along axis 0 of a measurement.
    ///
    /// # Panics
    /// Unless there are as many as the measurement has rows.
    fn column<const Y: usize>(&self, rows: usize) -> Tensor<Y> {
        let [levels] = self.stds.dims();
        assert!(
            rows == levels,
            "{levels} noise levels do not fit a batch of {rows}"
        );
        let mut shape = [1; Y];
        shape[0] = levels;
        self.stds.clone().reshape(shape)
    }
}

impl<const Y: usize> NoiseModel<Y> for PerSampleGaussianNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        let shape = clean.dims();
        clean + rng.normal(shape) * self.column(shape[0])
    }

    /// As of [`GaussianNoise`], with each sample's own level.
    ///
    /// # Panics
    /// If there are not as many levels as samples.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let count = entries(&y);
        let residual = y - clean;
        let stds = self.column(residual.dims()[0]);
        let constant = self.stds.clone().log().add_scalar(0.5 * TAU.ln());
        squared_norm(residual / stds).mul_scalar(-0.5) - constant.mul_scalar(count)
    }

    /// Refuses a batch of another size than there are levels.
    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        let ([levels], batch) = (self.stds.dims(), clean.dims()[0]);
        if levels == batch {
            Ok(())
        } else {
            Err(PhysicsError::NoiseLevels { levels, batch })
        }
    }
}

impl<const Y: usize> LikelihoodScore<Y> for PerSampleGaussianNoise {
    /// `(y - clean) / std^2`, with each sample's own level.
    ///
    /// # Panics
    /// If there are not as many levels as samples.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        let residual = y - clean;
        let stds = self.column(residual.dims()[0]);
        residual / stds.square()
    }
}
