//! Operators of closures.

use burn::tensor::Tensor;

use crate::{ForwardOperator, LinearOperator, PhysicsError};

fn require_image(expected: [usize; 3], found: [usize; 4]) -> Result<(), PhysicsError> {
    if found[1..] == expected {
        Ok(())
    } else {
        Err(PhysicsError::ImageShape { expected, found })
    }
}

fn with_batch(batch: usize, [channels, height, width]: [usize; 3]) -> [usize; 4] {
    [batch, channels, height, width]
}

/// A linear operator of two closures, `A` and `A^T`.
///
/// [`check_operator`](crate::check_operator) tells whether they belong together.
///
/// ```
/// use burn::tensor::Device;
/// use tweedie_core::Rng;
/// use tweedie_physics::{LinearClosure, check_operator};
///
/// # fn main() -> Result<(), tweedie_physics::OperatorFault> {
/// let transpose = LinearClosure::new([1, 4, 6], [1, 6, 4], |x| x.swap_dims(2, 3), |y| y.swap_dims(2, 3));
/// check_operator(&transpose, [2, 1, 4, 6], &mut Rng::seeded(1, &Device::flex()))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinearClosure<F, T> {
    image: [usize; 3],
    measurement: [usize; 3],
    forward: F,
    adjoint: T,
}

impl<F, T> LinearClosure<F, T>
where
    F: Fn(Tensor<4>) -> Tensor<4>,
    T: Fn(Tensor<4>) -> Tensor<4>,
{
    /// `forward` maps images `[batch, ..image]` to measurements `[batch, ..measurement]` for any batch size and keeps
    /// batch rows apart; `adjoint` maps back, `<forward(x), y> = <x, adjoint(y)>`. Both shapes are `[channels, height,
    /// width]`.
    pub fn new(image: [usize; 3], measurement: [usize; 3], forward: F, adjoint: T) -> Self {
        Self {
            image,
            measurement,
            forward,
            adjoint,
        }
    }
}

impl<F, T> ForwardOperator for LinearClosure<F, T>
where
    F: Fn(Tensor<4>) -> Tensor<4>,
    T: Fn(Tensor<4>) -> Tensor<4>,
{
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_image(self.image, image)?;
        Ok(with_batch(image[0], self.measurement))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        (self.forward)(x)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl<F, T> LinearOperator for LinearClosure<F, T>
where
    F: Fn(Tensor<4>) -> Tensor<4>,
    T: Fn(Tensor<4>) -> Tensor<4>,
{
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        (self.adjoint)(y)
    }
}

/// A measurement by one closure of differentiable tensor operations; its `vjp` is automatic.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardClosure, ForwardOperator};
///
/// let squares = ForwardClosure::new([1, 1, 2], [1, 1, 2], |x| x.clone() * x);
/// let x = Tensor::<4>::from_floats([[[[1.0, 3.0]]]], &Device::flex());
/// let slope = squares.vjp(x.clone(), x.ones_like());
/// assert_eq!(slope.into_data().to_vec::<f32>().unwrap(), [2.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ForwardClosure<F> {
    image: [usize; 3],
    measurement: [usize; 3],
    forward: F,
}

impl<F: Fn(Tensor<4>) -> Tensor<4>> ForwardClosure<F> {
    /// `forward` maps images `[batch, ..image]` to measurements `[batch, ..measurement]` for any batch size and keeps
    /// batch rows apart. Both shapes are `[channels, height, width]`.
    pub fn new(image: [usize; 3], measurement: [usize; 3], forward: F) -> Self {
        Self {
            image,
            measurement,
            forward,
        }
    }
}

impl<F: Fn(Tensor<4>) -> Tensor<4>> ForwardOperator for ForwardClosure<F> {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_image(self.image, image)?;
        Ok(with_batch(image[0], self.measurement))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        (self.forward)(x)
    }
}
