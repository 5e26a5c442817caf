//! Priors whose denoiser, samples and density are known exactly: the reference of tests and of calibration studies.
//!
//! With `x_0 ~ p` and `n ~ N(0, I)` the smoothed law `p_sigma` is that of `x_0 + sigma n`. The mean of `x_0` given that
//! sum is the denoiser, `D(x; sigma) = x + sigma^2 grad log p_sigma(x)` (Efron 2011, eq. 1.4,
//! <https://doi.org/10.1198/jasa.2011.tm11181>); Gaussians, their mixtures and points have both sides in closed form.

mod gaussian;
mod mixture;
mod point;

use burn::tensor::{Tensor, TensorReadError};

use crate::{Denoiser, Rng};

pub use gaussian::{FullGaussian, GaussianPrior};
pub use mixture::GaussianMixture;
pub use point::PointMass;

/// A prior that can be drawn from and whose smoothed density is known, beside its exact denoiser and score.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{AnalyticPrior, GaussianPrior, Rng};
///
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<2>::zeros([1, 1], &device), 1.0);
/// assert_eq!(prior.sample(5, &mut Rng::seeded(1, &device)).dims(), [5, 1]);
/// let peak = prior.log_density(Tensor::zeros([1, 1], &device), 0.0).into_scalar::<f32>();
/// assert!((peak + 0.5 * std::f32::consts::TAU.ln()).abs() < 1e-6);
/// ```
pub trait AnalyticPrior<const D: usize = 4>: Denoiser<D> {
    /// `rows` exact draws of `x_0`, in the float type of the prior. Row `i` reads row `i` of `rng` alone.
    fn sample(&self, rows: usize, rng: &mut Rng) -> Tensor<D>;

    /// `ln p_sigma(noisy)`, one number for each row, `[batch]`, with its normalisation; `sigma >= 0`.
    ///
    /// # Panics
    /// If `sigma` is negative or not finite, or 0 where the prior itself has no density.
    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1>;
}

impl<const D: usize, T: AnalyticPrior<D> + ?Sized> AnalyticPrior<D> for &T {
    fn sample(&self, rows: usize, rng: &mut Rng) -> Tensor<D> {
        (**self).sample(rows, rng)
    }
    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1> {
        (**self).log_density(noisy, sigma)
    }
}

/// Why a prior cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriorError {
    /// A tensor has another shape than the rest of the prior.
    #[error("{what} must have shape {expected:?}, found {found:?}")]
    Shape {
        /// Which tensor.
        what: &'static str,
        /// The shape it should have.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A variance is negative or not finite.
    #[error("variance {index} must be finite and at least 0, found {found}")]
    Variance {
        /// Its index, in row-major order.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// An entry of a covariance is not finite.
    #[error("covariance [{row}, {column}] must be finite, found {found}")]
    Covariance {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// Its value.
        found: f64,
    },
    /// Two mirrored entries of a covariance differ by more than rounding.
    #[error(
        "a covariance must be symmetric: [{row}, {column}] is {found} but [{column}, {row}] is {mirrored}"
    )]
    Asymmetric {
        /// Row of the first of the two.
        row: usize,
        /// Its column.
        column: usize,
        /// The first.
        found: f64,
        /// The second.
        mirrored: f64,
    },
    /// A covariance has a negative eigenvalue.
    #[error(
        "a covariance must be positive semi-definite, found eigenvalues from {smallest} to {largest}"
    )]
    Indefinite {
        /// Its smallest eigenvalue.
        smallest: f64,
        /// Its largest eigenvalue.
        largest: f64,
    },
    /// A mixture without a component.
    #[error("a mixture needs at least one component, found none")]
    Empty,
    /// Not one number for each component of a mixture.
    #[error("expected one of {what} for each of {components} means, found {found}")]
    Components {
        /// What is counted.
        what: &'static str,
        /// How many means there are.
        components: usize,
        /// How many were given.
        found: usize,
    },
    /// A weight of a mixture is not positive.
    #[error("weight {index} must be finite and above 0, found {found}")]
    Weight {
        /// Its index.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// A parameter could not be read from its device.
    #[error("a parameter of the prior could not be read from its device")]
    Read(#[from] TensorReadError),
}

/// The shape of `rows` rows like those of `like`.
fn rows_like<const D: usize>(rows: usize, like: [usize; D]) -> [usize; D] {
    let mut shape = like;
    shape[0] = rows;
    shape
}

/// Refuses a tensor of another shape.
fn require_shape(
    what: &'static str,
    expected: &[usize],
    found: &[usize],
) -> Result<(), PriorError> {
    if expected == found {
        return Ok(());
    }
    Err(PriorError::Shape {
        what,
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}

/// The smallest of some variances; refuses one that is negative or not finite.
fn smallest_variance(variances: &[f64]) -> Result<f64, PriorError> {
    if let Some(index) = variances.iter().position(|v| !(v.is_finite() && *v >= 0.0)) {
        return Err(PriorError::Variance {
            index,
            found: variances[index],
        });
    }
    Ok(variances.iter().copied().fold(f64::INFINITY, f64::min))
}

/// The precondition of [`AnalyticPrior::log_density`], for a prior with this smallest variance.
fn require_density(smallest_variance: f64, sigma: f64) {
    assert!(
        sigma >= 0.0 && sigma.is_finite(),
        "sigma must be finite and at least 0, got {sigma}"
    );
    assert!(
        smallest_variance + sigma * sigma > 0.0,
        "a prior with a variance of 0 has no density at sigma = {sigma}"
    );
}
