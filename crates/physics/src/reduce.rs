//! Sums over one sample.

use burn::tensor::Tensor;

/// `|x|^2` of each sample: `[batch]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_floats([[3.0, 4.0], [1.0, 0.0]], &Device::flex());
/// let norms = tweedie_physics::squared_norm(x);
/// assert_eq!(norms.into_data().to_vec::<f32>().unwrap(), [25.0, 1.0]);
/// ```
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let batch = x.dims()[0];
    dot(x.clone(), x).reshape([batch])
}

/// Inner product of each sample, `[batch, 1, ..]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_floats([[3.0, 4.0], [1.0, 0.0]], &Device::flex());
/// let products = tweedie_physics::dot(x.clone(), x);
/// assert_eq!(products.into_data().to_vec::<f32>().unwrap(), [25.0, 1.0]);
/// ```
pub fn dot<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let within_sample: Vec<usize> = (1..D).collect();
    (a * b).sum_dims(&within_sample)
}
