//! Several measurements of one image, `x -> (A_1 x, .., A_k x)`.

use burn::tensor::Tensor;

use crate::{ForwardOperator, LinearOperator, PhysicsError};

/// The measurements of several operators, flattened and one after another: `[batch, 1, 1, total]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{AverageDownsampling, ForwardOperator, Identity, Stack};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let both = Stack::new(
///     vec![Box::new(Identity), Box::new(AverageDownsampling::new(2)?)],
///     [1, 3, 4, 4],
/// )?;
/// let y = both.forward(Tensor::ones([2, 3, 4, 4], &Device::flex()));
/// assert_eq!(y.dims(), [2, 1, 1, 60]);
/// assert_eq!(both.split(y)[1].dims(), [2, 3, 2, 2]);
/// # Ok(())
/// # }
/// ```
pub struct Stack {
    operators: Vec<Box<dyn LinearOperator>>,
    image: [usize; 3],
    /// Channels, height and width of each measurement.
    parts: Vec<[usize; 3]>,
}

impl Stack {
    /// `operators` on images of shape `image`, `[batch, channels, height, width]`; any batch size that the operators
    /// take fits afterwards.
    ///
    /// # Errors
    /// If there is no operator, or one of them does not measure such images.
    pub fn new(
        operators: Vec<Box<dyn LinearOperator>>,
        image: [usize; 4],
    ) -> Result<Self, PhysicsError> {
        if operators.is_empty() {
            return Err(PhysicsError::EmptyStack);
        }
        let parts = operators
            .iter()
            .map(|operator| operator.measurement_shape(image).map(without_batch))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            operators,
            image: without_batch(image),
            parts,
        })
    }

    /// The measurement of each operator, in its own shape.
    ///
    /// # Panics
    /// If `y` has not the shape of a measurement.
    pub fn split(&self, y: Tensor<4>) -> Vec<Tensor<4>> {
        let batch = y.dims()[0];
        let mut start = 0;
        self.parts
            .iter()
            .map(|&[channels, height, width]| {
                let length = channels * height * width;
                let part = y.clone().narrow(3, start, length);
                start += length;
                part.reshape([batch, channels, height, width])
            })
            .collect()
    }

    fn total(&self) -> usize {
        self.parts
            .iter()
            .map(|part| part.iter().product::<usize>())
            .sum()
    }
}

fn without_batch([_, channels, height, width]: [usize; 4]) -> [usize; 3] {
    [channels, height, width]
}

impl ForwardOperator for Stack {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        if without_batch(image) != self.image {
            return Err(PhysicsError::ImageShape {
                expected: self.image,
                found: image,
            });
        }
        for operator in &self.operators {
            operator.measurement_shape(image)?;
        }
        Ok([image[0], 1, 1, self.total()])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let batch = x.dims()[0];
        let parts = self
            .operators
            .iter()
            .zip(&self.parts)
            .map(|(operator, part)| {
                operator
                    .forward(x.clone())
                    .reshape([batch, 1, 1, part.iter().product()])
            })
            .collect();
        Tensor::cat(parts, 3)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Stack {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.operators
            .iter()
            .zip(self.split(y))
            .map(|(operator, part)| operator.adjoint(part))
            .reduce(|sum, image| sum + image)
            .expect("a stack has at least one operator")
    }
}
