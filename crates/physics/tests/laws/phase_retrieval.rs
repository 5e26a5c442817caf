//! Fourier magnitudes against the sum and their derivative.

use burn::tensor::{DType, Tensor};
use std::f64::consts::TAU;
use tweedie_core::value_and_vjp;
use tweedie_physics::{Detection, ForwardOperator, PhaseRetrieval, PhysicsError, squared_norm};
use tweedie_testkit::{assert_close, assert_vjp, device, values};

use crate::registry::normal;

const BOTH: [Detection; 2] = [Detection::Amplitude, Detection::Intensity];

fn camera(size: [usize; 2], oversampling: usize, detection: Detection) -> PhaseRetrieval {
    PhaseRetrieval::new(size, oversampling, detection, (&device(), DType::F64)).unwrap()
}

/// `|sum_{i, j} x[i, j] exp(-2 pi i (k i / H + l j / W))|^2 / (H W)` on the padded grid of `H x W`.
fn intensities(x: &[f64], [height, width]: [usize; 2], oversampling: usize) -> Vec<f64> {
    let (rows, columns) = (oversampling * height, oversampling * width);
    let mut sums = Vec::new();
    for k in 0..rows {
        for l in 0..columns {
            let (mut re, mut im) = (0.0, 0.0);
            for (index, value) in x.iter().enumerate() {
                let (i, j) = (index / width, index % width);
                let turns = (k * i) as f64 / rows as f64 + (l * j) as f64 / columns as f64;
                let (sin, cos) = (TAU * turns).sin_cos();
                re += value * cos;
                im -= value * sin;
            }
            sums.push((re * re + im * im) / (rows * columns) as f64);
        }
    }
    sums
}

#[test]
fn magnitudes_are_those_of_the_fourier_sum() {
    for oversampling in [1, 2, 3] {
        let x = normal([1, 1, 3, 4], 1);
        let expected = intensities(&values(&x), [3, 4], oversampling);
        let intensity = camera([3, 4], oversampling, Detection::Intensity).forward(x.clone());
        assert_close("intensity", &values(&intensity), &expected, 1e-10);
        let amplitude = camera([3, 4], oversampling, Detection::Amplitude).forward(x);
        let squared: Vec<f64> = values(&amplitude).iter().map(|y| y * y).collect();
        assert_close("amplitude", &squared, &expected, 1e-10);
    }
}

#[test]
fn the_vjp_is_the_derivative() {
    for detection in BOTH {
        let camera = camera([4, 3], 2, detection);
        let (x, v) = (normal([2, 2, 4, 3], 1), normal([2, 2, 8, 6], 2));
        let vjp = camera.vjp(x.clone(), v.clone());
        let name = format!("{detection:?}");
        let direction = normal([2, 2, 4, 3], 3);
        assert_vjp(&name, |x| camera.forward(x), &x, &direction, &v, &vjp);
        let by_tape = value_and_vjp(x, |x| camera.forward(x), |_| v).1;
        assert_close(&name, &values(&vjp), &values(&by_tape), 1e-10);
    }
}

#[test]
fn a_dark_measurement_has_a_finite_derivative() {
    for detection in BOTH {
        let camera = camera([4, 3], 2, detection);
        let black = Tensor::<4>::zeros([1, 1, 4, 3], (&device(), DType::F64));
        let dark = camera.forward(black.clone());
        assert_eq!(values(&dark), [0.0; 48], "{detection:?}");
        let v = normal([1, 1, 8, 6], 2);
        let by_tape = value_and_vjp(black.clone(), |x| camera.forward(x), |_| v.clone()).1;
        for vjp in [camera.vjp(black, v), by_tape] {
            assert_eq!(values(&vjp), [0.0; 12], "{detection:?}");
        }
    }
}

#[test]
fn intensities_sum_to_the_energy_of_the_image() {
    let x = normal([2, 3, 5, 4], 1);
    let y = camera([5, 4], 2, Detection::Intensity).forward(x.clone());
    let sums = values(&y.sum_dims(&[1, 2, 3]));
    assert_close("energy", &sums, &values(&squared_norm(x)), 1e-9);
}

#[test]
fn half_a_turn_goes_unseen() {
    let x = normal([1, 2, 5, 4], 1);
    let camera = camera([5, 4], 2, Detection::Amplitude);
    let turned = values(&camera.forward(x.clone().flip([2, 3])));
    assert_close("turned", &turned, &values(&camera.forward(x)), 1e-10);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |size, oversampling| {
        let made = PhaseRetrieval::new(size, oversampling, Detection::Amplitude, &device());
        made.err().unwrap()
    };
    assert!(matches!(refused([4, 4], 0), PhysicsError::ZeroFactor));
    assert!(matches!(
        refused([0, 4], 1),
        PhysicsError::EmptyImage { .. }
    ));
    let camera = camera([4, 3], 2, Detection::Amplitude);
    assert!(camera.measurement_shape([1, 1, 3, 4]).is_err());
    assert_eq!(
        camera.measurement_shape([2, 3, 4, 3]).unwrap(),
        [2, 3, 8, 6]
    );
}
