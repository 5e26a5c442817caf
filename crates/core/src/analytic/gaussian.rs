//! Gaussian priors: isotropic, diagonal, and with a full covariance.
//!
//! `D(x; sigma) = mean + C (C + sigma^2 I)^-1 (x - mean)`,
//! `ln p_sigma(x) = -((x - mean)^T (C + sigma^2 I)^-1 (x - mean) + ln det(2 pi (C + sigma^2 I))) / 2`.
//!
//! A full covariance `C = V diag(l) V^T` is decomposed once, on the host in `f64`. In the coordinates `V^T (x - mean)`
//! it is diagonal, so an evaluation costs two matrix products.

use std::f64::consts::TAU;

use burn::tensor::{Tensor, TensorData};
use nalgebra::{DMatrix, SymmetricEigen};

use super::{
    AnalyticPrior, PriorError, require_density, require_shape, rows_like, smallest_variance,
};
use crate::{Denoiser, Rng};

/// `x_0 ~ N(mean, diag(variances))`, with its exact posterior mean.
///
/// `D(x; sigma) = (variance x + sigma^2 mean) / (variance + sigma^2)`. With `variance = 0` it is a point mass, for
/// which DDIM, DDPM and exponential integrators are exact at any step size.
#[derive(Clone, Debug)]
pub struct GaussianPrior<const D: usize = 4> {
    mean: Tensor<D>,
    variance: Variance<D>,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds few priors")]
enum Variance<const D: usize> {
    Isotropic(f64),
    Diagonal { each: Tensor<D>, smallest: f64 },
}

impl<const D: usize> GaussianPrior<D> {
    /// `mean` has one row, or one for each row of the batch; `variance >= 0` holds for each pixel.
    ///
    /// # Panics
    /// If `variance` is negative or not finite.
    pub fn new(mean: Tensor<D>, variance: f64) -> Self {
        assert!(
            variance >= 0.0 && variance.is_finite(),
            "variance must be finite and at least 0, got {variance}"
        );
        Self {
            mean,
            variance: Variance::Isotropic(variance),
        }
    }

    /// One variance `>= 0` for each pixel: `variances` has the shape of one row of `mean`.
    ///
    /// # Errors
    /// [`PriorError::Shape`] for another shape, [`PriorError::Variance`] for a variance that is negative or not finite.
    pub fn diagonal(mean: Tensor<D>, variances: Tensor<D>) -> Result<Self, PriorError> {
        require_shape("variances", &rows_like(1, mean.dims()), &variances.dims())?;
        let smallest = smallest_variance(&variances.try_to_vec_as::<f64>()?)?;
        Ok(Self {
            mean,
            variance: Variance::Diagonal {
                each: variances,
                smallest,
            },
        })
    }

    /// The mean, of one row, or of one for each row of the batch.
    pub fn mean(&self) -> &Tensor<D> {
        &self.mean
    }

    /// `C^(1/2) n`: of white noise `n`, of one row or more, noise of the covariance `C` of the prior.
    pub fn coloured(&self, white: Tensor<D>) -> Tensor<D> {
        match &self.variance {
            Variance::Isotropic(variance) => white.mul_scalar(variance.sqrt()),
            Variance::Diagonal { each, .. } => white * each.clone().sqrt(),
        }
    }
}

impl<const D: usize> Denoiser<D> for GaussianPrior<D> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let noise = sigma * sigma;
        match &self.variance {
            Variance::Isotropic(variance) => {
                let total = variance + noise;
                noisy.mul_scalar(variance / total) + self.mean.clone().mul_scalar(noise / total)
            }
            Variance::Diagonal { each, .. } => {
                let total = each.clone().add_scalar(noise);
                let pull = total.clone().recip().mul_scalar(noise);
                noisy * (each.clone() / total) + self.mean.clone() * pull
            }
        }
    }
}

