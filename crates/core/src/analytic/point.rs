//! A point mass: `D(x; sigma) = point`, `p_sigma = N(point, sigma^2 I)`.

use burn::tensor::Tensor;

use super::{AnalyticPrior, GaussianPrior, rows_like};
use crate::{Denoiser, Rng};

/// A prior that knows the image. DDIM, DDPM and exponential integrators are exact for it at any step size.
///
/// It has no density at `sigma = 0`.
#[derive(Clone, Debug)]
pub struct PointMass<const D: usize = 4> {
    point: Tensor<D>,
}

impl<const D: usize> PointMass<D> {
    /// All mass at `point`, `[1, ...]`.
    ///
    /// # Panics
    /// If `point` has not one row.
    pub fn new(point: Tensor<D>) -> Self {
        let rows = point.dims()[0];
        assert!(rows == 1, "a point is one row, got {rows}");
        Self { point }
    }

    fn repeated(&self, rows: usize) -> Tensor<D> {
        let shape = rows_like(rows, self.point.dims());
        self.point.clone().expand(shape)
    }
}

impl<const D: usize> Denoiser<D> for PointMass<D> {
    fn denoise(&self, noisy: Tensor<D>, _sigma: f64) -> Tensor<D> {
        self.repeated(noisy.dims()[0])
    }
}

/// A draw reads no random numbers.
impl<const D: usize> AnalyticPrior<D> for PointMass<D> {
    fn sample(&self, rows: usize, _rng: &mut Rng) -> Tensor<D> {
        self.repeated(rows)
    }

    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1> {
        GaussianPrior::new(self.point.clone(), 0.0).log_density(noisy, sigma)
    }
}
