//! Super-resolution: each pixel of the measurement is the mean of a block of `factor x factor` pixels of the image.
//!
//! `A^T` spreads a pixel evenly over its block, divided by `factor^2`, so `A A^T = I / factor^2` and `factor^2 A^T A` is the
//! projection that replaces each block by its mean.
//!
//! `V` is the Householder reflection of each block that exchanges its first pixel and the constant vector of norm 1, and its
//! own inverse; the first entry of a block then has the singular value `1 / factor`, the others 0, and `U = I`.

use burn::tensor::{Tensor, ops::PadMode};

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd};

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

/// Refuses images that do not split into whole blocks.
pub(super) fn require_divisible(size: [usize; 2], factor: usize) -> Result<(), PhysicsError> {
    if factor == 0 {
        Err(PhysicsError::ZeroFactor)
    } else if size.iter().all(|side| side.is_multiple_of(factor)) {
        Ok(())
    } else {
        Err(PhysicsError::NotDivisible { size, factor })
    }
}

/// The first pixel of each block.
fn corners(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    x.reshape([batch * channels, rows, factor, columns, factor])
        .narrow(2, 0, 1)
        .narrow(4, 0, 1)
        .reshape([batch, channels, rows, columns])
}

/// Each pixel in the corner of a block of zeros: the transpose of [`corners`].
pub(super) fn insert_zeros(y: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, rows, columns] = y.dims();
    let rest = (0, factor - 1);
    y.reshape([batch * channels, rows, 1, columns, 1])
        .pad([rest, (0, 0), rest], PadMode::Constant(0.0))
        .reshape([batch, channels, rows * factor, columns * factor])
}

impl ForwardOperator for AverageDownsampling {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        require_divisible([height, width], self.factor)?;
        Ok([batch, channels, height / self.factor, width / self.factor])
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
        self.spread(y).mul_scalar(self.block_size().recip())
    }

    /// `P rhs / (1/factor^2 + damping) + (I - P) rhs / damping`, `P` the block means; the second term is absent without
    /// damping.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        let means = self.spread(self.forward(rhs.clone()));
        let seen = means
            .clone()
            .mul_scalar((self.block_size().recip() + damping).recip());
        if damping == 0.0 {
            seen
        } else {
            seen + (rhs - means).mul_scalar(damping.recip())
        }
    }
}

impl Svd for AverageDownsampling {
    fn singular_values(&self, like: &Tensor<4>) -> Tensor<4> {
        let [.., height, width] = like.dims();
        let size = [1, 1, height / self.factor, width / self.factor];
        let value = (self.factor as f64).recip();
        let options = (&like.device(), like.dtype());
        insert_zeros(Tensor::full(size, value, options), self.factor)
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        self.v(x)
    }

    /// `c - w w^T c / (1 - 1/factor)`, `w` the difference of the first unit vector and the constant one.
    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        if self.factor == 1 {
            return coefficients;
        }
        let side = self.factor as f64;
        let means = self.forward(coefficients.clone());
        let along = corners(coefficients.clone(), self.factor) - means.mul_scalar(side);
        let along = along.mul_scalar(side / (side - 1.0));
        coefficients - insert_zeros(along.clone(), self.factor)
            + self.spread(along).mul_scalar(side.recip())
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        insert_zeros(y, self.factor)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        corners(coefficients, self.factor)
    }
}