/// Draws have the shape of a row of the mean.
///
/// # Panics
/// [`sample`](AnalyticPrior::sample) also if the mean has several rows, but not `rows`.
impl<const D: usize> AnalyticPrior<D> for GaussianPrior<D> {
    fn sample(&self, rows: usize, rng: &mut Rng) -> Tensor<D> {
        let noise = rng
            .normal(rows_like(rows, self.mean.dims()))
            .cast(self.mean.dtype());
        self.mean.clone() + self.coloured(noise)
    }

    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1> {
        let noise = sigma * sigma;
        let squares = (noisy - self.mean.clone()).square();
        let twice_energy = match &self.variance {
            Variance::Isotropic(variance) => {
                require_density(*variance, sigma);
                let total = variance + noise;
                let pixels: usize = squares.dims()[1..].iter().product();
                let volume = pixels as f64 * (TAU * total).ln();
                // Not a division: burn rounds the derivative of one to single precision.
                row_sums(squares)
                    .mul_scalar(total.recip())
                    .add_scalar(volume)
            }
            Variance::Diagonal { each, smallest } => {
                require_density(*smallest, sigma);
                let total = each.clone().add_scalar(noise);
                let volume = row_sums(total.clone().mul_scalar(TAU).log());
                row_sums(squares / total) + volume
            }
        };
        twice_energy.mul_scalar(-0.5)
    }
}

/// `[batch, ...]` summed over all but the batch.
fn row_sums<const D: usize>(terms: Tensor<D>) -> Tensor<1> {
    let rows = terms.dims()[0];
    terms.reshape([rows as i64, -1]).sum_dim(1).reshape([rows])
}

/// `x_0 ~ N(mean, covariance)`, for images small enough to have a dense covariance.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, FullGaussian};
///
/// let device = Device::flex();
/// let covariance = Tensor::from_floats([[2.0, 1.0], [1.0, 2.0]], &device);
/// let prior = FullGaussian::new(Tensor::<2>::zeros([1, 2], &device), covariance)?;
/// // (1, 1) is the direction of variance 3: half of it survives noise of the same variance.
/// let clean = prior.denoise(Tensor::from_floats([[1.0, 1.0]], &device), 3f64.sqrt());
/// let clean = clean.into_data().to_vec::<f32>().unwrap();
/// assert!((clean[0] - 0.5).abs() < 1e-6 && (clean[1] - 0.5).abs() < 1e-6);
/// # Ok::<(), tweedie_core::PriorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FullGaussian<const D: usize = 4> {
    mean: Tensor<D>,
    /// Its columns are the eigenvectors.
    basis: Tensor<2>,
    /// The law of the coordinates.
    spectrum: GaussianPrior<2>,
}

impl<const D: usize> FullGaussian<D> {
    /// `mean` is one row of `d` pixels, `[1, ...]`; `covariance` is `[d, d]`, its pixels in row-major order.
    ///
    /// The decomposition costs of the order of `10 d^3` operations on the host. Eigenvalues within rounding of 0 (`d`
    /// machine epsilons of the covariance's float type, relative to the largest) count as 0.
    ///
    /// # Errors
    /// Unless the shapes agree and the covariance is finite and, to the same rounding, symmetric and positive
    /// semi-definite: [`PriorError::Shape`], [`Covariance`](PriorError::Covariance),
    /// [`Asymmetric`](PriorError::Asymmetric), [`Indefinite`](PriorError::Indefinite).
    pub fn new(mean: Tensor<D>, covariance: Tensor<2>) -> Result<Self, PriorError> {
        require_shape("mean", &rows_like(1, mean.dims()), &mean.dims())?;
        let pixels = mean.dims().iter().product();
        require_shape("covariance", &[pixels, pixels], &covariance.dims())?;
        let epsilon = covariance.dtype().finfo().map_or(0.0, |info| info.epsilon);
        let rounding = pixels as f64 * epsilon;
        let (basis, variances) = decompose(pixels, &covariance.try_to_vec_as()?, rounding)?;
        let options = (&mean.device(), mean.dtype());
        let smallest = smallest_variance(&variances)?;
        let each = Tensor::from_data(TensorData::new(variances, [1, pixels]), options);
        let spectrum = GaussianPrior {
            mean: each.zeros_like(),
            variance: Variance::Diagonal { each, smallest },
        };
        let basis = Tensor::from_data(TensorData::new(basis, [pixels, pixels]), options);
        Ok(Self {
            mean,
            basis,
            spectrum,
        })
    }

