//! Fréchet inception distance.
//!
//! `d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^{1/2})`, the squared Wasserstein-2 distance between the Gaussians
//! with the means and covariances of two sets of features.
//!
//! With `C_i = F_i^T F_i` for the centred features `F_i`, the trace of the root is the sum of the singular values of
//! `F_1 F_2^T`. This needs no root of a covariance that is singular whenever a set has fewer images than features.
//!
//! Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017, eq. (6), <https://arxiv.org/abs/1706.08500>.

use burn::module::Module;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, s};
use nalgebra::{DMatrix, RowDVector};

use super::{InceptionV3FeatureExtractor, colour};
use crate::draws::read;

/// Features of an image: the width of the last pooling layer of Inception V3.
pub const INCEPTION_FEATURES: usize = 2048;

/// Height and width of what the network takes.
const SIDE: usize = 299;
/// Images that go through the network at once.
const BATCH: usize = 16;

/// Fréchet inception distance between two sets of images, at least 0, and 0 for equal sets.
///
/// Sets `[n, channels, height, width]` and `[m, channels, height, width]` of images in [0, 1] with one channel or
/// three, prepared as [`inception_features`] says; the two sets may differ in all of it. Sets that do not fit in memory
/// at once, or references used again, go through [`inception_features`] and [`frechet_distance`].
///
/// The distance between two finite sets from one law is above 0 and falls with their sizes: compare at equal `n`. 50 000
/// images are customary.
///
/// # Panics
///
/// As [`inception_features`] and [`frechet_distance`].
pub fn fid(network: &InceptionV3FeatureExtractor, images: Tensor<4>, references: Tensor<4>) -> f64 {
    frechet_distance(
        inception_features(network, images),
        inception_features(network, references),
    )
}

/// Features of images in [0, 1], `[batch, channels, height, width]` to `[batch, 2048]`.
///
/// As the weights of [`load_inception`](super::load_inception) want it: bilinear to 299 x 299 with the corners of the
/// image at the corners of its outer pixels, then to [-1, 1]. The network is run for inference, without a tape.
///
/// # Panics
///
/// Panics if there are neither 1 nor 3 channels, or no image.
pub fn inception_features(network: &InceptionV3FeatureExtractor, images: Tensor<4>) -> Tensor<2> {
    let [count, _, height, width] = images.dims();
    assert!(count > 0, "there must be an image");
    let network = network.valid();
    let images = colour(images.inner());
    let features = (0..count).step_by(BATCH).map(|start| {
        let batch = images
            .clone()
            .slice(s![start..count.min(start + BATCH), .., .., ..]);
        let batch = if [height, width] == [SIDE, SIDE] {
            batch
        } else {
            let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear);
            let options = bilinear
                .with_output_size([SIDE, SIDE])
                .with_align_corners(false);
            interpolate(batch, options)
        };
        network.forward(batch * 2.0 - 1.0)
    });
    Tensor::cat(features.collect(), 0)
}

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
/// use tweedie_metrics::perceptual::frechet_distance;
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
