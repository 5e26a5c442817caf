//! Soft thresholding, the proximal operator of the absolute value.

use burn::tensor::Tensor;

/// `sign(x) max(|x| - threshold, 0)`.
pub(crate) fn shrink<const D: usize>(x: Tensor<D>, threshold: f64) -> Tensor<D> {
    x.clone() - x.clamp(-threshold, threshold)
}
