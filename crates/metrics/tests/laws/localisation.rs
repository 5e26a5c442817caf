//! Areas under the curve and Dice coefficients, by hand and by brute force.

use tweedie_metrics::{auroc, best_dice, dice};
use tweedie_testkit::{Rng, assert_z, device};

use crate::host::host;

/// Uniform numbers rounded to a tenth, so that many are equal, or not rounded.
fn uniform(seed: u64, count: usize, rounded: bool) -> Vec<f64> {
    let numbers = host(Rng::seeded(seed, &device()).uniform::<1>([count]));
    let round = |number: f64| {
        if rounded {
            (number * 10.0).floor()
        } else {
            number
        }
    };
    numbers.into_iter().map(round).collect()
}

#[test]
fn an_area_by_hand() {
    let labels = [true, false, true, false, false];
    // Of the six pairs: 3 > 1, 3 = 3, 3 > 2; 2 > 1, 2 < 3, 2 = 2.
    assert_eq!(auroc(&[3.0, 1.0, 2.0, 3.0, 2.0], &labels), 4.0 / 6.0);
    assert_eq!(auroc(&[9.0, 1.0, 8.0, 3.0, 2.0], &labels), 1.0);
    assert_eq!(auroc(&[0.0, 1.0, -8.0, 3.0, 2.0], &labels), 0.0);
    assert_eq!(auroc(&[7.0; 5], &labels), 0.5);
}

#[test]
fn an_area_is_the_share_of_pairs_in_order() {
    for rounded in [false, true] {
        let scores = uniform(1, 200, rounded);
        let labels: Vec<bool> = uniform(2, 200, false).iter().map(|u| *u < 0.3).collect();
        let (mut pairs, mut ordered) = (0.0, 0.0);
        for i in (0..200).filter(|&i| labels[i]) {
            for j in (0..200).filter(|&j| !labels[j]) {
                pairs += 1.0;
                ordered += match scores[i].total_cmp(&scores[j]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        let found = auroc(&scores, &labels);
        assert!((found - ordered / pairs).abs() < 1e-14, "{found}");
    }
}

#[test]
fn scores_that_know_nothing_have_an_area_of_a_half() {
    let (positives, negatives) = (20, 80);
    let labels: Vec<bool> = (0..100).map(|index| index < positives).collect();
    let areas: Vec<f64> = (0..400)
        .map(|seed| auroc(&uniform(seed, 100, false), &labels))
        .collect();
    let mean = areas.iter().sum::<f64>() / 400.0;
    let variance = 101.0 / (12.0 * positives as f64 * negatives as f64);
    assert_z("area", &[mean], &[0.5], &[(variance / 400.0).sqrt()]);
    // The variance of 400 normal areas has the relative standard error sqrt(2/399); areas of 20 and 80 are nearly normal.
    let spread = areas.iter().map(|area| (area - 0.5).powi(2)).sum::<f64>() / 400.0;
    assert_z(
        "spread",
        &[spread / variance],
        &[1.0],
        &[(2.0f64 / 399.0).sqrt()],
    );
}

#[test]
fn dice_by_hand() {
    let truth = [true, true, false, false];
    assert_eq!(dice(&[true, true, false, false], &truth), 1.0);
    assert_eq!(dice(&[false, false, true, true], &truth), 0.0);
    assert_eq!(dice(&[true, true, true, true], &truth), 2.0 / 3.0);
    assert_eq!(dice(&[false; 4], &truth), 0.0);
    assert_eq!(dice(&[false; 4], &[false; 4]), 1.0);
}

#[test]
fn the_best_dice_is_that_of_the_best_threshold() {
    for (seed, rounded) in [(3, false), (4, true), (5, true)] {
        let scores = uniform(seed, 60, rounded);
        let truth: Vec<bool> = uniform(seed + 10, 60, false)
            .iter()
            .zip(&scores)
            .map(|(u, score)| u * 0.5 < *score * if rounded { 0.05 } else { 0.5 })
            .collect();
        let at = |threshold: f64| {
            let found: Vec<bool> = scores.iter().map(|score| *score >= threshold).collect();
            dice(&found, &truth)
        };
        let best = best_dice(&scores, &truth);
        assert_eq!(best.dice, at(best.threshold));
        for &threshold in &scores {
            assert!(at(threshold) <= best.dice, "better at {threshold}");
            assert!(threshold <= best.threshold || at(threshold) < best.dice);
        }
    }
}

/// Equal scores belong to the region together or not at all, whatever their order and the sign of zero.
#[test]
fn a_tie_is_never_cut() {
    for scores in [[2.0, 2.0, 1.0], [0.0, -0.0, -1.0], [-0.0, 0.0, -1.0]] {
        for truth in [[true, false, false], [false, true, false]] {
            let best = best_dice(&scores, &truth);
            assert_eq!((best.dice, best.threshold), (2.0 / 3.0, scores[0]));
            // Of the two pairs: one tie, one in order.
            assert_eq!(auroc(&scores, &truth), 0.75);
        }
    }
}

#[test]
fn of_equal_coefficients_that_of_the_highest_threshold_is_told() {
    // 2/3 from the first score on, and from all.
    let best = best_dice(&[4.0, 3.0, 2.0, 1.0], &[true, false, false, true]);
    assert_eq!((best.dice, best.threshold), (2.0 / 3.0, 4.0));
}

#[test]
#[should_panic(expected = "the truth must not be empty")]
fn an_empty_truth_has_no_best_threshold() {
    best_dice(&[1.0, 2.0], &[false, false]);
}

#[test]
#[should_panic(expected = "found 3 and 0")]
fn an_area_needs_both_kinds() {
    auroc(&[1.0, 2.0, 3.0], &[true; 3]);
}

#[test]
#[should_panic(expected = "score 1 is not a number")]
fn a_score_is_a_number() {
    best_dice(&[1.0, f64::NAN], &[true, false]);
}
