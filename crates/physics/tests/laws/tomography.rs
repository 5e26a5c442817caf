//! The Radon transform against its definition and the reference, and filtered back-projection.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;
use tweedie_core::Rng;
use tweedie_physics::{ForwardOperator, LinearOperator, PhysicsError, Tomography, operator_norm};
use tweedie_testkit::{assert_adjoint, assert_close, device, exact, golden, values};

use crate::registry::normal;

/// All quadrants, multiples of 45 degrees, a repetition, mirror images of one another, and angles beyond a turn.
const ANGLES: [f64; 14] = [
    0.0, 17.3, 45.0, 62.5, 72.7, 90.0, 107.3, 162.7, 180.0, 200.0, 271.5, -30.0, 400.0, 17.3,
];

fn scanner(side: usize, angles: &[f64]) -> Tomography {
    Tomography::new(side, angles, (&device(), DType::F64)).unwrap()
}

/// The documented sum: the padded image is turned about the middle of the grid by bilinear interpolation.
fn by_definition(x: &[f64], side: usize, angles: &[f64]) -> Vec<f64> {
    let detectors = (2.0 * (side * side) as f64).sqrt().ceil() as usize;
    let before = detectors / 2 - side / 2;
    let pixel = |row: f64, column: f64| {
        let (row, column) = (row - before as f64, column - before as f64);
        let within = |index: f64| (0.0..side as f64).contains(&index);
        if within(row) && within(column) {
            x[row as usize * side + column as usize]
        } else {
            0.0
        }
    };
    let centre = (detectors - 1) as f64 / 2.0;
    let mut sinogram = Vec::new();
    for detector in 0..detectors {
        for angle in angles {
            let (sin, cos) = angle.to_radians().sin_cos();
            let mut sum = 0.0;
            for point in 0..detectors {
                let (t, v) = (detector as f64 - centre, point as f64 - centre);
                let (column, row) = (cos * t + sin * v + centre, cos * v - sin * t + centre);
                let (left, top) = (column.floor(), row.floor());
                let (a, b) = (column - left, row - top);
                sum += (1.0 - b) * ((1.0 - a) * pixel(top, left) + a * pixel(top, left + 1.0));
                sum += b * ((1.0 - a) * pixel(top + 1.0, left) + a * pixel(top + 1.0, left + 1.0));
            }
            sinogram.push(sum);
        }
    }
    sinogram
}

#[test]
fn projections_are_sums_over_the_turned_image() {
    for side in [1, 2, 3, 5, 8, 9, 16, 23] {
        let x = normal([1, 1, side, side], 3);
        let sinogram = values(&scanner(side, &ANGLES).forward(x.clone()));
        let expected = by_definition(&values(&x), side, &ANGLES);
        assert_close(&format!("side {side}"), &sinogram, &expected, 1e-10);
    }
}

#[test]
fn adjoint_passes_the_dot_test_on_many_tiles() {
    let operator = scanner(40, &ANGLES);
    assert_adjoint(
        "tomography",
        |x| operator.forward(x),
        |y| operator.adjoint(y),
        normal([2, 3, 40, 40], 1),
        normal([2, 3, 57, ANGLES.len()], 2),
    );
}

#[test]
fn columns_add_up_at_0_degrees_and_rows_at_90_from_the_last() {
    let x: Vec<f64> = (0..64).map(|index| f64::from(index * index)).collect();
    let y = values(&scanner(8, &[0.0, 90.0]).forward(exact(&x, [1, 1, 8, 8])));
    // 12 detectors, 2 more than the image on each side; half a pixel makes no difference for even sides.
    for index in 0..8 {
        let column: f64 = (0..8).map(|row| x[row * 8 + index]).sum();
        let row: f64 = (0..8).map(|column| x[(7 - index) * 8 + column]).sum();
        let found = &y[2 * (index + 2)..2 * (index + 3)];
        assert_close("sums", found, &[column, row], 1e-9);
    }
}

