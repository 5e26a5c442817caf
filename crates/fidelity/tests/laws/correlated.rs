//! A Gaussian prior with correlated pixels, and the exact score of its posterior.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, FullGaussian};
use tweedie_fidelity::{Mmps, NoisyFidelity};
use tweedie_physics::MatrixOperator;
use tweedie_testkit::{assert_close, exact, values};

use crate::{registry::normal, support::largest};

/// Four pixels, three measurements.
pub(crate) const SHAPE: [usize; 4] = [2, 1, 2, 2];

type Matrix = Vec<Vec<f64>>;

fn matrix_of(tensor: &Tensor<2>) -> Matrix {
    let [_, columns] = tensor.dims();
    values(tensor)
        .chunks(columns)
        .map(<[f64]>::to_vec)
        .collect()
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, other)| x * other[j]).sum();
    a.iter()
        .map(|row| (0..b[0].len()).map(|j| entry(row, j)).collect())
        .collect()
}

fn transposed(a: &Matrix) -> Matrix {
    (0..a[0].len())
        .map(|j| a.iter().map(|row| row[j]).collect())
        .collect()
}

fn sum(a: &Matrix, scale: f64, b: &Matrix) -> Matrix {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + scale * b).collect())
        .collect()
}

fn with_diagonal(mut a: Matrix, shift: f64) -> Matrix {
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += shift;
    }
    a
}

/// `a^-1 b` for a positive definite `a`, by Gauss-Jordan elimination.
pub(crate) fn solved(a: &Matrix, b: &Matrix) -> Matrix {
    let mut rows: Matrix = a
        .iter()
        .zip(b)
        .map(|(a, b)| [&a[..], &b[..]].concat())
        .collect();
    for pivot in 0..a.len() {
        let scale = rows[pivot][pivot];
        rows[pivot].iter_mut().for_each(|entry| *entry /= scale);
        let row = rows[pivot].clone();
        for (_, other) in rows.iter_mut().enumerate().filter(|(i, _)| *i != pivot) {
            let factor = other[pivot];
            other
                .iter_mut()
                .zip(&row)
                .for_each(|(entry, p)| *entry -= factor * p);
        }
    }
    rows.into_iter()
        .map(|row| row[a.len()..].to_vec())
        .collect()
}

/// A Gaussian prior with correlated pixels, three measurements of it, and what follows from Bayes' rule.
pub(crate) struct Problem {
    pub(crate) mean: Tensor<4>,
    pub(crate) covariance: Tensor<2>,
    pub(crate) matrix: Tensor<2>,
    pub(crate) y: Tensor<4>,
    pub(crate) noisy: Tensor<4>,
}

impl Problem {
    pub(crate) fn new() -> Self {
        let factor: Tensor<2> = normal([4, 4], 21);
        Self {
            mean: normal([1, 1, 2, 2], 22),
            covariance: factor.clone().matmul(factor.transpose()).mul_scalar(0.4),
            matrix: normal([3, 4], 23),
            y: normal([1, 1, 1, 3], 24),
            noisy: normal(SHAPE, 25),
        }
    }

    pub(crate) fn prior(&self) -> FullGaussian {
        FullGaussian::new(self.mean.clone(), self.covariance.clone()).unwrap()
    }

    pub(crate) fn operator(&self) -> MatrixOperator {
        MatrixOperator::new(self.matrix.clone(), [1, 2, 2]).unwrap()
    }

    pub(crate) fn mmps(&self, noise_std: f64, iterations: usize) -> Mmps<MatrixOperator> {
        Mmps::new(self.operator(), self.y.clone(), noise_std)
            .and_then(|guidance| guidance.with_iterations(iterations))
            .unwrap()
    }

    /// The score of `p(x_sigma | y)` less that of `p(x_sigma)`, both Gaussian: no Jacobian, no denoiser.
    pub(crate) fn score(&self, noise_std: f64, sigma: f64) -> Tensor<4> {
        let (a, c) = (matrix_of(&self.matrix), matrix_of(&self.covariance));
        let column = |tensor: &Tensor<4>| -> Matrix {
            values(tensor)
                .into_iter()
                .map(|value| vec![value])
                .collect()
        };
        let mean = column(&self.mean);
        let across = product(&a, &c);
        let total = with_diagonal(product(&across, &transposed(&a)), noise_std * noise_std);
        let surprise = sum(&column(&self.y), -1.0, &product(&a, &mean));
        let shift = product(&transposed(&across), &solved(&total, &surprise));
        let prior = with_diagonal(c, sigma * sigma);
        let posterior = sum(
            &prior,
            -1.0,
            &product(&transposed(&across), &solved(&total, &across)),
        );
        let rows = values(&self.noisy);
        let scores = rows.chunks(4).flat_map(|row| {
            let x: Matrix = row.iter().map(|value| vec![*value]).collect();
            let deviation = sum(&x, -1.0, &mean);
            let before = solved(&prior, &deviation);
            let after = solved(&posterior, &sum(&deviation, -1.0, &shift));
            sum(&before, -1.0, &after).concat()
        });
        exact(&scores.collect::<Vec<_>>(), SHAPE)
    }

    /// Largest error of a guidance's score, in units of the largest entry.
    pub(crate) fn error(&self, guidance: &dyn NoisyFidelity, noise_std: f64, sigma: f64) -> f64 {
        let guided = guidance.guide(&self.prior(), self.noisy.clone(), sigma);
        let denoised = self.prior().denoise(self.noisy.clone(), sigma);
        assert_close(
            "denoised",
            &values(&guided.denoised),
            &values(&denoised),
            1e-12,
        );
        let expected = self.score(noise_std, sigma);
        largest(&(guided.likelihood_score - expected.clone())) / largest(&expected)
    }
}
