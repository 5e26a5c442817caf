//! The device under test, and tensors on it.

use std::{fs, path::Path, sync::OnceLock};

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::de::DeserializeOwned;

/// The device named by `TWEEDIE_TEST_DEVICE`: `flex` (the default), `wgpu` or `cuda`.
///
/// # Panics
/// On another name, or when the tests were built without the Cargo feature of that name.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let name = std::env::var("TWEEDIE_TEST_DEVICE").unwrap_or_else(|_| "flex".into());
            match name.as_str() {
                #[cfg(feature = "flex")]
                "flex" => Device::flex(),
                #[cfg(feature = "wgpu")]
                "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
                #[cfg(feature = "cuda")]
                "cuda" => Device::cuda(0),
                other => panic!(
                    "TWEEDIE_TEST_DEVICE is {other:?}: expected flex, wgpu or cuda, with the \
                     tests built with `--features tweedie-testkit/{other}`"
                ),
            }
        })
        .clone()
}

/// A tensor in double precision on the [`device`] under test.
pub fn exact<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        (&device(), DType::F64),
    )
}

/// All numbers of a tensor, in row-major order.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor
        .try_to_vec_as::<f64>()
        .expect("a float tensor can be read back")
}

/// Reads a JSON golden file.
///
/// # Panics
/// With the path, when it cannot be read or has another form.
pub fn golden<T: DeserializeOwned>(path: impl AsRef<Path>) -> T {
    let path = path.as_ref();
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{} has another form: {error}", path.display()))
}
