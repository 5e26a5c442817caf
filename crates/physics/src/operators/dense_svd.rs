//! A matrix together with its singular value decomposition, computed once on the host.

use burn::tensor::{Tensor, TensorData};
use nalgebra::DMatrix;

use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, MatrixOperator, PhysicsError, Svd,
    pseudo_inverse_by_svd, solve_normal_by_svd,
};

/// A [`MatrixOperator`] with its [`Svd`], for small matrices.
///
/// With `n` entries of an image and `m` of a measurement, `V` is `n x n` and `U` `m x n`; the decomposition costs of
/// the order of `n^3 + m n min(m, n)` operations in double precision on the host: seconds for `n = 1000`, hours for `n
/// = 20000`. Normal equations and pseudo-inverse are closed forms afterwards. Singular values below rounding error of
/// the matrix, `max(m, n)` epsilons of the largest one, are 0.
#[derive(Clone, Debug)]
pub struct DenseSvd {
    operator: MatrixOperator,
    factors: Factors,
}

impl DenseSvd {
    /// Decomposes the matrix.
    ///
    /// # Errors
    /// If it cannot be read from its device.
    pub fn new(operator: MatrixOperator) -> Result<Self, PhysicsError> {
        let factors = Factors::of(operator.matrix())?;
        Ok(Self { operator, factors })
    }

    /// The operator without its decomposition.
    pub fn operator(&self) -> &MatrixOperator {
        &self.operator
    }

    /// Images as rows `[batch, n]`, times `matrix`, as images.
    fn on_images(&self, x: Tensor<4>, matrix: Tensor<2>) -> Tensor<4> {
        let shape @ [batch, ..] = x.dims();
        x.reshape([batch, matrix.dims()[0]])
            .matmul(matrix)
            .reshape(shape)
    }
}

impl ForwardOperator for DenseSvd {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        self.operator.measurement_shape(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.operator.forward(x)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for DenseSvd {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.operator.adjoint(y)
    }

    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        solve_normal_by_svd(self, rhs, damping)
    }

    fn pseudo_inverse(&self, y: Tensor<4>, _: ConjugateGradient) -> Tensor<4> {
        pseudo_inverse_by_svd(self, y)
    }
}

impl Svd for DenseSvd {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        let [channels, height, width] = self.operator.image();
        self.factors.s.clone().reshape([1, channels, height, width])
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        self.on_images(x, self.factors.v.clone())
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.on_images(coefficients, self.factors.v.clone().transpose())
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let batch = y.dims()[0];
        let [channels, height, width] = self.operator.image();
        let u = self.factors.u.clone();
        y.reshape([batch, u.dims()[0]])
            .matmul(u)
            .reshape([batch, channels, height, width])
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let batch = coefficients.dims()[0];
        let [m, n] = self.factors.u.dims();
        coefficients
            .reshape([batch, n])
            .matmul(self.factors.u.clone().transpose())
            .reshape([batch, 1, 1, m])
    }
}

/// `M = U diag(s) V^T` of an `[m, n]` matrix, on its device and in its float type.
#[derive(Clone, Debug)]
pub(super) struct Factors {
    /// `[m, n]`, with columns of zeros where `s` is 0.
    pub(super) u: Tensor<2>,
    /// `[n]`, decreasing.
    pub(super) s: Tensor<1>,
    /// `[n, n]`, orthogonal.
    pub(super) v: Tensor<2>,
}

impl Factors {
    /// The matrix must be finite and have at least one entry.
    pub(super) fn of(matrix: &Tensor<2>) -> Result<Self, PhysicsError> {
        let [m, n] = matrix.dims();
        let values = matrix.try_to_vec_as::<f64>()?;
        let epsilon = matrix.dtype().finfo().map_or(0.0, |float| float.epsilon);
        let thin = DMatrix::from_row_slice(m, n, &values).svd(true, true);
        let u = thin.u.expect("U was asked for");
        let v = thin.v_t.expect("V was asked for").transpose();
        let zero = m.max(n) as f64 * epsilon * thin.singular_values[0];
        let rank = thin.singular_values.iter().filter(|&&s| s > zero).count();
        let s = (0..n).map(|i| {
            if i < rank {
                thin.singular_values[i]
            } else {
                0.0
            }
        });
        let padded = DMatrix::from_fn(m, n, |i, j| if j < rank { u[(i, j)] } else { 0.0 });
        let options = (&matrix.device(), matrix.dtype());
        Ok(Self {
            u: Tensor::from_data(rows_of(&padded), options),
            s: Tensor::from_data(TensorData::new(s.collect::<Vec<f64>>(), [n]), options),
            v: Tensor::from_data(rows_of(&completed(v)), options),
        })
    }
}

/// The `[n, k]` matrix of orthonormal columns with `n - k` further columns that make it orthogonal: the last columns of
/// `Q` in its full QR decomposition span the complement.
fn completed(v: DMatrix<f64>) -> DMatrix<f64> {
    let (n, k) = v.shape();
    let mut q_transposed = DMatrix::identity(n, n);
    v.clone().qr().q_tr_mul(&mut q_transposed);
    DMatrix::from_fn(n, n, |i, j| {
        if j < k {
            v[(i, j)]
        } else {
            q_transposed[(j, i)]
        }
    })
}

fn rows_of(matrix: &DMatrix<f64>) -> TensorData {
    let (rows, columns) = matrix.shape();
    // The storage is by columns.
    TensorData::new(matrix.transpose().as_slice().to_vec(), [rows, columns])
}
