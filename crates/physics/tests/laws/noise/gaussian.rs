//! Gaussian noise: its level, its density, its rows.

use std::f64::consts::PI;

use burn::tensor::Tensor;
use tweedie_physics::{GaussianNoise, NoiseModel};
use tweedie_testkit::{assert_close, assert_z, exact, values, z_bound};

use super::rng;

fn grey(rows: usize) -> Tensor<2> {
    exact(&vec![0.3; rows * 100], [rows, 100])
}

#[test]
fn mean_and_variance_are_those_asked_for() {
    let std = 0.05;
    let y = values(
        &GaussianNoise::new(std)
            .unwrap()
            .corrupt(grey(200), &mut rng(1)),
    );
    let count = y.len() as f64;
    let mean = y.iter().sum::<f64>() / count;
    let variance = y.iter().map(|v| (v - 0.3).powi(2)).sum::<f64>() / count;
    let variance_se = std * std * (2.0 / count).sqrt();
    assert_z(
        "mean and variance",
        &[mean, variance],
        &[0.3, std * std],
        &[std / count.sqrt(), variance_se],
    );
    let off_by_a_twentieth = (1.05 * std).powi(2);
    let z = (variance - off_by_a_twentieth) / variance_se;
    assert!(z.abs() > z_bound(2), "the test is blind to 5 %: z {z:.1}");
}

#[test]
fn a_row_has_its_own_noise() {
    let noise = GaussianNoise::new(0.2).unwrap();
    let all = noise.corrupt(grey(4), &mut rng(3));
    let last = noise.corrupt(grey(1), &mut rng(3).starting_at(3));
    assert_eq!(values(&all.narrow(0, 3, 1)), values(&last));
}

#[test]
fn no_noise_changes_nothing() {
    let y = GaussianNoise::new(0.0)
        .unwrap()
        .corrupt(grey(1), &mut rng(1));
    assert_eq!(values(&y), values(&grey(1)));
}

#[test]
fn log_likelihood_is_the_log_density_with_its_constant() {
    let std: f64 = 0.5;
    let density = |d: f64| (-0.5 * (d / std).powi(2)).exp() / (std * (2.0 * PI).sqrt());
    let clean = exact(&[0.1, 0.4, 0.0, 0.0], [2, 2]);
    let y = exact(&[0.2, 0.2], [1, 2]);
    let found = GaussianNoise::new(std).unwrap().log_likelihood(y, clean);
    let expected = [
        (density(0.1) * density(-0.2)).ln(),
        (density(0.2) * density(0.2)).ln(),
    ];
    assert_close("log density", &values(&found), &expected, 1e-14);
}

#[test]
#[should_panic(expected = "no density")]
fn a_point_mass_has_no_density() {
    let _ = GaussianNoise::new(0.0)
        .unwrap()
        .log_likelihood(grey(1), grey(1));
}
