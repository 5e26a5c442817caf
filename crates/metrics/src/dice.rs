//! Overlap of a found region with the true one.
//!
//! `Dice(A, B) = 2 |A and B|/(|A| + |B|)`
//!
//! Dice 1945, <https://doi.org/10.2307/1932409>.

use crate::auroc::ranked;

/// A threshold and what it gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestDice {
    /// The coefficient.
    pub dice: f64,
    /// Scores of at least this belong to the region.
    pub threshold: f64,
}

/// The Dice coefficient of two regions, from 0 for disjoint ones to 1 for equal ones; 1 where both are empty.
///
/// # Panics
/// If the lengths differ.
///
/// ```
/// let found = [0.9, 0.8, 0.1].map(|score| score > 0.5);
/// assert_eq!(tweedie_metrics::dice(&found, &[true, false, false]), 2.0 / 3.0);
/// ```
pub fn dice(found: &[bool], truth: &[bool]) -> f64 {
    assert_eq!(found.len(), truth.len(), "two regions must have one length");
    let count = |region: &[bool]| region.iter().filter(|is| **is).count();
    let both = found.iter().zip(truth).filter(|(a, b)| **a && **b).count();
    coefficient(both, count(found), count(truth))
}

/// The largest Dice coefficient of a region `score >= threshold`, over all thresholds; of equal ones the highest.
///
/// The threshold is chosen with the truth at hand, so on the images that it was chosen on the coefficient is an upper bound.
///
/// # Panics
/// If the lengths differ, there is no score, the truth is empty, or a score is not a number.
///
/// ```
/// let best = tweedie_metrics::best_dice(&[0.1, 0.7, 0.9, 0.8], &[false, false, true, true]);
/// assert_eq!((best.dice, best.threshold), (1.0, 0.8));
/// ```
pub fn best_dice(scores: &[f64], truth: &[bool]) -> BestDice {
    let order = ranked(scores, truth);
    let size = truth.iter().filter(|is| **is).count();
    assert!(size > 0, "the truth must not be empty");
    let (mut found, mut both) = (0, 0);
    let mut best = BestDice {
        dice: f64::NEG_INFINITY,
        threshold: f64::INFINITY,
    };
    for tie in order.chunk_by(|&a, &b| scores[a] == scores[b]).rev() {
        found += tie.len();
        both += tie.iter().filter(|&&index| truth[index]).count();
        let dice = coefficient(both, found, size);
        if dice > best.dice {
            best = BestDice {
                dice,
                threshold: scores[tie[0]],
            };
        }
    }
    best
}

fn coefficient(both: usize, found: usize, truth: usize) -> f64 {
    if found + truth == 0 {
        return 1.0;
    }
    2.0 * both as f64 / (found + truth) as f64
}
