//! One operator after another, `(A B) x = A (B x)`.

use burn::tensor::Tensor;

use crate::{ForwardOperator, LinearOperator, PhysicsError};

/// `A B`: first `B`, then `A`. Closed forms of the factors say nothing about their product, so its normal equations are
/// solved by conjugate gradients.
///
/// ```
/// use burn::tensor::Device;
/// use tweedie_physics::{AverageDownsampling, Blur, ForwardOperator, Product};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let blur = Blur::gaussian([8, 8], 0.8, &Device::flex())?;
/// let small = Product::new(AverageDownsampling::new(2)?, blur);
/// assert_eq!(small.measurement_shape([1, 3, 8, 8])?, [1, 3, 4, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Product<A, B> {
    last: A,
    first: B,
}

impl<A: ForwardOperator, B: ForwardOperator> Product<A, B> {
    /// `last first`, in the order of a product of matrices.
    pub fn new(last: A, first: B) -> Self {
        Self { last, first }
    }
}

impl<A: ForwardOperator, B: ForwardOperator> ForwardOperator for Product<A, B> {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        self.last
            .measurement_shape(self.first.measurement_shape(image)?)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.last.forward(self.first.forward(x))
    }

    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        let between = self.first.forward(x.clone());
        self.first.vjp(x, self.last.vjp(between, v))
    }
}

impl<A: LinearOperator, B: LinearOperator> LinearOperator for Product<A, B> {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.first.adjoint(self.last.adjoint(y))
    }
}
