//! A multiple of an operator, `(c A) x = c (A x)`.

use burn::tensor::Tensor;

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd};

/// `c A`, with the closed forms and the singular values of `A`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Identity, Scaled};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let x = Tensor::<4>::ones([1, 1, 1, 1], &Device::flex());
/// assert_eq!(Scaled::new(0.5, Identity)?.forward(x).into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Scaled<A> {
    factor: f64,
    operator: A,
}

impl<A: ForwardOperator> Scaled<A> {
    /// `factor` times `operator`.
    ///
    /// # Errors
    /// If `factor` is 0 or not finite.
    pub fn new(factor: f64, operator: A) -> Result<Self, PhysicsError> {
        if factor != 0.0 && factor.is_finite() {
            Ok(Self { factor, operator })
        } else {
            Err(PhysicsError::ScaleFactor { found: factor })
        }
    }
}

impl<A: ForwardOperator> ForwardOperator for Scaled<A> {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        self.operator.measurement_shape(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.operator.forward(x).mul_scalar(self.factor)
    }

    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.operator.vjp(x, v.mul_scalar(self.factor))
    }
}

impl<A: LinearOperator> LinearOperator for Scaled<A> {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.operator.adjoint(y).mul_scalar(self.factor)
    }

    /// `(c^2 A^T A + damping I)^-1 = c^-2 (A^T A + damping c^-2 I)^-1`.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, cg: ConjugateGradient) -> Tensor<4> {
        let inverse_square = self.factor.powi(2).recip();
        self.operator
            .solve_normal(rhs, damping * inverse_square, cg)
            .mul_scalar(inverse_square)
    }

    fn pseudo_inverse(&self, y: Tensor<4>, cg: ConjugateGradient) -> Tensor<4> {
        self.operator
            .pseudo_inverse(y, cg)
            .mul_scalar(self.factor.recip())
    }
}

/// `U` takes the sign of the factor.
impl<A: Svd> Svd for Scaled<A> {
    fn singular_values(&self, like: &Tensor<4>) -> Tensor<4> {
        self.operator
            .singular_values(like)
            .mul_scalar(self.factor.abs())
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        self.operator.v_adjoint(x)
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.operator.v(coefficients)
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.operator.u_adjoint(y).mul_scalar(self.factor.signum())
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.operator
            .u(coefficients)
            .mul_scalar(self.factor.signum())
    }
}
