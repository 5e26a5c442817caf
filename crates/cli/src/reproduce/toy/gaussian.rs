//! Gaussians of few dimensions on the host: conditioning, fitting, and how far one is from another.

use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// `N(mean, covariance)`.
#[derive(Clone, Debug)]
pub(crate) struct Gaussian {
    pub(crate) mean: DVector<f64>,
    pub(crate) covariance: DMatrix<f64>,
}

/// How far a Gaussian is from the true one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errors {
    /// Root mean square over the pixels of the mean's error in true standard deviations.
    pub(crate) mean_error: f64,
    /// Mean over the pixels of the ratio of standard deviations.
    pub(crate) std_ratio: f64,
    /// Wasserstein distance in units of `sqrt(trace)` of the true covariance.
    pub(crate) w2: f64,
}

impl Gaussian {
    /// The law of `x` given `operator x + noise_std n = y`, `n ~ N(0, I)`, for `noise_std > 0`.
    pub(crate) fn given(&self, operator: &DMatrix<f64>, y: &DVector<f64>, noise_std: f64) -> Self {
        let seen = operator * &self.covariance;
        let noise = DMatrix::from_diagonal_element(y.len(), y.len(), noise_std * noise_std);
        let total = Cholesky::new(&seen * operator.transpose() + noise)
            .expect("noise makes the covariance of a measurement positive definite");
        let gain = total.solve(&seen).transpose();
        Self {
            mean: &self.mean + &gain * (y - operator * &self.mean),
            covariance: symmetric(&self.covariance - gain * seen),
        }
    }

    /// The sample mean and the unbiased sample covariance of at least two draws, one after another.
    pub(crate) fn fit(draws: &[f64], pixels: usize) -> Self {
        let draws = DMatrix::from_column_slice(pixels, draws.len() / pixels, draws);
        let mean = draws.column_mean();
        let centred = DMatrix::from_columns(
            &draws
                .column_iter()
                .map(|draw| draw - &mean)
                .collect::<Vec<_>>(),
        );
        let count = draws.ncols() as f64;
        let covariance = &centred * centred.transpose() / (count - 1.0);
        Self { mean, covariance }
    }

    /// Standard deviation of each pixel.
    pub(crate) fn std(&self) -> DVector<f64> {
        self.covariance.diagonal().map(f64::sqrt)
    }

    /// The Wasserstein distance of order 2: `W^2 = |m - m'|^2 + tr(P + P' - 2 (R P' R)^(1/2))`, `R = P^(1/2)`
    /// (Dowson & Landau 1982, <https://doi.org/10.1016/0047-259X(82)90077-X>).
    pub(crate) fn wasserstein(&self, other: &Self) -> f64 {
        let root = square_root(&self.covariance);
        let between = square_root(&symmetric(&root * &other.covariance * &root));
        let spread = self.covariance.trace() + other.covariance.trace() - 2.0 * between.trace();
        let squared = (&self.mean - &other.mean).norm_squared() + spread;
        squared.max(0.0).sqrt()
    }

    /// The errors of `found` as an approximation of `self`.
    pub(crate) fn errors_of(&self, found: &Self) -> Errors {
        let std = self.std();
        let shift = (&found.mean - &self.mean).component_div(&std);
        Errors {
            mean_error: (shift.norm_squared() / shift.len() as f64).sqrt(),
            std_ratio: found.std().component_div(&std).mean(),
            w2: self.wasserstein(found) / self.covariance.trace().sqrt(),
        }
    }
}

fn symmetric(matrix: DMatrix<f64>) -> DMatrix<f64> {
    (&matrix + matrix.transpose()) * 0.5
}

/// Of a symmetric matrix without negative eigenvalues but for rounding.
fn square_root(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(matrix.clone());
    let roots = DMatrix::from_diagonal(&eigenvalues.map(|value| value.max(0.0).sqrt()));
    &eigenvectors * roots * eigenvectors.transpose()
}
