//! A random problem: the mixture, what was measured, and the law of the image that both make.
//!
//! Means `(-8 i, -8 j)`, i and j from -2 to 2, each repeated along the image, unit variances, weights that are squares of normal
//! numbers. `A = U diag(s) V^T` with random orthonormal columns in `U` and `V` and uniform `s`; `y = A x + noise_std n` for a draw
//! `x` of the mixture and `noise_std` a uniform number times the largest `s`.
//!
//! With `G = A^T (A A^T + noise_std^2 I)^-1` component `k` of the posterior has mean `m_k + G (y - A m_k)`, covariance
//! `I - G A`, and a weight in proportion to `w_k N(y; A m_k, A A^T + noise_std^2 I)`. A draw `z` of the component with noise `n`
//! of its own is corrected by `z + G (y - A z - noise_std n)`, Matheron's rule.

use nalgebra::{Cholesky, DMatrix, DVector};
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{AnalyticPrior, GaussianMixture, PriorError, Rng},
    physics::{DenseSvd, MatrixOperator},
    samplers::Measurement,
};

use crate::failure::Outcome;

/// Distance of neighbouring means in a pixel.
const SPACING: f64 = 8.0;

/// Indices of the means along an axis go from `-REACH` to `REACH`.
const REACH: i32 = 2;

/// From the lowest mean of a pixel to the highest.
pub(crate) const EXTENT: f64 = SPACING * 2.0 * REACH as f64;

/// A measurement and all that is known about what it is of, in pixels of some unit.
pub(crate) struct Problem {
    pub(crate) prior: GaussianMixture,
    pub(crate) operator: DenseSvd,
    pub(crate) y: Tensor<4>,
    pub(crate) noise_std: f64,
    /// Variance of a pixel under the prior, averaged.
    pub(crate) pixel_variance: f64,
    law: Law,
}

/// What the problem is made of, on the host, in the unit of the protocol.
#[derive(Clone)]
struct Law {
    weights: Vec<f64>,
    /// `[components, d]`.
    means: DMatrix<f64>,
    /// `[dy, d]`.
    matrix: DMatrix<f64>,
    y: DVector<f64>,
    noise_std: f64,
}

impl Problem {
    /// `dy` measurements of an image of `d` pixels, an even number.
    pub(crate) fn draw(d: usize, dy: usize, rng: &mut Rng) -> Outcome<Self> {
        let means = means(d);
        let weights = numbers(rng.normal([1, means.nrows()]));
        let weights: Vec<f64> = weights.iter().map(|normal| normal * normal).collect();
        let mut orthonormal = |rows: usize| {
            let normal = numbers(rng.normal([1, rows * dy]));
            DMatrix::from_vec(rows, dy, normal).qr().q()
        };
        let (u, v) = (orthonormal(dy), orthonormal(d));
        let mut uniform = numbers(rng.uniform([1, dy + 1]));
        let share = uniform.pop().expect("there is one more than measurements");
        uniform.sort_unstable_by(|a, b| b.total_cmp(a));
        let noise_std = share * uniform[0];
        let matrix = u * DMatrix::from_diagonal(&DVector::from_vec(uniform)) * v.transpose();

        let x = DVector::from_vec(numbers(mixture(&weights, &means, 1.0)?.sample(1, rng)));
        let noise = DVector::from_vec(numbers(rng.normal([1, dy])));
        let y = &matrix * x + noise * noise_std;
        Self::of(
            Law {
                weights,
                means,
                matrix,
                y,
                noise_std,
            },
            1.0,
        )
    }

    /// The same in pixels of which one of the protocol has `unit`.
    pub(crate) fn in_unit(&self, unit: f64) -> Outcome<Self> {
        Self::of(self.law.clone(), unit)
    }

    fn of(law: Law, unit: f64) -> Outcome<Self> {
        let (dy, d) = law.matrix.shape();
        let matrix = tensor(by_rows(&law.matrix), [dy, d]);
        let y = law.y.iter().map(|y| y * unit).collect();
        Ok(Self {
            prior: mixture(&law.weights, &law.means, unit)?,
            operator: DenseSvd::new(MatrixOperator::new(matrix, [1, 1, d])?)?,
            y: tensor(y, [1, 1, 1, dy]),
            noise_std: law.noise_std * unit,
            pixel_variance: law.pixel_variance() * unit * unit,
            law,
        })
    }

