//! The random mask.

use serde::Deserialize;
use tweedie_physics::{ConjugateGradient, ForwardOperator, Inpainting, LinearOperator};
use tweedie_testkit::{assert_close, assert_z, device, exact, golden, values};

fn mask(size: [usize; 2], missing: f64, seed: u64) -> Vec<f64> {
    values(
        Inpainting::random(size, missing, seed, &device())
            .unwrap()
            .mask(),
    )
}

#[test]
fn exactly_the_asked_number_of_pixels_is_missing() {
    for (size, missing, expected) in [
        ([10, 10], 0.0, 0),
        ([10, 10], 0.37, 37),
        ([3, 7], 0.5, 11),
        ([1, 100], 0.994, 99),
    ] {
        let mask = mask(size, missing, 1);
        let holes = mask.iter().filter(|&&observed| observed == 0.0).count();
        assert_eq!((holes, mask.len()), (expected, size[0] * size[1]));
    }
}

#[test]
fn the_seed_decides() {
    assert_eq!(mask([16, 16], 0.5, 7), mask([16, 16], 0.5, 7));
    assert_ne!(mask([16, 16], 0.5, 7), mask([16, 16], 0.5, 8));
}

#[test]
fn each_pixel_is_missing_equally_often() {
    let (draws, missing) = (4000, 0.25);
    let mut holes = [0.0; 16];
    for seed in 0..draws {
        for (count, observed) in holes.iter_mut().zip(mask([4, 4], missing, seed)) {
            *count += (1.0 - observed) / draws as f64;
        }
    }
    let se = (missing * (1.0 - missing) / draws as f64).sqrt();
    assert_z("holes", &holes, &[missing; 16], &[se; 16]);
}

#[test]
fn one_mask_serves_any_batch_and_channels() {
    let operator = Inpainting::random([4, 4], 0.5, 1, &device()).unwrap();
    for image in [[1, 1, 4, 4], [5, 3, 4, 4]] {
        assert_eq!(operator.measurement_shape(image).unwrap(), image);
    }
}

/// A case of the reference implementation.
#[derive(Deserialize)]
struct Golden {
    shape: [usize; 4],
    mask: Vec<f64>,
    x: Vec<f64>,
    #[serde(rename = "Ax")]
    forward: Vec<f64>,
    v: Vec<f64>,
    #[serde(rename = "Atv")]
    adjoint: Vec<f64>,
    z: Vec<f64>,
    prox: Vec<f64>,
    #[serde(rename = "A_dagger")]
    pseudo_inverse: Vec<f64>,
}

#[test]
fn the_reference_agrees() {
    let golden: Golden = golden(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/inpainting.json"
    ));
    let image = |values: &[f64]| exact(values, golden.shape);
    let [_, channels, height, width] = golden.shape;
    let mask = exact(&golden.mask, [1, channels, height, width]);
    let operator = Inpainting::new(mask).unwrap();
    let same = |name, got, expected: &[f64]| assert_close(name, &values(&got), expected, 1e-5);

    same(
        "forward",
        operator.forward(image(&golden.x)),
        &golden.forward,
    );
    same(
        "adjoint",
        operator.adjoint(image(&golden.v)),
        &golden.adjoint,
    );
    let budget = ConjugateGradient::default();
    let inverse = operator.pseudo_inverse(image(&golden.v), budget);
    same("pseudo-inverse", inverse, &golden.pseudo_inverse);
    // The proximal point solves (A^T A + 1/gamma) u = A^T v + z/gamma.
    let damping = 1.0 / 0.7;
    let rhs = operator.adjoint(image(&golden.v)) + image(&golden.z).mul_scalar(damping);
    same(
        "prox",
        operator.solve_normal(rhs, damping, budget),
        &golden.prox,
    );
}
