//! Area under the receiver operating characteristic.
//!
//! `AUROC = P(a > b) + P(a = b)/2` for the score `a` of a random positive and `b` of a random negative: the rank sum of the positives,
//! ties at their mean rank, `(R - n (n + 1)/2)/(n m)`.
//!
//! Mann & Whitney 1947, <https://doi.org/10.1214/aoms/1177730491>; Hanley & McNeil 1982, section 2,
//! <https://doi.org/10.1148/radiology.143.1.7063747>.

/// The chance that a positive has a higher score than a negative, ties counted half: 1 for perfect scores, 0.5 for scores that
/// know nothing.
///
/// For `n` positives and `m` negatives whose independent scores have one law without ties, its variance is
/// `(n + m + 1)/(12 n m)`; neighbouring pixels are not independent.
///
/// # Panics
/// If the lengths differ, all are positive or none is, or a score is not a number.
///
/// ```
/// use tweedie_metrics::auroc;
///
/// // Of the four pairs three are in order.
/// assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), 0.75);
/// ```
pub fn auroc(scores: &[f64], positive: &[bool]) -> f64 {
    let order = ranked(scores, positive);
    let positives = positive.iter().filter(|is| **is).count();
    let negatives = positive.len() - positives;
    assert!(
        positives > 0 && negatives > 0,
        "the curve needs positives and negatives, found {positives} and {negatives}"
    );
    // Twice the number of pairs in order, a tie being half a pair: whole numbers have no rounding.
    let (mut twice, mut below) = (0u128, 0u128);
    for tie in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let up = tie.iter().filter(|&&index| positive[index]).count() as u128;
        let down = tie.len() as u128 - up;
        twice += up * (2 * below + down);
        below += down;
    }
    twice as f64 / (2.0 * positives as f64 * negatives as f64)
}

/// The places of the scores, from the least on.
pub(crate) fn ranked(scores: &[f64], positive: &[bool]) -> Vec<usize> {
    assert_eq!(
        scores.len(),
        positive.len(),
        "there must be one score for each label"
    );
    if let Some(index) = scores.iter().position(|score| score.is_nan()) {
        panic!("score {index} is not a number");
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order
}
