//! What an operator can do. Batch rows are independent: row `i` of a result depends on row `i` of the argument alone.

use burn::tensor::Tensor;
use tweedie_core::value_and_vjp;

use crate::{ConjugateGradient, PhysicsError};

/// A differentiable measurement without noise, `A: x -> A(x)`.
///
/// `x` has rank `X`, `A(x)` rank `Y`; images are `[batch, channels, height, width]`.
pub trait ForwardOperator<const X: usize = 4, const Y: usize = X> {
    /// The shape of `A(x)` for `x` of shape `image`.
    ///
    /// # Errors
    /// If the operator cannot measure images of that shape.
    fn measurement_shape(&self, image: [usize; X]) -> Result<[usize; Y], PhysicsError>;

    /// `A(x)`, of the shape that [`measurement_shape`](Self::measurement_shape) gives.
    ///
    /// # Panics
    /// If `measurement_shape` refuses the shape of `x`, or `x` is of another float type or device than the operator's
    /// own tensors.
    fn forward(&self, x: Tensor<X>) -> Tensor<Y>;

    /// `J_A(x)^T v`, of the shape of `x`; by automatic differentiation unless overridden.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), or if `v` has not the shape of `A(x)`.
    fn vjp(&self, x: Tensor<X>, v: Tensor<Y>) -> Tensor<X> {
        value_and_vjp(x, |x| self.forward(x), |_| v).1
    }
}

/// A linear operator with its exact adjoint.
pub trait LinearOperator<const X: usize = 4, const Y: usize = X>: ForwardOperator<X, Y> {
    /// `A^T y`, where `<A x, y> = <x, A^T y>` for all `x` and `y`.
    ///
    /// # Panics
    /// If `y` has not the shape of a measurement.
    fn adjoint(&self, y: Tensor<Y>) -> Tensor<X>;

    /// `(A^T A + damping I)^-1 rhs`, `damping >= 0`.
    ///
    /// With `damping = 0` it is the least-norm solution for `rhs` in the range of `A^T`, so nothing is divided by zero where
    /// `A` is blind. By conjugate gradients unless the operator has a closed form, which ignores `cg`.
    fn solve_normal(&self, rhs: Tensor<X>, damping: f64, cg: ConjugateGradient) -> Tensor<X> {
        cg.solve(
            |x| self.adjoint(self.forward(x.clone())) + x.mul_scalar(damping),
            rhs,
        )
    }

    /// `A^+ y`, the least-norm least-squares solution: what a measurement looks like as an image.
    ///
    /// It amplifies noise where `A` is weak. An iterative solution of few iterations amplifies it less.
    fn pseudo_inverse(&self, y: Tensor<Y>, cg: ConjugateGradient) -> Tensor<X> {
        self.solve_normal(self.adjoint(y), 0.0, cg)
    }
}

macro_rules! forward_operator {
    ($($pointer:ty),*) => {$(
        impl<const X: usize, const Y: usize, T: ForwardOperator<X, Y> + ?Sized>
            ForwardOperator<X, Y> for $pointer
        {
            fn measurement_shape(&self, image: [usize; X]) -> Result<[usize; Y], PhysicsError> {
                (**self).measurement_shape(image)
            }
            fn forward(&self, x: Tensor<X>) -> Tensor<Y> {
                (**self).forward(x)
            }
            fn vjp(&self, x: Tensor<X>, v: Tensor<Y>) -> Tensor<X> {
                (**self).vjp(x, v)
            }
        }
        impl<const X: usize, const Y: usize, T: LinearOperator<X, Y> + ?Sized>
            LinearOperator<X, Y> for $pointer
        {
            fn adjoint(&self, y: Tensor<Y>) -> Tensor<X> {
                (**self).adjoint(y)
            }
            fn solve_normal(
                &self,
                rhs: Tensor<X>,
                damping: f64,
                cg: ConjugateGradient,
            ) -> Tensor<X> {
                (**self).solve_normal(rhs, damping, cg)
            }
            fn pseudo_inverse(&self, y: Tensor<Y>, cg: ConjugateGradient) -> Tensor<X> {
                (**self).pseudo_inverse(y, cg)
            }
        }
    )*};
}
forward_operator!(&T, Box<T>);
