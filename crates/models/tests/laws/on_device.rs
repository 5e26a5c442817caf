//! What must hold on every backend: the same weights, the same outputs.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use tweedie_core::{Backbone, Conditioning};
use tweedie_models::TimeInjection;
use tweedie_testkit::{assert_close, device, golden, values};

use crate::support::{awake, small, weights};

#[test]
fn initial_weights_are_the_same_on_every_device() {
    let config = small(TimeInjection::ScaleShift);
    let here = weights(&config.init(5, &device()).unwrap());
    let there = weights(&config.init(5, &Device::flex()).unwrap());
    assert_eq!(here, there);
}

/// An image that needs no random numbers.
fn ramp() -> Tensor<4> {
    let values: Vec<f32> = (0..64).map(|i| (i * 37 % 64) as f32 / 32.0 - 1.0).collect();
    Tensor::<1>::from_floats(values.as_slice(), &device()).reshape([1, 2, 8, 4])
}

/// The golden numbers are those of double precision on flex.
#[test]
fn outputs_are_the_golden_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/unet.json");
    let expected: Vec<f64> = golden(path);
    let network = awake(&small(TimeInjection::ScaleShift), &device());
    let label = Conditioning::uniform(250.0, &ramp());
    let found = values(&network.forward(ramp(), label));
    let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    // Twenty layers in a row, each with a relative rounding error of a few times 6e-8.
    assert_close("output", &found, &expected, 1e-5 * size);
}
