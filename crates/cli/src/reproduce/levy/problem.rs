//! Signals, their measurements, and the law of a signal given its measurement.
//!
//! Signals `x` of 64 samples start at 0 and have independent increments `N(0, 0.25)`: `x_k = u_1 + .. + u_k`, of covariance
//! `0.25 min(i, j)`. `y = A x + s n` with `s^2` the median over the test signals of the mean square of `A x`, 25 dB down.
//! With `D` the differences, the posterior has the precision `D^T D/0.25 + A^T A/s^2` and is the same Gaussian for all
//! measurements but for its mean.

use std::ops::Range;

use nalgebra::{Cholesky, DMatrix};
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{FullGaussian, Rng},
    physics::{DenseSvd, ForwardOperator, MatrixOperator},
};

use super::operators::{Operator, SIGNAL};
use crate::failure::Outcome;

/// Variance of an increment.
const INCREMENT_VARIANCE: f64 = 0.25;

/// Mean variance of a sample of a signal under the prior.
pub(crate) const SAMPLE_VARIANCE: f64 = INCREMENT_VARIANCE * (SIGNAL + 1) as f64 / 2.0;

/// Ratio of signal to noise in decibels.
const SNR: f64 = 25.0;

/// What random numbers are for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Tests = 0,
    Validation = 1,
    Draws = 2,
    Search = 3,
}

/// The generator for a purpose.
pub(crate) fn rng(purpose: Purpose) -> Rng {
    let rng = Rng::seeded(0, &Device::flex()).with_dtype(DType::F64);
    rng.fork(purpose as u64)
}

/// An operator, signals that it measured, and all that is known about them.
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    pub(crate) prior: FullGaussian,
    pub(crate) operator: DenseSvd,
    pub(crate) noise_std: f64,
    /// The posterior about its mean.
    pub(crate) spread: FullGaussian,
    /// For the figures.
    pub(crate) tests: Signals,
    /// For the choice of settings.
    pub(crate) validation: Signals,
}

/// Signals with what was measured of them; axis 0 of all tensors is the signal.
#[derive(Clone)]
pub(crate) struct Signals {
    /// `[signals, 1, 1, 64]`.
    pub(crate) x: Tensor<4>,
    /// `[signals, 1, 1, measurements]`.
    pub(crate) y: Tensor<4>,
    /// `E[x | y]`.
    pub(crate) mean: Tensor<4>,
}

impl Problem {
    /// `tests` and `validation` signals.
    pub(crate) fn new(operator: &Operator, tests: usize, validation: usize) -> Outcome<Self> {
        let matrix = (operator.matrix)();
        let dense = DenseSvd::new(MatrixOperator::new(upload(&matrix), [1, 1, SIGNAL])?)?;
        let clean = dense.forward(signals(tests, &mut rng(Purpose::Tests)));
        let noise_std = (median_power(clean)? / 10f64.powf(SNR / 10.0)).sqrt();

        let precision = prior_precision() + matrix.tr_mul(&matrix) / noise_std.powi(2);
        let covariance = inverse(precision);
        // The mean of a posterior is a row of y times this.
        let gain: Tensor<2> = upload(&(&matrix * &covariance / noise_std.powi(2)));
        let measured = |count: usize, purpose: Purpose| {
            let mut rng = rng(purpose);
            let x = signals(count, &mut rng);
            let clean = dense.forward(x.clone());
            let noise: Tensor<4> = rng.normal(clean.dims());
            let y = clean + noise.mul_scalar(noise_std);
            let mean = y.clone().matmul(gain.clone().unsqueeze());
            Signals { x, y, mean }
        };
        let (tests, validation) = (
            measured(tests, Purpose::Tests),
            measured(validation, Purpose::Validation),
        );
        Ok(Self {
            name: operator.name,
            prior: centred(inverse(prior_precision()))?,
            operator: dense,
            noise_std,
            spread: centred(covariance)?,
            tests,
            validation,
        })
    }

    /// `log p(x | y)` but for a constant of each measurement; one `y` for each `x`.
    pub(crate) fn log_density(&self, x: Tensor<4>, y: Tensor<4>) -> Tensor<1> {
        let misfit = self.operator.forward(x.clone()) - y;
        let first = x.clone().narrow(3, 0, 1);
        let later = x.clone().narrow(3, 1, SIGNAL - 1) - x.narrow(3, 0, SIGNAL - 1);
        let likelihood = row_squares(misfit).div_scalar(2.0 * self.noise_std.powi(2));
        let prior = (row_squares(first) + row_squares(later)).div_scalar(2.0 * INCREMENT_VARIANCE);
        -(likelihood + prior)
    }
}

impl Signals {
    pub(crate) fn count(&self) -> usize {
        self.x.dims()[0]
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let of = |tensor: &Tensor<4>| tensor.clone().slice(range.clone());
        Self {
            x: of(&self.x),
            y: of(&self.y),
            mean: of(&self.mean),
        }
    }

    /// Each signal `times` times, one after another.
    pub(crate) fn repeat(&self, times: usize) -> Self {
        let of = |tensor: &Tensor<4>| {
            let [rows, _, _, entries] = tensor.dims();
            let repeated = tensor.clone().repeat_dim(1, times);
            repeated.reshape([rows * times, 1, 1, entries])
        };
        Self {
            x: of(&self.x),
            y: of(&self.y),
            mean: of(&self.mean),
        }
    }
}

fn signals(count: usize, rng: &mut Rng) -> Tensor<4> {
    let increments: Tensor<4> = rng.normal([count, 1, 1, SIGNAL]);
    increments.mul_scalar(INCREMENT_VARIANCE.sqrt()).cumsum(3)
}

/// Median over the rows of their mean squares.
fn median_power(clean: Tensor<4>) -> Outcome<f64> {
    let entries = clean.dims()[3] as f64;
    let mut powers = row_squares(clean)
        .div_scalar(entries)
        .try_to_vec_as::<f64>()?;
    powers.sort_unstable_by(f64::total_cmp);
    let (low, high) = ((powers.len() - 1) / 2, powers.len() / 2);
    Ok((powers[low] + powers[high]) / 2.0)
}

/// `D^T D / 0.25`.
fn prior_precision() -> DMatrix<f64> {
    let differences = DMatrix::from_fn(SIGNAL, SIGNAL, |row, column| {
        f64::from(row == column) - f64::from(row == column + 1)
    });
    differences.tr_mul(&differences) / INCREMENT_VARIANCE
}

fn inverse(precision: DMatrix<f64>) -> DMatrix<f64> {
    let inverse = Cholesky::new(precision)
        .expect("the precision of a prior without null space is positive definite")
        .inverse();
    (&inverse + inverse.transpose()) * 0.5
}

fn centred(covariance: DMatrix<f64>) -> Outcome<FullGaussian> {
    let mean = Tensor::zeros([1, 1, 1, SIGNAL], (&Device::flex(), DType::F64));
    Ok(FullGaussian::new(mean, upload(&covariance))?)
}

/// Double precision, on the CPU.
fn upload(matrix: &DMatrix<f64>) -> Tensor<2> {
    let (rows, columns) = matrix.shape();
    let values = matrix.transpose().as_slice().to_vec();
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        (&Device::flex(), DType::F64),
    )
}

/// `|x|^2` of each row.
fn row_squares(x: Tensor<4>) -> Tensor<1> {
    let rows = x.dims()[0];
    x.square().sum_dim(3).reshape([rows])
}
