//! Denoising: the measurement is the image itself, `A = I`.

use burn::tensor::Tensor;

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError};

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
        rhs.div_scalar(1.0 + damping)
    }
}
