//! A linear measurement with Gaussian noise, seen in the singular basis of its operator.

use burn::tensor::{Bool, Tensor};
use tweedie_physics::{ForwardOperator, Svd};

use crate::{SampleError, error::require};

/// `y = A x + noise_std n`, `n ~ N(0, I)`.
#[derive(Clone, Debug)]
pub struct Measurement<A, const Y: usize = 4> {
    /// `A`.
    pub operator: A,
    /// `y`, of one row for all images or one for each.
    pub y: Tensor<Y>,
    /// `>= 0`, in the units of `y`.
    pub noise_std: f64,
}

/// The measurement entry by entry. What depends on the operator alone has axes of length 1 where it is constant, and
/// broadcasts to the shape of the images.
pub(crate) struct Spectrum<const X: usize> {
    /// `s`, of the shape of the images.
    pub(crate) values: Tensor<X>,
    /// Where `s > 0`; broadcasts.
    pub(crate) seen: Tensor<X, Bool>,
    /// `diag(1/s) U^T y`, an estimate of `V^T x` with noise of standard deviation `noise_std/s`; 0 where `s` is 0. Of the
    /// shape of the images.
    pub(crate) target: Tensor<X>,
    /// `noise_std/s`, 0 where `s` is 0; broadcasts.
    pub(crate) noise: Tensor<X>,
}

impl<A, const Y: usize> Measurement<A, Y> {
    pub(crate) fn require_noise(&self) -> Result<(), SampleError> {
        let valid = self.noise_std >= 0.0 && self.noise_std.is_finite();
        require("noise_std", self.noise_std, valid, "finite and at least 0")
    }

    /// Fails unless images of shape `image` have such a measurement.
    pub(crate) fn require_shape<const X: usize>(&self, image: [usize; X]) -> Result<(), SampleError>
    where
        A: ForwardOperator<X, Y>,
    {
        require_shape(&self.operator, &self.y, image)
    }

    /// For images like `like`.
    pub(crate) fn spectrum<const X: usize>(&self, like: &Tensor<X>) -> Spectrum<X>
    where
        A: Svd<X, Y>,
    {
        let shape = like.dims();
        let values = self.operator.singular_values(like);
        let seen = values.clone().greater_elem(0.0);
        let blind = seen.clone().bool_not();
        let inverse = values
            .clone()
            .mask_fill(blind.clone(), 1.0)
            .recip()
            .mask_fill(blind, 0.0);
        let target = self.operator.u_adjoint(self.y.clone()).expand(shape);
        Spectrum {
            target: target * inverse.clone(),
            noise: inverse.mul_scalar(self.noise_std),
            values: values.expand(shape),
            seen,
        }
    }
}

/// Fails unless the operator measures images of shape `image` as `y`.
pub(crate) fn require_shape<const X: usize, const Y: usize>(
    operator: &impl ForwardOperator<X, Y>,
    y: &Tensor<Y>,
    image: [usize; X],
) -> Result<(), SampleError> {
    let found = y.dims();
    let fits = operator
        .measurement_shape(image)
        .is_ok_and(|shape| shape[1..] == found[1..] && (found[0] == 1 || found[0] == image[0]));
    if fits {
        return Ok(());
    }
    Err(SampleError::Mismatch {
        image: image.to_vec(),
        measurement: found.to_vec(),
    })
}
