//! Highest-density coverage: thresholds by hand, z-tests of exact draws, and samplers that must fail.

use burn::tensor::{DType, Tensor};
use tweedie_core::{AnalyticPrior, FullGaussian, Rng};
use tweedie_metrics::{Coverage, highest_density_coverage};
use tweedie_testkit::{assert_z, device, exact, z_bound};

const TESTS: usize = 4000;

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Log densities, but for a constant of each test, of exact truths and of draws whose spread is `spread` times too
/// large, for the normal law of covariance `diag(1, 1/4, 1/9)` times a scale of each test.
fn log_densities(draws: usize, spread: f64, seed: u64) -> (Tensor<1>, Tensor<2>) {
    let mut rng = rng(seed);
    let constant: Tensor<2> = rng.normal([TESTS, 1]) * 50.0;
    let all: Tensor<3> = rng.normal([TESTS, draws + 1, 3]);
    // z'z/2 whatever the covariance: the density is that of x = C^(1/2) z.
    let energy: Tensor<2> = all.square().sum_dim(2).squeeze_dim(2);
    let density = energy * -0.5 + constant.clone();
    let truths = density.clone().narrow(1, 0, 1).squeeze_dim(1);
    let draws = density.narrow(1, 1, draws);
    let wide = (draws - constant.clone()) * (spread * spread) + constant;
    (truths, wide)
}

fn z_score(found: &Coverage) -> f64 {
    (found.fraction() - found.level) / found.standard_error()
}

/// Whether the set of `draws` holds a truth of this log density.
fn holds(truth: f64, draws: &[f64], weights: Option<&[f64]>, level: f64) -> bool {
    let shape = [1, draws.len()];
    let weights = weights.map(|weights| exact(weights, shape));
    let found = highest_density_coverage(exact(&[truth], [1]), exact(draws, shape), weights, level);
    assert_eq!(found.tests, 1);
    found.covered == 1
}

fn assert_threshold(expected: f64, draws: &[f64], weights: Option<&[f64]>, level: f64) {
    assert!(
        holds(expected + 1e-9, draws, weights, level),
        "above {expected}"
    );
    assert!(
        !holds(expected - 1e-9, draws, weights, level),
        "below {expected}"
    );
}

#[test]
fn sets_end_where_they_should() {
    // The place (k + 1)(1 - q) of k .. 2 1, where the value is the place.
    for (count, level, place) in [(9, 0.9, 1.0), (19, 0.9, 2.0), (14, 0.9, 1.5), (3, 0.5, 2.0)] {
        let draws: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        assert_threshold(place, &draws, None, level);
        let weights = vec![0.7; draws.len()];
        assert_threshold(place, &draws, Some(&weights), level);
    }
}

#[test]
fn weights_move_the_end() {
    // Sorted 1 2 3 with weights 1/4 1/2 1/4: K = 8/3, places 5/6, 11/6, 17/6; half of K + 1 is 11/6, the middle one.
    let (draws, weights) = ([3.0, 1.0, 2.0], [1.0, 1.0, 2.0]);
    assert_threshold(2.0, &draws, Some(&weights), 0.5);
    // Three quarters: 11/12, a twelfth of the way from 1 to 2.
    assert_threshold(1.0 + 1.0 / 12.0, &draws, Some(&weights), 0.75);
    // A draw without weight is none.
    let (more, weights) = ([3.0, -9.0, 1.0, 2.0], [1.0, 0.0, 1.0, 2.0]);
    assert_threshold(2.0, &more, Some(&weights), 0.5);
    // All weight on one draw: the set ends there.
    assert_threshold(2.0, &draws, Some(&[0.0, 0.0, 1.0]), 0.5);
}

#[test]
fn exact_draws_cover_their_level() {
    for (case, (count, level)) in [(9, 0.9), (49, 0.9), (19, 0.5)].into_iter().enumerate() {
        let (truths, draws) = log_densities(count, 1.0, case as u64);
        let found = highest_density_coverage(truths, draws, None, level);
        assert_eq!(found.tests, TESTS as u64);
        let z = z_score(&found);
        assert!(z.abs() < z_bound(3), "{count} {level}: {found:?}, z {z}");
    }
}

#[test]
fn draws_that_spread_wrongly_are_found_out() {
    for (spread, sign) in [(0.8, -1.0), (1.25, 1.0)] {
        let (truths, draws) = log_densities(49, spread, 5);
        let z = sign * z_score(&highest_density_coverage(truths, draws, None, 0.9));
        assert!(z > 2.0 * z_bound(1), "a spread of {spread} has z {z}");
    }
}

#[test]
fn draws_with_importance_weights_cover_their_level_in_the_limit() {
    // Of a law 1.5 times as wide, weighted by the quotient of the densities, and the same without the weights.
    let (tests, count) = (2000, 400);
    let mut rng = rng(6);
    let truths: Tensor<2> = rng.normal([tests, 2]);
    let z: Tensor<3> = rng.normal([tests, count, 2]);
    let energy: Tensor<2> = z.square().sum_dim(2).squeeze_dim(2);
    let density = energy.clone() * (-0.5 * 2.25);
    let weights = (energy * (-0.5 * 1.25)).exp();
    let truths: Tensor<1> = truths.square().sum_dim(1).squeeze_dim(1) * -0.5;
    let found = highest_density_coverage(truths.clone(), density.clone(), Some(weights), 0.9);
    assert_z(
        "weighted",
        &[found.fraction()],
        &[0.9],
        &[found.standard_error()],
    );
    assert!(z_score(&highest_density_coverage(truths, density, None, 0.9)) > 2.0 * z_bound(1));
}

#[test]
fn the_log_density_of_a_posterior_serves() {
    // Truths and draws from one law in 5 dimensions, through the log density of the library.
    let covariance = exact(&[2.0, 0.6, 0.6, 1.0], [2, 2]);
    let law = FullGaussian::new(exact(&[0.3, -1.0], [1, 2]), covariance).unwrap();
    let (tests, count) = (500, 19);
    let all: Tensor<2> = law.sample(tests * (count + 1), &mut rng(7));
    let density = law.log_density(all, 0.0).reshape([tests, count + 1]);
    let truths = density.clone().narrow(1, 0, 1).squeeze_dim(1);
    let found = highest_density_coverage(truths, density.narrow(1, 1, count), None, 0.9);
    assert_z(
        "Gaussian",
        &[found.fraction()],
        &[0.9],
        &[found.standard_error()],
    );
}

#[test]
fn impossible_draws_have_the_least_density() {
    let mut draws = vec![f64::NEG_INFINITY; 2];
    draws.extend([1.0; 7]);
    assert!(
        holds(f64::NEG_INFINITY, &draws, None, 0.85),
        "the place is 1.5"
    );
    assert!(!holds(f64::NEG_INFINITY, &draws, None, 0.5));
}

#[test]
#[should_panic(expected = "need a test and 9 draws, found the shape [1, 8]")]
fn too_few_draws_are_refused() {
    let _ = holds(0.0, &[0.0; 8], None, 0.9);
}

#[test]
#[should_panic(expected = "log density is not a number")]
fn densities_that_are_no_numbers_are_refused() {
    let _ = holds(f64::NAN, &[0.0; 9], None, 0.9);
}

#[test]
#[should_panic(expected = "not negative and not all 0")]
fn weights_must_be_weights() {
    let _ = holds(0.0, &[0.0; 3], Some(&[1.0, -0.5, 1.0]), 0.5);
}
