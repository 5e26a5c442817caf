//! Fréchet distance between two sets of features.
//!
//! `d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2})`, the squared Wasserstein-2 distance between the Gaussians
//! with the means and covariances of the sets (Dowson & Landau 1982, eq. (4), <https://doi.org/10.1016/0047-259X(82)90077-X>).
//!
//! With `C_i = F_i^T F_i` for the centred features `F_i`, the trace of the root is the sum of the singular values of
//! `F_1 F_2^T`. This needs no root of a covariance that is singular whenever a set has fewer images than features.
//!
//! Of samples of images it is a score in the feature space of any trained network; in that of Inception V3 it is the FID of Heusel et
//! al. 2017, eq. (6), <https://arxiv.org/abs/1706.08500>.

use burn::tensor::Tensor;
use nalgebra::{DMatrix, RowDVector};

use crate::draws::read;

/// Fréchet distance (squared, as is customary) between Gaussians fitted to two sets of features, at least 0.
///
/// Sets `[n, features]` and `[m, features]`; covariances are divided by `n - 1` and `m - 1`. Both sets are read back
/// once and everything is in `f64` on the host, in `(n + m) d^2 + d^3` operations for `d` features, or `n m (n + m + d)`
/// if there are fewer images.
///
/// # Panics
///
/// Panics if a set has fewer than two rows, if the sets differ in their number of features, if a feature is not
/// finite, or if the tensors cannot be read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_metrics::frechet_distance;
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[0.0, 0.0], [2.0, 0.0]], &device);
/// let y = Tensor::<2>::from_data([[0.0, 3.0], [2.0, 3.0]], &device);
/// assert!((frechet_distance(x, y) - 9.0).abs() < 1e-9);
/// ```
pub fn frechet_distance(features: Tensor<2>, references: Tensor<2>) -> f64 {
    assert_eq!(
        features.dims()[1],
        references.dims()[1],
        "both sets must have one number of features"
    );
    let (x, y) = (Gaussian::fit(&features), Gaussian::fit(&references));
    let root = (&x.factor * y.factor.transpose()).singular_values().sum();
    let covariances = x.factor.norm_squared() + y.factor.norm_squared() - 2.0 * root;
    // Equal sets leave rounding of either sign.
    ((x.mean - y.mean).norm_squared() + covariances).max(0.0)
}

/// A mean, and a factor `F` of the covariance `F^T F` with no more rows than columns.
struct Gaussian {
    mean: RowDVector<f64>,
    factor: DMatrix<f64>,
}

impl Gaussian {
    fn fit(features: &Tensor<2>) -> Self {
        let [count, width] = features.dims();
        assert!(count >= 2, "a covariance needs 2 images, found {count}");
        let mut rows = DMatrix::from_row_iterator(count, width, read(features));
        assert!(
            rows.iter().all(|value| value.is_finite()),
            "features must be finite"
        );
        let mean = rows.row_mean();
        for mut row in rows.row_iter_mut() {
            row -= &mean;
        }
        rows /= ((count - 1) as f64).sqrt();
        let factor = if count > width { rows.qr().r() } else { rows };
        Self { mean, factor }
    }
}
