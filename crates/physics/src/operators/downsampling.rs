//! Super-resolution: each pixel of the measurement is the mean of a block of `factor x factor` pixels of the image.
//!
//! `A^T` spreads a pixel evenly over its block, divided by `factor^2`, so `A A^T = I / factor^2` and `factor^2 A^T A` is the
//! projection that replaces each block by its mean.

use burn::tensor::Tensor;

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError};

/// Block means: `[batch, channels, height, width]` to `[batch, channels, height / factor, width / factor]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{AverageDownsampling, ForwardOperator};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let x = Tensor::<4>::from_floats([[[[1.0, 2.0], [3.0, 6.0]]]], &Device::flex());
/// let y = AverageDownsampling::new(2)?.forward(x);
/// assert_eq!(y.into_scalar::<f32>(), 3.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AverageDownsampling {
    factor: usize,
}

impl AverageDownsampling {
    /// Means over blocks of `factor x factor` pixels.
    ///
    /// # Errors
    /// If `factor` is 0.
    pub fn new(factor: usize) -> Result<Self, PhysicsError> {
        if factor == 0 {
            return Err(PhysicsError::ZeroFactor);
        }
        Ok(Self { factor })
    }

    /// Side of a block.
    pub fn factor(&self) -> usize {
        self.factor
    }

    fn block_size(&self) -> f64 {
        (self.factor * self.factor) as f64
    }

    /// Each pixel repeated over its block.
    fn spread(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = y.dims();
        let factor = self.factor;
        y.reshape([batch * channels, height, 1, width, 1])
            .expand([batch * channels, height, factor, width, factor])
            .reshape([batch, channels, height * factor, width * factor])
    }
}

impl ForwardOperator for AverageDownsampling {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        let factor = self.factor;
        if height.is_multiple_of(factor) && width.is_multiple_of(factor) {
            Ok([batch, channels, height / factor, width / factor])
        } else {
            Err(PhysicsError::NotDivisible {
                size: [height, width],
                factor,
            })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let factor = self.factor;
        let (rows, columns) = (height / factor, width / factor);
        x.reshape([batch * channels, rows, factor, columns, factor])
            .mean_dims(&[2, 4])
            .reshape([batch, channels, rows, columns])
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for AverageDownsampling {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.spread(y).div_scalar(self.block_size())
    }

    /// `P rhs / (1/factor^2 + damping) + (I - P) rhs / damping`, `P` the block means; the second term is absent without
    /// damping.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        let means = self.spread(self.forward(rhs.clone()));
        let seen = means
            .clone()
            .div_scalar(self.block_size().recip() + damping);
        if damping == 0.0 {
            seen
        } else {
            seen + (rhs - means).div_scalar(damping)
        }
    }
}
