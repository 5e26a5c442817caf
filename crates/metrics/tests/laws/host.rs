//! Tensors and their values on the host.

use burn::tensor::{Tensor, TensorData};

/// A batch in `f32` and the same rounded values in `f64`.
pub(crate) fn images(shape: [usize; 4], seed: u64) -> (Tensor<4>, Vec<f64>) {
    let device = tweedie_testkit::device();
    let tensor: Tensor<4> = tweedie_core::Rng::seeded(seed, &device).uniform(shape);
    let values = host(tensor.clone());
    (tensor, values)
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(crate) fn upload<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &tweedie_testkit::device())
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance,
            "entry {i}: {found}, expected {expected}, tolerance {tolerance}"
        );
    }
}
