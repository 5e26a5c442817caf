//! Sums over one sample.

use burn::tensor::Tensor;

/// The sum of each sample's entries, `[batch]`.
pub(crate) fn sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let within_sample: Vec<usize> = (1..D).collect();
    let batch = x.dims()[0];
    x.sum_dims(&within_sample).reshape([batch])
}
