//! Denoising: the measurement is the image itself, `A = I`.

use burn::tensor::Tensor;

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd};

/// `A = I`, for tensors of any rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;

impl<const D: usize> ForwardOperator<D> for Identity {
    fn measurement_shape(&self, image: [usize; D]) -> Result<[usize; D], PhysicsError> {
        Ok(image)
    }

    fn forward(&self, x: Tensor<D>) -> Tensor<D> {
        x
    }

    fn vjp(&self, _: Tensor<D>, v: Tensor<D>) -> Tensor<D> {
        v
    }
}

impl<const D: usize> LinearOperator<D> for Identity {
    fn adjoint(&self, y: Tensor<D>) -> Tensor<D> {
        y
    }

    /// `rhs / (1 + damping)`.
    fn solve_normal(&self, rhs: Tensor<D>, damping: f64, _: ConjugateGradient) -> Tensor<D> {
        rhs.mul_scalar((1.0 + damping).recip())
    }
}

/// `U = V = I`, all singular values 1.
impl<const D: usize> Svd<D> for Identity {
    fn singular_values(&self, like: &Tensor<D>) -> Tensor<D> {
        Tensor::ones([1; D], (&like.device(), like.dtype()))
    }

    fn v_adjoint(&self, x: Tensor<D>) -> Tensor<D> {
        x
    }

    fn v(&self, coefficients: Tensor<D>) -> Tensor<D> {
        coefficients
    }

    fn u_adjoint(&self, y: Tensor<D>) -> Tensor<D> {
        y
    }

    fn u(&self, coefficients: Tensor<D>) -> Tensor<D> {
        coefficients
    }
}
