//! The sum of two operators, `(A + B) x = A x + B x`.

use burn::tensor::Tensor;

use crate::{ForwardOperator, LinearOperator, PhysicsError};

/// `A + B`; both must give measurements of one shape.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Identity, Sum};
///
/// let x = Tensor::<4>::ones([1, 1, 1, 1], &Device::flex());
/// assert_eq!(Sum::new(Identity, Identity).forward(x).into_scalar::<f32>(), 2.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sum<A, B> {
    left: A,
    right: B,
}

impl<A: ForwardOperator, B: ForwardOperator> Sum<A, B> {
    /// `left + right`.
    pub fn new(left: A, right: B) -> Self {
        Self { left, right }
    }
}

impl<A: ForwardOperator, B: ForwardOperator> ForwardOperator for Sum<A, B> {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let left = self.left.measurement_shape(image)?;
        let right = self.right.measurement_shape(image)?;
        if left == right {
            Ok(left)
        } else {
            Err(PhysicsError::SumShapes { left, right })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.left.forward(x.clone()) + self.right.forward(x)
    }

    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.left.vjp(x.clone(), v.clone()) + self.right.vjp(x, v)
    }
}

impl<A: LinearOperator, B: LinearOperator> LinearOperator for Sum<A, B> {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.left.adjoint(y.clone()) + self.right.adjoint(y)
    }
}
