//! CRPS and energy score against the closed forms of Gaussians and the definition.

use std::array;
use std::f64::consts::{PI, SQRT_2, TAU};

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::{crps, energy_score};
use tweedie_testkit::{assert_z, device, exact, values};

use crate::host::upload;

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Mean and its standard error.
fn mean_and_error(scores: &[f64]) -> (f64, f64) {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let squares = scores.iter().map(|score| (score - mean).powi(2));
    (mean, (squares.sum::<f64>() / (n - 1.0) / n).sqrt())
}

/// CRPS of `N(mean, std^2)` for the truth `y`: Gneiting & Raftery 2007, section 4.2.
fn normal_crps(mean: f64, std: f64, y: f64) -> f64 {
    let z = (y - mean) / std;
    let density = (-0.5 * z * z).exp() / TAU.sqrt();
    // 2 Phi(z) - 1
    let central = libm::erf(z / SQRT_2);
    std * (z * central + 2.0 * density - 1.0 / PI.sqrt())
}

#[test]
fn the_crps_of_a_normal_law_is_unbiased() {
    let (mean, std) = (0.4, 0.3);
    for count in [2, 3, 10] {
        for y in [0.4, 0.9, -0.3] {
            let mut rng = rng(count as u64);
            let scores: Vec<f64> = (0..400)
                .map(|_| {
                    let draws: Tensor<4> = rng.normal([count, 2, 5, 10]) * std + mean;
                    crps(draws.clone().narrow(0, 0, 1).zeros_like() + y, draws)
                })
                .collect();
            let (found, error) = mean_and_error(&scores);
            let expected = normal_crps(mean, std, y);
            assert_z("crps", &[found], &[expected], &[error]);
            // With draws paired with themselves the spread would be too small by the factor (k - 1)/k.
            let unfair = expected + std / PI.sqrt() / count as f64;
            assert!((found - unfair).abs() > 8.0 * error, "{count} {y}");
        }
    }
}

#[test]
fn scores_of_exact_draws_are_half_their_mean_distance() {
    // E||X - X'|| / 2 = Gamma((d + 1)/2) / Gamma(d/2) for N(0, I).
    for dimension in [1, 6] {
        let mut rng = rng(20 + dimension as u64);
        let d = dimension as f64;
        let expected = (libm::lgamma(0.5 * (d + 1.0)) - libm::lgamma(0.5 * d)).exp();
        let all: Vec<Tensor<2>> = (0..2000).map(|_| rng.normal([6, dimension])).collect();
        let score = |spread: f64, bias: f64| {
            let scores: Vec<f64> = all
                .iter()
                .map(|rows| {
                    let draws = rows.clone().narrow(0, 1, 5) * spread + bias;
                    energy_score(rows.clone().narrow(0, 0, 1), draws)
                })
                .collect();
            mean_and_error(&scores)
        };
        let (right, error) = score(1.0, 0.0);
        assert_z("energy", &[right], &[expected], &[error]);
        // Proper: every other law scores worse.
        for (spread, bias) in [(0.4, 0.0), (2.0, 0.0), (1.0, 0.8)] {
            let (wrong, _) = score(spread, bias);
            assert!(
                wrong > right + 3.0 * error,
                "{spread} {bias}: {wrong} {right}"
            );
        }
    }
}

#[test]
fn both_agree_with_the_definition() {
    let mut rng = rng(30);
    let draws: Tensor<4> = rng.normal([5, 2, 1, 3]);
    let truth: Tensor<4> = rng.fork(1).normal([1, 2, 1, 3]);
    let (x, y) = (values(&draws), values(&truth));
    let score = |norm: &dyn Fn([f64; 6]) -> f64| {
        let mut score = 0.0;
        for i in 0..5 {
            score += norm(array::from_fn(|p| x[6 * i + p] - y[p])) / 5.0;
            for j in 0..5 {
                score -= norm(array::from_fn(|p| x[6 * i + p] - x[6 * j + p])) / 40.0;
            }
        }
        score
    };
    let mean_size = score(&|v| v.iter().map(|v| v.abs()).sum::<f64>() / 6.0);
    let length = score(&|v| v.iter().map(|v| v * v).sum::<f64>().sqrt());
    for draws in [draws.clone(), draws.flip([0])] {
        assert!((crps(truth.clone(), draws.clone()) - mean_size).abs() < 1e-14);
        assert!((energy_score(truth.clone(), draws) - length).abs() < 1e-14);
    }
}

#[test]
fn an_offset_takes_no_digits() {
    let draws: Tensor<2> = rng(31).normal([50, 40]);
    let truth: Tensor<2> = rng(32).normal([1, 40]);
    let offset = 2f64.powi(20);
    let shifted = crps(truth.clone() + offset, draws.clone() + offset);
    // Rounded once by 2^-33 for each value.
    assert!((shifted - crps(truth, draws)).abs() < 4.0 * 2f64.powi(-33));
}

#[test]
fn on_one_pixel_they_are_one() {
    let draws: Tensor<2> = rng(33).normal([7, 1]);
    let truth = exact(&[0.2], [1, 1]);
    let difference = crps(truth.clone(), draws.clone()) - energy_score(truth, draws);
    assert!(difference.abs() < 1e-15);
}

mod on_device {
    use super::*;

    #[test]
    fn scores_of_two_draws() {
        let draws = upload(vec![3.0, 0.0, 0.0, 4.0], [2, 1, 1, 2]);
        let truth = upload(vec![0.0, 0.0], [1, 1, 1, 2]);
        // Each pixel: 3/2 - 3/2 and 4/2 - 4/2.
        assert_eq!(crps(truth.clone(), draws.clone()), 0.0);
        assert_eq!(energy_score(truth, draws), 1.0);
    }
}

#[test]
#[should_panic(expected = "at least 2 draws, found 1")]
fn one_draw_has_no_fair_crps() {
    let _ = crps(exact(&[0.0], [1, 1]), exact(&[0.0], [1, 1]));
}

#[test]
#[should_panic(expected = "at least 2 draws, found 1")]
fn one_draw_has_no_fair_energy_score() {
    let _ = energy_score(exact(&[0.0], [1, 1]), exact(&[0.0], [1, 1]));
}

#[test]
#[should_panic(expected = "shape of one draw")]
fn a_truth_is_one_image() {
    let _ = crps(exact(&[0.0; 2], [2, 1]), exact(&[0.0; 2], [2, 1]));
}
