//! What a measurement has beyond that of an image.

use burn::tensor::Tensor;

/// `y - measured`, never broadcast but over the rows.
pub(crate) fn misfit<const Y: usize>(y: &Tensor<Y>, measured: Tensor<Y>) -> Tensor<Y> {
    let (found, expected) = (y.dims(), measured.dims());
    assert!(
        found[1..] == expected[1..] && (found[0] == 1 || found[0] == expected[0]),
        "these images have measurements of shape {expected:?}, found y of shape {found:?}"
    );
    y.clone() - measured
}
