//! The two Gaussian problems of `reproduce toy`.

#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/reproduce/toy/gaussian.rs"]
mod gaussian;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/reproduce/toy/problem.rs"]
mod problem;

use std::fs;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::Deserialize;
use serde_json::Value;

use self::{gaussian::Gaussian, problem::Problem};
use crate::{
    bad_input::{USAGE, assert_refused},
    run::Place,
};

/// Draws of each method.
const DRAWS: f64 = 2000.0;

/// Standard deviations beyond which a figure is wrong: one run in ten thousand.
const BEYOND: f64 = 3.9;

#[derive(Deserialize)]
struct Golden {
    mean: Vec<f64>,
    std: Vec<f64>,
    covariance_row: Vec<f64>,
}

/// Row of the covariance that the golden files hold.
const ROW: usize = 27;

fn problems() -> [Problem; 2] {
    [Problem::inpainting().unwrap(), Problem::blur().unwrap()]
}

fn vector(entries: &[f64]) -> DVector<f64> {
    DVector::from_column_slice(entries)
}

/// Of size 2.
fn matrix(entries: &[f64]) -> DMatrix<f64> {
    DMatrix::from_row_slice(2, 2, entries)
}

#[test]
fn the_distance_of_gaussians_has_its_closed_forms() {
    let gaussian = |mean: DVector<f64>, covariance: DMatrix<f64>| Gaussian { mean, covariance };
    let a = gaussian(vector(&[0.0, 1.0]), matrix(&[1.0, 0.0, 0.0, 4.0]));
    let b = gaussian(vector(&[3.0, 1.0]), matrix(&[4.0, 0.0, 0.0, 9.0]));
    assert!((a.wasserstein(&b).powi(2) - 11.0).abs() < 1e-12);
    assert!(a.wasserstein(&a) < 1e-7);

    // For two matrices of size 2, the trace of (P^(1/2) Q P^(1/2))^(1/2) is sqrt(tr(P Q) + 2 sqrt(det P det Q)).
    let (p, q) = (
        matrix(&[2.0, 1.0, 1.0, 3.0]),
        matrix(&[1.0, -0.5, -0.5, 4.0]),
    );
    let between = ((&p * &q).trace() + 2.0 * (p.determinant() * q.determinant()).sqrt()).sqrt();
    let expected = p.trace() + q.trace() - 2.0 * between;
    let zero = vector(&[0.0, 0.0]);
    let found = gaussian(zero.clone(), p).wasserstein(&gaussian(zero, q));
    assert!(
        (found * found - expected).abs() < 1e-12,
        "{found}, {expected}"
    );
}

#[test]
fn errors_are_relative_to_the_true_spread() {
    let exact = Gaussian {
        mean: vector(&[1.0, 2.0]),
        covariance: matrix(&[4.0, 0.0, 0.0, 0.25]),
    };
    // Off by one and by two standard deviations, with ratios 1/2 and 3/2.
    let found = Gaussian {
        mean: vector(&[3.0, 1.0]),
        covariance: matrix(&[1.0, 0.0, 0.0, 0.5625]),
    };
    let errors = exact.errors_of(&found);
    assert!((errors.mean_error - 2.5f64.sqrt()).abs() < 1e-12);
    assert!((errors.std_ratio - 1.0).abs() < 1e-12);
    let squared = 4.0 + 1.0 + 1.0 + 0.0625;
    assert!((errors.w2 - (squared / 4.25f64).sqrt()).abs() < 1e-12);
}

#[test]
fn a_gaussian_is_fitted_and_conditioned() {
    // Three draws of two pixels.
    let fitted = Gaussian::fit(&[0.0, 1.0, 1.0, 3.0, 2.0, 2.0], 2);
    assert_eq!(fitted.mean, vector(&[1.0, 2.0]));
    assert_eq!(fitted.covariance, matrix(&[1.0, 0.5, 0.5, 1.0]));
    // y = 2 x_0 + n: precisions 1 and 4/4 add up.
    let given = fitted.given(
        &DMatrix::from_row_slice(1, 2, &[2.0, 0.0]),
        &vector(&[6.0]),
        2.0,
    );
    assert!((given.mean - vector(&[2.0, 2.5])).amax() < 1e-14);
    assert!((given.covariance - matrix(&[0.5, 0.25, 0.25, 0.875])).amax() < 1e-14);
}

