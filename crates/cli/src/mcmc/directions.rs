//! The directions along which the chains are watched: the mean, the longest waves, the finest pattern, and one pixel.
//!
//! Which are slow depends on operator and prior: long waves under a prior of differences, patterns that a blur hides.

use std::f64::consts::PI;

use tweedie::burn::tensor::{Device, Tensor, TensorData};

/// Names and directions, `[1, channels, height, width]`, each of norm 1.
pub(crate) fn directions(image: [usize; 4], device: &Device) -> Vec<(&'static str, Tensor<4>)> {
    let [_, channels, height, width] = image;
    let wave = |index: usize, size: usize, half_periods: f64| {
        (PI * half_periods * (index as f64 + 0.5) / size as f64).cos()
    };
    let sign = |index: usize| 1.0 - 2.0 * (index % 2) as f64;
    let of = |value: &dyn Fn(usize, usize) -> f64| {
        let plane = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let plane: Vec<f64> = plane.map(|(row, column)| value(row, column)).collect();
        let norm = (plane.iter().map(|v| v * v).sum::<f64>() * channels as f64).sqrt();
        let values: Vec<f64> = plane.repeat(channels).iter().map(|v| v / norm).collect();
        let shape = [1, channels, height, width];
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    let centre = [height / 2, width / 2];
    vec![
        ("average", of(&|_, _| 1.0)),
        (
            "longest vertical wave",
            of(&|row, _| wave(row, height, 1.0)),
        ),
        (
            "longest horizontal wave",
            of(&|_, column| wave(column, width, 1.0)),
        ),
        ("checkerboard", of(&|row, column| sign(row) * sign(column))),
        (
            "centre pixel",
            of(&|row, column| f64::from([row, column] == centre)),
        ),
    ]
}
