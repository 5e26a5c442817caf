//! Mixing of channels: `y_k = sum_c M[k, c] x_c` at each pixel, as in colour to grey or a sensor with few spectral
//! bands.

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::{dense_svd::Factors, require_finite};
use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd, pseudo_inverse_by_svd,
    solve_normal_by_svd,
};

/// Weights of red, green and blue in luma (Recommendation ITU-R BT.601-7, section 2.5.1,
/// <https://www.itu.int/rec/R-REC-BT.601>).
const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// `[batch, c, height, width]` to `[batch, k, height, width]` by a `[k, c]` matrix; images of any size.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, SpectralMixing};
///
/// let device = Device::flex();
/// let green = Tensor::<4>::from_floats([[[[0.0]], [[1.0]], [[0.0]]]], &device);
/// let grey = SpectralMixing::grey(&device).forward(green);
/// assert_eq!(grey.into_scalar::<f32>(), 0.587);
/// ```
#[derive(Clone, Debug)]
pub struct SpectralMixing {
    /// `[k, c]`.
    matrix: Tensor<2>,
    factors: Factors,
}

impl SpectralMixing {
    /// Mixing by the matrix `[k, c]`, row `k` for channel `k` of the measurement. The singular value decomposition of
    /// the matrix is made here, on the host.
    ///
    /// # Errors
    /// If the matrix is empty or not finite, or cannot be read from its device.
    pub fn new(matrix: Tensor<2>) -> Result<Self, PhysicsError> {
        let shape @ [rows, columns] = matrix.dims();
        if rows == 0 || columns == 0 {
            return Err(PhysicsError::MatrixShape {
                matrix: shape,
                image: [columns, 1, 1],
                columns,
            });
        }
        require_finite(&matrix)?;
        let factors = Factors::of(&matrix)?;
        Ok(Self { matrix, factors })
    }

    /// Colour to grey: `0.299 red + 0.587 green + 0.114 blue`.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    pub fn grey(options: impl Into<TensorCreationOptions>) -> Self {
        let weights = TensorData::new(LUMA.to_vec(), [1, LUMA.len()]);
        Self::new(Tensor::from_data(weights, options)).expect("three finite weights can be read")
    }

    /// The matrix, `[k, c]`.
    pub fn matrix(&self) -> &Tensor<2> {
        &self.matrix
    }
}

/// The channels of each pixel times the matrix from the left.
fn mix(matrix: Tensor<2>, x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let rows = matrix.dims()[0];
    matrix
        .unsqueeze::<3>()
        .matmul(x.reshape([batch, channels, height * width]))
        .reshape([batch, rows, height, width])
}

impl ForwardOperator for SpectralMixing {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [rows, expected] = self.matrix.dims();
        let [batch, found, height, width] = image;
        if found == expected {
            Ok([batch, rows, height, width])
        } else {
            Err(PhysicsError::Channels { expected, found })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        mix(self.matrix.clone(), x)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for SpectralMixing {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        mix(self.matrix.clone().transpose(), y)
    }

    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        solve_normal_by_svd(self, rhs, damping)
    }

    fn pseudo_inverse(&self, y: Tensor<4>, _: ConjugateGradient) -> Tensor<4> {
        pseudo_inverse_by_svd(self, y)
    }
}

impl Svd for SpectralMixing {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        let channels = self.factors.s.dims()[0];
        self.factors.s.clone().reshape([1, channels, 1, 1])
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        mix(self.factors.v.clone().transpose(), x)
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        mix(self.factors.v.clone(), coefficients)
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        mix(self.factors.u.clone().transpose(), y)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        mix(self.factors.u.clone(), coefficients)
    }
}