    /// The measurement for samplers that take it whole.
    pub(crate) fn measurement(&self) -> Measurement<&DenseSvd> {
        Measurement {
            operator: &self.operator,
            y: self.y.clone(),
            noise_std: self.noise_std,
        }
    }

    /// An image, for its shape.
    pub(crate) fn image(&self) -> Tensor<4> {
        self.y.zeros_like().slice([0..1, 0..1, 0..1, 0..1]).expand([
            1,
            1,
            1,
            self.law.means.ncols(),
        ])
    }

    /// Draws of the law of the image, in the unit of the protocol.
    pub(crate) fn exact(&self, draws: usize, rng: &mut Rng) -> Tensor<4> {
        self.law.posterior(draws, rng)
    }
}

impl Law {
    fn pixel_variance(&self) -> f64 {
        let total: f64 = self.weights.iter().sum();
        let weights =
            DVector::from_iterator(self.weights.len(), self.weights.iter().map(|w| w / total));
        let mean = self.means.tr_mul(&weights);
        let squares = self.means.component_mul(&self.means).tr_mul(&weights);
        1.0 + (squares.sum() - mean.norm_squared()) / mean.len() as f64
    }

    fn posterior(&self, draws: usize, rng: &mut Rng) -> Tensor<4> {
        let (dy, d) = self.matrix.shape();
        let noise = DMatrix::from_diagonal_element(dy, dy, self.noise_std * self.noise_std);
        let total = Cholesky::new(&self.matrix * self.matrix.transpose() + noise)
            .expect("random matrices have full rank");
        let misfits = &self.matrix * self.means.transpose();
        let misfits = DMatrix::from_fn(dy, misfits.ncols(), |row, k| {
            self.y[row] - misfits[(row, k)]
        });
        let whitened = total
            .l()
            .solve_lower_triangular(&misfits)
            .expect("the factor is regular");
        let logs: Vec<f64> = (self.weights.iter().zip(whitened.column_iter()))
            .map(|(weight, misfit)| weight.ln() - 0.5 * misfit.norm_squared())
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A component whose weight underflows is never drawn.
        let weights: Vec<f64> = logs
            .iter()
            .map(|log| (log - largest).exp().max(f64::MIN_POSITIVE))
            .collect();

        let components = mixture(&weights, &self.means, 1.0).expect("weights above 0");
        let z = components.sample(draws, rng).reshape([draws, d]);
        let noise = rng.normal([draws, dy]).mul_scalar(self.noise_std);
        let matrix = tensor(by_rows(&self.matrix), [dy, d]);
        let y = tensor(self.y.as_slice().to_vec(), [1, dy]);
        // `G^T`.
        let gain = tensor(by_rows(&total.solve(&self.matrix)), [dy, d]);
        let misfit = y - z.clone().matmul(matrix.transpose()) - noise;
        (z + misfit.matmul(gain)).reshape([draws, 1, 1, d])
    }
}

/// One row for each component.
fn means(d: usize) -> DMatrix<f64> {
    let axis = || (-REACH..=REACH).map(|index| -SPACING * f64::from(index));
    let points: Vec<[f64; 2]> = axis().flat_map(|a| axis().map(move |b| [a, b])).collect();
    DMatrix::from_fn(points.len(), d, |k, pixel| points[k][pixel % 2])
}

fn mixture(
    weights: &[f64],
    means: &DMatrix<f64>,
    unit: f64,
) -> Result<GaussianMixture, PriorError> {
    let (components, d) = means.shape();
    let means = tensor(by_rows(&(means * unit)), [components, 1, 1, d]);
    GaussianMixture::new(weights, means, &vec![unit * unit; components])
}

fn by_rows(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor
        .try_to_vec_as()
        .expect("memory of the host can be read")
}

/// Double precision, on the CPU.
fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values, shape),
        (&Device::flex(), DType::F64),
    )
}
