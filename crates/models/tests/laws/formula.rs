//! Checkpoints that need no file: their weights are a formula, or all zero.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Tensor, TensorData};
use serde::Deserialize;
use serde_json::json;
use tweedie_testkit::{device, values};

/// A file of `tests/golden`.
pub(crate) fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Numbers in [-1, 1): the finaliser of splitmix64 (Steele et al. 2014, <https://doi.org/10.1145/2660193.2660195>) of
/// `2^32 place + i`. Those of the scripts that made the golden files.
fn uniform(place: u64, count: usize) -> impl Iterator<Item = f64> {
    (0..count as u64).map(move |index| {
        let z = ((place << 32) | index).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// A tensor whose number `i` is `offset + scale u_i`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Formula {
    pub(crate) shape: Vec<usize>,
    pub(crate) offset: f64,
    pub(crate) scale: f64,
}

impl Formula {
    fn numbers(&self, place: u64) -> Vec<f32> {
        uniform(place, self.shape.iter().product())
            .map(|u| (self.offset + self.scale * u) as f32)
            .collect()
    }
}

/// Numbers on the device under test, in single precision from the start: not every device has double.
pub(crate) fn single<const D: usize>(numbers: &[f64], shape: [usize; D]) -> Tensor<D> {
    let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    Tensor::from_data(TensorData::new(numbers, shape), (&device(), DType::F32))
}

/// An image on the device under test.
pub(crate) fn image(place: u64, shape: [usize; 4], offset: f64, scale: f64) -> Tensor<4> {
    let formula = Formula {
        shape: shape.to_vec(),
        offset,
        scale,
    };
    let data = TensorData::new(formula.numbers(place), shape);
    Tensor::from_data(data, (&device(), DType::F32))
}

/// A safetensors file of these tensors.
pub(crate) fn checkpoint(path: &Path, tensors: &BTreeMap<String, Formula>) {
    let shapes = tensors.iter().map(|(name, tensor)| (name, &tensor.shape));
    let (mut file, _) = headed(path, shapes, "F32", 4);
    for (place, tensor) in (0..).zip(tensors.values()) {
        let numbers = tensor.numbers(place).into_iter();
        let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes).unwrap();
    }
}

/// A safetensors file of zeros in half precision, which takes no room on the disk.
pub(crate) fn blank(path: &Path, shapes: &BTreeMap<String, Vec<usize>>) {
    let (file, length) = headed(path, shapes, "F16", 2);
    file.set_len(length).unwrap();
}

/// A file that ends after its header, and the length that it will have.
fn headed<'a>(
    path: &Path,
    shapes: impl IntoIterator<Item = (&'a String, &'a Vec<usize>)>,
    dtype: &str,
    size: usize,
) -> (File, u64) {
    let mut end = 0;
    let mut header = serde_json::Map::new();
    for (name, shape) in shapes {
        let start = end;
        end += size * shape.iter().product::<usize>();
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let text = serde_json::Value::Object(header).to_string();
    let mut file = File::create(path).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    (file, (8 + text.len() + end) as u64)
}

/// Fails where a number is further from the expected than `tolerance` times the largest of these.
pub(crate) fn assert_relative(name: &str, found: &Tensor<4>, expected: &[f64], tolerance: f64) {
    let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    tweedie_testkit::assert_close(name, &values(found), expected, tolerance * size);
}