#[derive(Deserialize)]
struct Golden {
    angles: Vec<f64>,
    x: Vec<f64>,
    forward: Vec<f64>,
    v: Vec<f64>,
    adjoint: Vec<f64>,
    squared_norm: f64,
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |max, value| value.abs().max(max))
}

#[test]
fn the_reference_agrees() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tomography.json");
    let golden: Golden = golden(path);
    let operator = scanner(8, &golden.angles);
    let forward = values(&operator.forward(exact(&golden.x, [1, 1, 8, 8])));
    let adjoint = values(&operator.adjoint(exact(&golden.v, [1, 1, 12, 6])));
    let tolerance = |reference: &[f64]| 1e-5 * largest(reference);
    assert_close("A x", &forward, &golden.forward, tolerance(&golden.forward));
    assert_close(
        "A^T v",
        &adjoint,
        &golden.adjoint,
        tolerance(&golden.adjoint),
    );
    let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
    let norm = operator_norm(&operator, [1, 1, 8, 8], 200, &mut rng);
    // The reference stops when its estimate changes by less than 1e-3.
    assert_close("|A|^2", &[norm.powi(2)], &[golden.squared_norm], 1e-2);
}

#[test]
fn uniform_angles_cover_half_a_turn() {
    let operator = Tomography::uniform(4, 4, &device()).unwrap();
    assert_eq!(operator.angles(), [0.0, 45.0, 90.0, 135.0]);
    assert_eq!(operator.detectors(), 6);
}

/// A disc of value 1 off the centre, its edge 6 pixels wide.
fn smooth_disc(side: usize) -> Vec<f64> {
    let value = |row: usize, column: usize| {
        let down = row as f64 - 0.55 * side as f64;
        let aside = column as f64 - 0.45 * side as f64;
        let radius = down.hypot(aside);
        0.5 - 0.5 * ((radius - 0.25 * side as f64) / 3.0).tanh()
    };
    (0..side * side)
        .map(|index| value(index / side, index % side))
        .collect()
}

fn root_mean_square(a: &[f64], b: &[f64]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

#[test]
fn filtered_back_projection_restores_a_smooth_disc() {
    let side = 96;
    let disc = smooth_disc(side);
    let x = exact(&disc, [1, 1, side, side]);
    let error = |count| {
        let operator = Tomography::uniform(side, count, (&device(), DType::F64)).unwrap();
        let y = operator.forward(x.clone());
        root_mean_square(&values(&operator.filtered_back_projection(y)), &disc)
    };
    let (enough, few) = (error(160), error(10));
    assert!(enough < 0.01, "root mean square error {enough}");
    assert!(few > 5.0 * enough, "10 angles leave streaks, found {few}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let device = device();
    let refused = |side, angles: &[f64]| Tomography::new(side, angles, &device).err().unwrap();
    assert!(matches!(
        refused(0, &[1.0]),
        PhysicsError::EmptyImage { .. }
    ));
    assert!(matches!(refused(4, &[]), PhysicsError::NoAngles));
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(matches!(
            refused(4, &[0.0, bad]),
            PhysicsError::Angle { at: 1, .. }
        ));
    }
    assert!(Tomography::uniform(4, 0, &device).is_err());
    let operator = Tomography::uniform(4, 3, &device).unwrap();
    for image in [[1, 1, 4, 5], [1, 1, 5, 5]] {
        assert!(operator.measurement_shape(image).is_err());
    }
}

#[test]
fn single_precision_and_any_batch() {
    let operator = Tomography::uniform(20, 7, &device()).unwrap();
    let x = Rng::seeded(4, &device()).normal([3, 2, 20, 20]);
    let together: Vec<f64> = values(&operator.forward(x.clone()).narrow(0, 2, 1));
    let alone: Vec<f64> = values(&operator.forward(x.narrow(0, 2, 1)));
    assert_close("row 2", &together, &alone, 1e-5);
    let zero = Tensor::<4>::zeros([1, 1, 20, 20], &device());
    assert_eq!(largest(&values(&operator.forward(zero))), 0.0);
}