#[test]
fn posteriors_are_those_of_the_reference() {
    let golden = [
        include_str!("../golden/toy_inpaint.json"),
        include_str!("../golden/toy_blur.json"),
    ];
    for (problem, golden) in problems().iter().zip(golden) {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        let found = &problem.posterior;
        // The reference blurs in single precision.
        let close = |found: DVector<f64>, expected: Vec<f64>, tolerance: f64| {
            let difference = (found - DVector::from_vec(expected)).amax();
            assert!(difference < tolerance, "{}: {difference}", problem.name);
        };
        close(found.mean.clone(), golden.mean, 2e-7);
        close(found.std(), golden.std, 2e-8);
        let row = found.covariance.row(ROW).transpose();
        close(row, golden.covariance_row, 2e-9);
    }
}

/// The square of a figure of exact draws: its mean and its variance, to leading order in the number of draws.
struct Law {
    mean: f64,
    variance: f64,
}

impl Law {
    fn z(&self, found: f64) -> f64 {
        (found - self.mean) / self.variance.sqrt()
    }

    /// The squared error of the mean: `z^T z / pixels` with `z ~ N(0, R / draws)`, `R` the correlations.
    fn of_mean_error(exact: &Gaussian) -> Self {
        let std = exact.std();
        let pixels = std.len() as f64;
        let correlation = exact.covariance.component_div(&(&std * std.transpose()));
        Self {
            mean: DRAWS.recip(),
            variance: 2.0 * correlation.norm_squared() / (pixels * DRAWS).powi(2),
        }
    }

    /// The squared distance. In the eigenbasis it is `|m|^2 + sum_ij E_ij^2 / (2 (l_i + l_j))` for errors `m` of the mean and `E` of
    /// the covariance, independent with variances `l_i / draws` and `l_i l_j (1 + [i = j]) / draws`.
    fn of_w2(exact: &Gaussian) -> Self {
        let levels = SymmetricEigen::new(exact.covariance.clone()).eigenvalues;
        let mut terms = Vec::new();
        for (index, a) in levels.iter().enumerate() {
            terms.extend([*a, a / 2.0]);
            terms.extend(levels.iter().skip(index + 1).map(|b| a * b / (a + b)));
        }
        let total = exact.covariance.trace() * DRAWS;
        Self {
            mean: terms.iter().sum::<f64>() / total,
            variance: 2.0 * terms.iter().map(|term| term * term).sum::<f64>() / (total * total),
        }
    }
}

#[test]
fn exact_draws_score_what_their_number_allows() {
    let place = Place::new();
    let done = place.succeed("reproduce toy --method exact --json exact.json");
    // Few steps, and no sampler of the posterior.
    let other = place
        .command("reproduce toy --json other.json")
        .args(["--method", "DDRM, eta 0.95, 20"])
        .output()
        .unwrap();
    assert!(other.status.success(), "{other:?}");
    let rows = |name: &str| -> Vec<Value> {
        serde_json::from_str(&fs::read_to_string(place.path(name)).unwrap()).unwrap()
    };
    let (exact, others) = (rows("exact.json"), rows("other.json"));
    assert_eq!(exact.len(), 2);
    for (row, problem) in exact.iter().zip(problems()) {
        let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        let expected = [
            "calls",
            "deepinv_w2",
            "mean_error",
            "method",
            "problem",
            "std_ratio",
            "vjps",
            "w2",
        ];
        assert_eq!(keys, expected);
        assert_eq!((&row["calls"], &row["vjps"]), (&0.into(), &0.into()));
        assert!(row["deepinv_w2"].is_null() && row["problem"] == problem.name);

        let squared = |row: &Value, key: &str| row[key].as_f64().unwrap().powi(2);
        let (shift, distance) = (
            Law::of_mean_error(&problem.posterior),
            Law::of_w2(&problem.posterior),
        );
        let z = [
            shift.z(squared(row, "mean_error")),
            distance.z(squared(row, "w2")),
        ];
        assert!(z.iter().all(|z| z.abs() < BEYOND), "{row}: {z:?}");
        assert!(
            (row["std_ratio"].as_f64().unwrap() - 1.0).abs() < 0.02,
            "{row}"
        );

        let other = others
            .iter()
            .find(|row| row["problem"] == problem.name)
            .unwrap();
        assert!(distance.z(squared(other, "w2")) > BEYOND, "{other}");
        assert!(
            other["calls"].as_u64() >= Some(20) && other["vjps"] == 0,
            "{other}"
        );
        assert!(other["deepinv_w2"].as_f64().unwrap() > 0.4, "{other}");
    }
    assert_eq!(done.out.matches('*').count(), 2, "{done:?}");
}

#[test]
fn an_unknown_method_is_refused_with_those_that_there_are() {
    let done = Place::new().run("reproduce toy --method magic");
    assert_refused(&done, USAGE, &["`magic`", "exact draws", "PnP-DM"]);
}
