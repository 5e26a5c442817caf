//! Learned perceptual image patch similarity.
//!
//! `d(x, y) = sum_l 1/(H_l W_l) sum_hw w_l . (f_l(x)_hw - f_l(y)_hw)^2`, with the features `f_l` of layer `l` of a
//! network for classification, scaled to unit length across channels at each place, and trained weights `w_l >= 0`.
//!
//! Zhang, Isola, Efros, Shechtman & Wang 2018, eq. (1), <https://arxiv.org/abs/1801.03924>; the `w_l` above are the
//! squares of those there.

use burn::tensor::Tensor;

use super::{Lpips, colour};

/// LPIPS distance of each image from its reference: 0 for equal images, symmetric, and with trained weights at least 0.
///
/// Both images `[batch, channels, height, width]` in [0, 1], with one channel or three; the result `[batch]`. Values
/// are comparable for one network and one image size only. The network comes from
/// [`load_lpips`](super::load_lpips); one made by [`LpipsConfig`](super::LpipsConfig) must keep its `normalize`, which
/// takes [0, 1] to the range of the network.
///
/// # Panics
///
/// Panics if the shapes differ, if there are neither 1 nor 3 channels, or if height or width is below what the
/// network pools: 31 for AlexNet, 16 for VGG, 25 for SqueezeNet.
pub fn lpips(network: &Lpips, images: Tensor<4>, references: Tensor<4>) -> Tensor<1> {
    assert_eq!(
        images.dims(),
        references.dims(),
        "images and references must have one shape"
    );
    let [_, _, height, width] = images.dims();
    let smallest = smallest_side(network);
    assert!(
        height >= smallest && width >= smallest,
        "images of {height} x {width} are smaller than the {smallest} x {smallest} that the network takes"
    );
    network.forward_no_reduction(colour(images), colour(references))
}

/// The side of the smallest image for which each layer that pools still has a whole window.
fn smallest_side(network: &Lpips) -> usize {
    match network {
        Lpips::Vgg(_) => 16,
        Lpips::Squeeze(_) => 25,
        Lpips::Alex(_) => 31,
    }
}
