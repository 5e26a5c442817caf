//! Scores: the slope of the log-likelihood, by differences and by the tape.

use burn::tensor::{DType, Tensor};
use tweedie_core::value_and_vjp;
use tweedie_physics::{GammaNoise, LikelihoodScore, NoiseModel, PoissonNoise};
use tweedie_testkit::{assert_close, directional_derivative, exact, values};

use super::{clean, column, rng, scored, scored_in};

/// The slope of the log-likelihood along `direction`, by differences and by the score.
fn slopes(
    noise: &dyn LikelihoodScore<2>,
    y: &Tensor<2>,
    clean: &Tensor<2>,
    direction: &Tensor<2>,
) -> (Vec<f64>, Vec<f64>) {
    let log_likelihood = |x| noise.log_likelihood(y.clone(), x);
    let by_differences = directional_derivative(log_likelihood, clean, direction, 1e-5);
    let score = noise.score(y.clone(), clean.clone());
    assert_eq!(score.dims(), clean.dims());
    let by_score = (score * direction.clone()).sum_dim(1).squeeze_dim::<1>(1);
    (values(&by_differences), values(&by_score))
}

fn relative_gap(a: &[f64], b: &[f64]) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs());
    gaps.fold(0.0, f64::max)
}

#[test]
fn scores_are_the_slopes_of_the_log_likelihood() {
    let direction: Tensor<2> = rng(8).normal([2, 3]);
    for (name, noise) in scored() {
        let y = noise.corrupt(clean(), &mut rng(9));
        let one_for_all = y.clone().narrow(0, 0, 1);
        for y in [y, one_for_all] {
            let (by_differences, by_score) = slopes(&*noise, &y, &clean(), &direction);
            let gap = relative_gap(&by_differences, &by_score);
            assert!(gap < 1e-6, "{name}: {by_differences:?}, score {by_score:?}");
        }
    }
}

#[test]
fn a_score_in_counts_is_off_by_the_gain() {
    let gain = 0.15;
    let noise = PoissonNoise::new(gain).unwrap();
    let y = noise.corrupt(clean(), &mut rng(9));
    let (by_differences, by_score) = slopes(&noise, &y, &clean(), &clean());
    for power in [1, 2] {
        let wrong: Vec<f64> = by_score.iter().map(|v| v * gain.powi(power)).collect();
        assert!(relative_gap(&by_differences, &wrong) > 0.1);
    }
}

#[test]
fn nothing_is_divided_by_zero_in_the_dark() {
    let noise = PoissonNoise::new(0.5).unwrap();
    let score = |y: f64, x: f64| values(&noise.score(column(&[y]), column(&[x])))[0];
    assert_eq!([score(0.0, 0.0), score(0.0, 0.3)], [-2.0, -2.0]);
    assert_eq!(score(0.5, 0.0), f64::INFINITY);
    let log_likelihood = values(&noise.log_likelihood(column(&[0.0, 0.5]), column(&[0.0])));
    assert_eq!(log_likelihood, [0.0, f64::NEG_INFINITY]);
}

#[test]
fn the_score_vanishes_at_the_most_likely_image() {
    let y = exact(&[0.3, 0.6, 0.9, 1.2, 0.3, 0.6], [2, 3]);
    let scores = [
        PoissonNoise::new(0.3).unwrap().score(y.clone(), y.clone()),
        GammaNoise::new(2.0).unwrap().score(y.clone(), y),
    ];
    for score in scores {
        assert_close("score", &values(&score), &[0.0; 6], 1e-14);
    }
}

/// The largest relative difference between the score and the gradient by the tape, in one float type.
fn tape_gap(name: &str, noise: &dyn LikelihoodScore<2>, dtype: DType) -> f64 {
    let clean = clean().cast(dtype);
    let y = noise.corrupt(clean.clone(), &mut rng(9).with_dtype(dtype));
    let log_likelihood = |x| noise.log_likelihood(y.clone(), x);
    let by_tape = value_and_vjp(clean.clone(), log_likelihood, |value| value.ones_like()).1;
    let (by_tape, score) = (values(&by_tape), values(&noise.score(y, clean)));
    let size = score.iter().fold(0.0_f64, |size, v| size.max(v.abs()));
    let gaps = by_tape.iter().zip(&score).map(|(a, b)| (a - b).abs());
    let gap = gaps.fold(0.0, f64::max) / size;
    assert!(gap.is_finite(), "{name}: {by_tape:?}, {score:?}");
    gap
}

#[test]
fn the_tape_gives_the_score() {
    for (name, noise) in scored() {
        let gap = tape_gap(name, &*noise, DType::F64);
        assert!(gap < 1e-12, "{name}: {gap:e}");
    }
}

mod on_device {
    use super::*;

    #[test]
    fn the_tape_gives_the_score_in_single_precision() {
        for (name, noise) in scored_in(DType::F32) {
            let gap = tape_gap(name, &*noise, DType::F32);
            assert!(gap < 1e-5, "{name}: {gap:e}");
        }
    }
}
