//! Any matrix: `y = M x` on the entries of an image in row-major order.
//!
//! With independent entries `N(0, 1/m)` it is compressed sensing: `E |M x|^2 = |x|^2`, and sparse images can be
//! recovered from few measurements (Candes & Tao 2006, <https://doi.org/10.1109/TIT.2006.885507>).

use burn::tensor::{Distribution, ElementRandom, Tensor, TensorCreationOptions, TensorData};

use super::require_finite;
use crate::{ForwardOperator, LinearOperator, PhysicsError, random::generator};

/// `[batch, channels, height, width]` to `[batch, 1, 1, m]`: each image as a vector, times an `[m, channels height
/// width]` matrix.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, MatrixOperator};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let matrix = Tensor::from_floats([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]], &device);
/// let operator = MatrixOperator::new(matrix, [1, 2, 2])?;
/// let y = operator.forward(Tensor::ones([1, 1, 2, 2], &device));
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [3.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MatrixOperator {
    /// `[m, n]`.
    matrix: Tensor<2>,
    image: [usize; 3],
}

impl MatrixOperator {
    /// The matrix `[m, channels height width]` on images of `[channels, height, width]`.
    ///
    /// # Errors
    /// If the matrix has no row, another number of columns than the image has entries, or an entry that is not finite;
    /// or if it cannot be read from its device.
    pub fn new(matrix: Tensor<2>, image: [usize; 3]) -> Result<Self, PhysicsError> {
        require_shape(matrix.dims(), image)?;
        require_finite(&matrix)?;
        Ok(Self { matrix, image })
    }

    /// `m` random measurements of images of `[channels, height, width]`: independent entries `N(0, 1/m)` that depend on
    /// `seed` alone.
    ///
    /// `options` is the device, or `(&device, dtype)`. The matrix has `m channels height width` entries; for large
    /// images [`Hadamard`](crate::Hadamard) measures as well without a matrix.
    ///
    /// # Errors
    /// If `m` is 0 or the image has no entries.
    pub fn compressed_sensing(
        image: [usize; 3],
        m: usize,
        seed: u64,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        let shape = [m, image.iter().product()];
        require_shape(shape, image)?;
        let law = Distribution::Normal(0.0, (m as f64).sqrt().recip());
        let mut generator = generator(seed);
        let entries: Vec<f64> = (0..shape[0] * shape[1])
            .map(|_| f64::random(law, &mut generator))
            .collect();
        let matrix = Tensor::from_data(TensorData::new(entries, shape), options);
        Ok(Self { matrix, image })
    }

    /// The matrix, `[m, channels height width]`.
    pub fn matrix(&self) -> &Tensor<2> {
        &self.matrix
    }

    /// Channels, height and width of the images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }
}

fn require_shape(matrix: [usize; 2], image: [usize; 3]) -> Result<(), PhysicsError> {
    let columns = image.iter().product();
    if matrix[0] > 0 && columns > 0 && matrix[1] == columns {
        Ok(())
    } else {
        Err(PhysicsError::MatrixShape {
            matrix,
            image,
            columns,
        })
    }
}

impl ForwardOperator for MatrixOperator {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        if image[1..] == self.image {
            Ok([image[0], 1, 1, self.matrix.dims()[0]])
        } else {
            Err(PhysicsError::ImageShape {
                expected: self.image,
                found: image,
            })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let batch = x.dims()[0];
        let [m, n] = self.matrix.dims();
        x.reshape([batch, n])
            .matmul(self.matrix.clone().transpose())
            .reshape([batch, 1, 1, m])
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for MatrixOperator {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let batch = y.dims()[0];
        let [channels, height, width] = self.image;
        y.reshape([batch, self.matrix.dims()[0]])
            .matmul(self.matrix.clone())
            .reshape([batch, channels, height, width])
    }
}
