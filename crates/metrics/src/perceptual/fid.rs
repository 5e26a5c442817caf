//! Fréchet inception distance.
//!
//! The [`frechet_distance`] between the features that Inception V3 has of two sets of images.
//!
//! Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter 2017, eq. (6), <https://arxiv.org/abs/1706.08500>.

use burn::module::Module;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, s};

use super::{InceptionV3FeatureExtractor, colour};
use crate::frechet_distance;

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
