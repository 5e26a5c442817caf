//! Measurement models by name, for configuration files and command lines.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::TensorCreationOptions;
use serde::{Deserialize, Serialize};

use crate::noise::{
    GammaNoise, LaplaceNoise, LogPoissonNoise, PoissonGaussianNoise, PoissonNoise, SaltPepperNoise,
    UniformNoise,
};
use crate::{
    AnyOperator, AverageDownsampling, FourierBlur, GaussianNoise, Identity, Inpainting, NoiseModel,
    PhysicsError, Saturation, Scaled, Tomography,
};

/// An operator by name.
///
/// ```
/// use burn::tensor::Device;
/// use tweedie_physics::OperatorConfig;
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let config = OperatorConfig::SuperResolution { factor: 4 };
/// let operator = config.build([1, 1, 32, 32], &Device::flex(), 0)?;
/// assert!(operator.svd().is_some());
/// assert_eq!(operator.forward().measurement_shape([5, 1, 32, 32])?, [5, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OperatorConfig {
    /// [`Identity`].
    Denoising,
    /// [`Inpainting::random`].
    Inpainting {
        /// Fraction of pixels that are missing, in [0, 1).
        missing: f64,
    },
    /// [`FourierBlur::gaussian`].
    Blur {
        /// Standard deviation of the kernel in pixels, above 0.
        sigma: f64,
    },
    /// [`AverageDownsampling`].
    SuperResolution {
        /// Side of the blocks, at least 1.
        factor: usize,
    },
    /// [`Tomography::uniform`] of square images, divided by the number of detectors: pixels in [0, 1] have entries in [0, 1].
    Tomography {
        /// Number of angles over half a turn, at least 1.
        angles: usize,
    },
    /// [`Saturation::hard`] without gamma: `min(gain x, 1)`.
    Saturation {
        /// Exposure, above 0; pixels above `1 / gain` are burnt out.
        gain: f64,
    },
}

impl OperatorConfig {
    /// The operator for images of shape `image`, `[batch, channels, height, width]`; any batch size fits afterwards.
    ///
    /// `options` is the device, or `(&device, dtype)` for another float type than the device's own. `seed` decides which
    /// pixels are missing.
    ///
    /// # Errors
    /// If a setting is out of range, or does not fit images of that shape.
    pub fn build(
        &self,
        image: [usize; 4],
        options: impl Into<TensorCreationOptions>,
        seed: u64,
    ) -> Result<AnyOperator, PhysicsError> {
        let size = [image[2], image[3]];
        let operator = match *self {
            Self::Denoising => AnyOperator::Svd(Box::new(Identity)),
            Self::Inpainting { missing } => {
                AnyOperator::Inpainting(Inpainting::random(size, missing, seed, options)?)
            }
            Self::Blur { sigma } => {
                AnyOperator::Svd(Box::new(FourierBlur::gaussian(size, sigma, options)?))
            }
            Self::SuperResolution { factor } => {
                AnyOperator::Svd(Box::new(AverageDownsampling::new(factor)?))
            }
            Self::Tomography { angles } => {
                let scanner = Tomography::uniform(image[3], angles, options)?;
                let mean = (scanner.detectors() as f64).recip();
                AnyOperator::Linear(Box::new(Scaled::new(mean, scanner)?))
            }
            Self::Saturation { gain } => {
                AnyOperator::Nonlinear(Box::new(Saturation::hard(gain, 1.0)?))
            }
        };
        operator.forward().measurement_shape(image)?;
        Ok(operator)
    }

    /// The shape of the images whose measurements have shape `measurement`, `[batch, channels, height, width]`.
    pub fn image_shape(&self, measurement: [usize; 4]) -> [usize; 4] {
        let [batch, channels, height, width] = measurement;
        match *self {
            Self::Denoising
            | Self::Inpainting { .. }
            | Self::Blur { .. }
            | Self::Saturation { .. } => measurement,
            Self::Tomography { .. } => {
                // The number of detectors is the side of the image times the square root of 2, rounded up.
                let side = (height as f64 * FRAC_1_SQRT_2) as usize;
                [batch, channels, side, side]
            }
            Self::SuperResolution { factor } => [
                batch,
                channels,
                height.saturating_mul(factor),
                width.saturating_mul(factor),
            ],
        }
    }
}

/// A noise model by name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NoiseConfig {
    /// [`GaussianNoise`].
    Gaussian {
        /// Standard deviation in the units of pixels in [0, 1], at least 0.
        std: f64,
    },
    /// [`PoissonNoise`].
    Poisson {
        /// What one photon adds, above 0.
        gain: f64,
    },
    /// [`PoissonGaussianNoise`].
    PoissonGaussian {
        /// What one photon adds, above 0.
        gain: f64,
        /// Standard deviation of the read-out noise, above 0.
        std: f64,
    },
    /// [`UniformNoise`].
    Uniform {
        /// The largest noise, above 0.
        half_width: f64,
    },
    /// [`SaltPepperNoise`].
    SaltPepper {
        /// Probability of 0.
        pepper: f64,
        /// Probability of 1.
        salt: f64,
    },
    /// [`LaplaceNoise`].
    Laplace {
        /// Mean absolute value, above 0.
        scale: f64,
    },
    /// [`LogPoissonNoise`].
    LogPoisson {
        /// Mean number of photons of a ray that nothing absorbs, above 0.
        photons: f64,
        /// Absorption that a clean measurement of 1 stands for, above 0.
        mu: f64,
    },
    /// [`GammaNoise`].
    Gamma {
        /// Number of looks, above 0.
        looks: f64,
    },
}

impl NoiseConfig {
    /// The noise model.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn build(&self) -> Result<Box<dyn NoiseModel>, PhysicsError> {
        match *self {
            Self::Gaussian { std } => Ok(Box::new(GaussianNoise::new(std)?)),
            Self::Poisson { gain } => Ok(Box::new(PoissonNoise::new(gain)?)),
            Self::PoissonGaussian { gain, std } => {
                Ok(Box::new(PoissonGaussianNoise::new(gain, std)?))
            }
            Self::Uniform { half_width } => Ok(Box::new(UniformNoise::new(half_width)?)),
            Self::SaltPepper { pepper, salt } => Ok(Box::new(SaltPepperNoise::new(pepper, salt)?)),
            Self::Laplace { scale } => Ok(Box::new(LaplaceNoise::new(scale)?)),
            Self::LogPoisson { photons, mu } => Ok(Box::new(LogPoissonNoise::new(photons, mu)?)),
            Self::Gamma { looks } => Ok(Box::new(GammaNoise::new(looks)?)),
        }
    }
}
