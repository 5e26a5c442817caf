//! Ranks by hand, their uniformity for the exact posterior, and samplers that must fail.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::{ChiSquare, SbcRanks};
use tweedie_testkit::{assert_z, device, exact};

use crate::host::upload;

const TESTS: usize = 4000;
const DRAWS: usize = 19;

/// Ranks for the prior `N(0.5, 1)` and `y = x + 0.7 n`, with posterior draws of a given bias and spread in units of the
/// posterior's standard deviation.
fn ranks(bias: f64, spread: f64) -> SbcRanks {
    let mut rng = Rng::seeded(3, &device()).with_dtype(DType::F64);
    let truth: Tensor<2> = rng.normal([TESTS, 1]) + 0.5;
    let y = truth.clone() + rng.normal([TESTS, 1]) * 0.7;
    let variance = 1.0 / (1.0 + 1.0 / 0.49);
    let mean = (y * (1.0 / 0.49) + 0.5) * variance;
    let noise: Tensor<2> = rng.normal([TESTS, DRAWS]) * spread + bias;
    let draws = mean + noise * f64::sqrt(variance);
    let mut ranks = SbcRanks::new(DRAWS);
    let half = TESTS / 2;
    for start in [0, half] {
        let truth = truth.clone().narrow(0, start, half).squeeze_dim(1);
        ranks.update(truth, draws.clone().narrow(0, start, half));
    }
    ranks
}

#[test]
fn the_exact_posterior_has_uniform_ranks() {
    let ranks = ranks(0.0, 1.0);
    assert_eq!(ranks.tests(), TESTS as u64);
    let chance = 1.0 / 20.0;
    let found: Vec<f64> = ranks
        .counts()
        .iter()
        .map(|count| *count as f64 / TESTS as f64)
        .collect();
    let error = (chance * (1.0 - chance) / TESTS as f64).sqrt();
    assert_z("ranks", &found, &[chance; 20], &[error; 20]);
    for bins in [2, 4, 5, 10, 20] {
        let test = ranks.uniformity(bins);
        assert_eq!(test.degrees_of_freedom, bins - 1);
        assert!(test.p_value() > 1e-6, "{bins} bins: {test:?}");
    }
}

#[test]
fn a_wrong_posterior_has_not() {
    // Over-confident: high at both ends; too wide: high in the middle; biased upwards: low ranks.
    let narrow = ranks(0.0, 0.8);
    let wide = ranks(0.0, 1.25);
    let biased = ranks(0.3, 1.0);
    for wrong in [&narrow, &wide, &biased] {
        let test = wrong.uniformity(20);
        assert!(test.p_value() < 1e-12, "{test:?}");
    }
    let share = |ranks: &SbcRanks, range: std::ops::Range<usize>| {
        ranks.counts()[range].iter().sum::<u64>() as f64 / TESTS as f64
    };
    assert!(share(&narrow, 0..1) > 0.07 && share(&narrow, 19..20) > 0.07);
    assert!(share(&wide, 0..1) < 0.04 && share(&wide, 19..20) < 0.04);
    assert!(share(&biased, 0..10) > 0.55);
    // Symmetric errors do not show in two halves.
    assert!(narrow.uniformity(2).p_value() > 1e-6);
}

#[test]
fn p_values_of_right_tests_are_uniform() {
    // 500 repetitions of 200 tests; the p-value's law is discrete in the 4th digit only.
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    let mut sum = 0.0;
    let mut below = 0;
    for _ in 0..500 {
        let all: Tensor<2> = rng.normal([200, 10]);
        let mut ranks = SbcRanks::new(9);
        ranks.update(all.clone().narrow(1, 4, 1).squeeze_dim(1), {
            Tensor::cat(vec![all.clone().narrow(1, 0, 4), all.narrow(1, 5, 5)], 1)
        });
        let p = ranks.uniformity(10).p_value();
        sum += p / 500.0;
        below += usize::from(p < 0.1);
    }
    let below = below as f64 / 500.0;
    let errors = [(1.0f64 / 12.0 / 500.0).sqrt(), (0.09f64 / 500.0).sqrt()];
    assert_z("p-values", &[sum, below], &[0.5, 0.1], &errors);
}

#[test]
fn ranks_count_the_draws_below() {
    let mut ranks = SbcRanks::new(3);
    let truth = exact(&[0.5, -9.0, 9.0, 2.5], [4]);
    let draws = exact(&[3.0, 1.0, 2.0].repeat(4), [4, 3]);
    ranks.update(truth, draws);
    assert_eq!(ranks.counts(), [2, 0, 1, 1]);
    assert_eq!(ranks.histogram(2), [2, 2]);
    assert_eq!(ranks.histogram(1), [4]);
    assert_eq!(
        ranks.uniformity(4),
        ChiSquare {
            statistic: 2.0,
            degrees_of_freedom: 3
        }
    );
}

#[test]
fn p_values_agree_with_tables() {
    // Quantiles of the chi-square law, as in Abramowitz & Stegun, table 26.8, with more digits.
    for (degrees_of_freedom, statistic, expected) in [
        (1, 3.841_458_820_694_124, 0.05),
        (2, 5.991_464_547_107_979, 0.05),
        (3, 7.814_727_903_251_178, 0.05),
        (10, 18.307_038_053_275_146, 0.05),
        (19, 30.143_527_205_646_16, 0.05),
        (100, 124.342_113_404_004_07, 0.05),
        (1, 6.634_896_601_021_213, 0.01),
        (10, 23.209_251_158_954_36, 0.01),
    ] {
        let test = ChiSquare {
            statistic,
            degrees_of_freedom,
        };
        let found = test.p_value();
        assert!((found - expected).abs() < 1e-12, "{test:?}: {found}");
    }
    let test = |statistic, degrees_of_freedom| ChiSquare {
        statistic,
        degrees_of_freedom,
    };
    assert_eq!(test(0.0, 5).p_value(), 1.0);
    assert_eq!(test(f64::INFINITY, 1).p_value(), 0.0);
    // Far beyond the range of exp(-x): Wilson & Hilferty 1931, good to 1e-3 there.
    for degrees in [2001, 2000] {
        let k = degrees as f64;
        let middle = k * (1.0 - 2.0 / (9.0 * k)).powi(3);
        let found = test(middle, degrees).p_value();
        assert!((found - 0.5).abs() < 1e-3, "{found}");
    }
}

mod on_device {
    use super::*;

    #[test]
    fn summaries_are_read_from_the_device() {
        let mut ranks = SbcRanks::new(2);
        ranks.update(
            upload(vec![0.5, 3.0], [2]),
            upload(vec![1.0, 0.0, 1.0, 2.0], [2, 2]),
        );
        assert_eq!(ranks.counts(), [0, 1, 1]);
    }
}

#[test]
#[should_panic(expected = "must divide the 20 ranks, found 7")]
fn bins_must_be_equal() {
    let _ = SbcRanks::new(19).histogram(7);
}

#[test]
#[should_panic(expected = "[tests, draws]")]
fn all_tests_have_as_many_draws() {
    SbcRanks::new(2).update(exact(&[0.0], [1]), exact(&[0.0; 3], [1, 3]));
}

#[test]
#[should_panic(expected = "not a number")]
fn summaries_are_numbers() {
    SbcRanks::new(1).update(exact(&[f64::NAN], [1]), exact(&[0.0], [1, 1]));
}

#[test]
#[should_panic(expected = "no ranks")]
fn nothing_is_not_uniform() {
    let _ = SbcRanks::new(1).uniformity(2);
}
