//! Singular values: `A = U diag(s) V^T` where the decomposition is cheap.

use burn::tensor::Tensor;

use crate::LinearOperator;

/// A linear operator with a known singular value decomposition, `A = U diag(s) V^T`.
///
/// Coefficients have the shape of the image: `V` is orthogonal on images, and entry `i` of `V^T x` belongs to the singular
/// value `s_i >= 0`. `U` maps those entries with `s_i > 0` to orthonormal measurements. Where the image has more entries than
/// the measurement, the others have `s_i = 0`: nothing of them is measured.
pub trait Svd<const X: usize = 4, const Y: usize = X>: LinearOperator<X, Y> {
    /// `s`, on the device and of the float type of `like`, for images of its shape; axes of length 1 stand for equal values.
    ///
    /// # Panics
    /// If the operator does not measure images of that shape.
    fn singular_values(&self, like: &Tensor<X>) -> Tensor<X>;

    /// `V^T x`, of the shape of `x`.
    fn v_adjoint(&self, x: Tensor<X>) -> Tensor<X>;

    /// `V c`, of the shape of `c`.
    fn v(&self, coefficients: Tensor<X>) -> Tensor<X>;

    /// `U^T y`, of the shape of an image, 0 where `s` is 0.
    fn u_adjoint(&self, y: Tensor<Y>) -> Tensor<X>;

    /// `U c`, of the shape of a measurement; coefficients where `s` is 0 play no part.
    fn u(&self, coefficients: Tensor<X>) -> Tensor<Y>;
}

/// `(A^T A + damping I)^-1 rhs = V diag(1/(s^2 + damping)) V^T rhs`; without damping the least-norm solution.
pub fn solve_normal_by_svd<const X: usize, const Y: usize>(
    operator: &(impl Svd<X, Y> + ?Sized),
    rhs: Tensor<X>,
    damping: f64,
) -> Tensor<X> {
    let weights = operator.singular_values(&rhs).square().add_scalar(damping);
    let coefficients = operator.v_adjoint(rhs);
    operator.v(coefficients * reciprocal(weights))
}

/// `A^+ y = V diag(1/s) U^T y`, 0 where `s` is 0.
pub fn pseudo_inverse_by_svd<const X: usize, const Y: usize>(
    operator: &(impl Svd<X, Y> + ?Sized),
    y: Tensor<Y>,
) -> Tensor<X> {
    let coefficients = operator.u_adjoint(y);
    let weights = reciprocal(operator.singular_values(&coefficients));
    operator.v(coefficients * weights)
}

/// `1/x`, and 0 where `x` is 0.
pub(crate) fn reciprocal<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero.clone(), 1.0).recip().mask_fill(zero, 0.0)
}

macro_rules! forward_svd {
    ($($pointer:ty),*) => {$(
        impl<const X: usize, const Y: usize, T: Svd<X, Y> + ?Sized> Svd<X, Y> for $pointer {
            fn singular_values(&self, like: &Tensor<X>) -> Tensor<X> {
                (**self).singular_values(like)
            }
            fn v_adjoint(&self, x: Tensor<X>) -> Tensor<X> {
                (**self).v_adjoint(x)
            }
            fn v(&self, coefficients: Tensor<X>) -> Tensor<X> {
                (**self).v(coefficients)
            }
            fn u_adjoint(&self, y: Tensor<Y>) -> Tensor<X> {
                (**self).u_adjoint(y)
            }
            fn u(&self, coefficients: Tensor<X>) -> Tensor<Y> {
                (**self).u(coefficients)
            }
        }
    )*};
}
forward_svd!(&T, Box<T>);