    /// `Cov[x_0 | x_0 + sigma n] v = sigma^2 C (C + sigma^2 I)^-1 v`, the same whatever the noisy image; `v` has one row or
    /// more.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use tweedie_core::FullGaussian;
    ///
    /// let device = Device::flex();
    /// let covariance = Tensor::from_floats([[2.0, 1.0], [1.0, 2.0]], &device);
    /// let prior = FullGaussian::new(Tensor::<2>::ones([1, 2], &device), covariance)?;
    /// // Along (1, 1) the prior has variance 3, and so has the noise: 3/2 is left.
    /// let spread = prior.posterior_covariance(Tensor::ones([1, 2], &device), 3f64.sqrt());
    /// let spread = spread.into_data().to_vec::<f32>().unwrap();
    /// assert!((spread[0] - 1.5).abs() < 1e-6 && (spread[1] - 1.5).abs() < 1e-6);
    /// # Ok::<(), tweedie_core::PriorError>(())
    /// ```
    pub fn posterior_covariance(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        let gain = self.spectrum.denoise(self.rotated(v), sigma);
        self.offset(gain).mul_scalar(sigma * sigma)
    }

    /// The mean, of one row.
    pub fn mean(&self) -> &Tensor<D> {
        &self.mean
    }

    /// `V diag(l^(1/2)) n`: of white noise `n`, of one row or more, noise of the covariance of the prior.
    pub fn coloured(&self, white: Tensor<D>) -> Tensor<D> {
        let shape = [white.dims()[0], self.basis.dims()[0]];
        self.offset(self.spectrum.coloured(white.reshape(shape)))
    }

    /// `V^T (x - mean)`, `[batch, d]`.
    fn coordinates(&self, x: Tensor<D>) -> Tensor<2> {
        self.rotated(x - self.mean.clone())
    }

    /// `mean + V c`.
    fn image(&self, coordinates: Tensor<2>) -> Tensor<D> {
        self.mean.clone() + self.offset(coordinates)
    }

    /// `V^T v`, `[batch, d]`.
    fn rotated(&self, v: Tensor<D>) -> Tensor<2> {
        let shape = [v.dims()[0], self.basis.dims()[0]];
        v.reshape(shape).matmul(self.basis.clone())
    }

    /// `V c`.
    fn offset(&self, coordinates: Tensor<2>) -> Tensor<D> {
        let shape = rows_like(coordinates.dims()[0], self.mean.dims());
        coordinates
            .matmul(self.basis.clone().transpose())
            .reshape(shape)
    }
}

/// Eigenvectors (a row-major matrix whose columns they are) and eigenvalues of a row-major covariance.
fn decompose(
    size: usize,
    entries: &[f64],
    rounding: f64,
) -> Result<(Vec<f64>, Vec<f64>), PriorError> {
    if let Some(index) = entries.iter().position(|entry| !entry.is_finite()) {
        return Err(PriorError::Covariance {
            row: index / size,
            column: index % size,
            found: entries[index],
        });
    }
    let matrix = DMatrix::from_row_slice(size, size, entries);
    let scale = matrix.amax();
    for row in 1..size {
        for column in 0..row {
            let (found, mirrored) = (matrix[(row, column)], matrix[(column, row)]);
            if (found - mirrored).abs() > rounding * scale {
                return Err(PriorError::Asymmetric {
                    row,
                    column,
                    found,
                    mirrored,
                });
            }
        }
    }
    let symmetric = (&matrix + matrix.transpose()) * 0.5;
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(symmetric);
    let (smallest, largest) = (eigenvalues.min(), eigenvalues.max());
    if smallest < -rounding * scale.max(largest) {
        return Err(PriorError::Indefinite { smallest, largest });
    }
    let floor = rounding * largest;
    let variances = eigenvalues
        .iter()
        .map(|value| if *value > floor { *value } else { 0.0 })
        .collect();
    Ok((eigenvectors.transpose().as_slice().to_vec(), variances))
}

impl<const D: usize> Denoiser<D> for FullGaussian<D> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        self.image(self.spectrum.denoise(self.coordinates(noisy), sigma))
    }
}

impl<const D: usize> AnalyticPrior<D> for FullGaussian<D> {
    fn sample(&self, rows: usize, rng: &mut Rng) -> Tensor<D> {
        self.image(self.spectrum.sample(rows, rng))
    }

    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1> {
        self.spectrum.log_density(self.coordinates(noisy), sigma)
    }
}
