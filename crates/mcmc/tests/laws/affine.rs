//! The exact law of a chain whose step is affine in all parts of its state and in its noises.

use nalgebra::{DMatrix, DVector};
use tweedie_mcmc::{ChainState, MarkovKernel};
use tweedie_testkit::{UnitNoise, exact, values};

/// `state <- offset + matrix state + noise n`, over the entries of all parts in order.
pub(crate) struct AffineStep {
    pub(crate) offset: DVector<f64>,
    pub(crate) matrix: DMatrix<f64>,
    pub(crate) noise: DMatrix<f64>,
}

impl AffineStep {
    /// Of a kernel whose states have `parts` parts of `shape`, for one chain, and whose steps take `numbers` normal numbers.
    ///
    /// Those of a Metropolis test are among them: it takes a proposal as likely as the state, whatever they are.
    pub(crate) fn of<const D: usize>(
        kernel: &impl MarkovKernel<D>,
        shape: [usize; D],
        parts: usize,
        numbers: usize,
    ) -> Self {
        let pixels: usize = shape.iter().product();
        let entries = parts * pixels;
        let rows = 1 + entries + numbers;
        let part = |index: usize| {
            let mut units = vec![0.0; rows * pixels];
            for pixel in 0..pixels {
                units[(1 + index * pixels + pixel) * pixels + pixel] = 1.0;
            }
            let mut shape = shape;
            shape[0] = rows;
            exact(&units, shape)
        };
        let state = kernel.restore((0..parts).map(part).collect()).unwrap();
        let mut noise = UnitNoise::from_row(1 + entries);
        let parts = kernel.step(state, &mut noise).0.parts();
        assert_eq!(noise.next_row(), rows, "the step takes other noises");
        let parts: Vec<Vec<f64>> = parts.iter().map(values).collect();
        let at = |row: usize, entry: usize| parts[entry / pixels][row * pixels + entry % pixels];
        let offset = DVector::from_fn(entries, |entry, _| at(0, entry));
        let column = |first: usize| {
            let offset = &offset;
            move |entry, column| at(first + column, entry) - offset[entry]
        };
        Self {
            matrix: DMatrix::from_fn(entries, entries, column(1)),
            noise: DMatrix::from_fn(entries, numbers, column(1 + entries)),
            offset: offset.clone(),
        }
    }

    /// The largest modulus of an eigenvalue: below 1 for a chain with a stationary law.
    pub(crate) fn radius(&self) -> f64 {
        let eigenvalues = self.matrix.complex_eigenvalues();
        eigenvalues
            .iter()
            .map(|value| value.re.hypot(value.im))
            .fold(0.0, f64::max)
    }

    /// Mean and covariance of the stationary law, `C = M C M^T + B B^T`.
    pub(crate) fn stationary(&self) -> (DVector<f64>, DMatrix<f64>) {
        assert!(self.radius() < 1.0, "the step is no contraction");
        let entries = self.offset.len();
        let away = DMatrix::identity(entries, entries) - &self.matrix;
        let mean = away.lu().solve(&self.offset).unwrap();
        let mut power = self.matrix.clone();
        let mut covariance = &self.noise * self.noise.transpose();
        // Each round doubles the steps that are summed: 2^60 of them.
        for _ in 0..60 {
            covariance += &power * &covariance * power.transpose();
            power = &power * &power;
        }
        (mean, covariance)
    }
}
