//! Statistical bounds from a family-wise error, never picked by hand.

/// The bound on `|z|` that holds for all of `comparisons` standard normal numbers but with probability `1e-6`.
///
/// Bonferroni on both tails; the tail `exp(-z^2/2)/(z sqrt(2 pi))` bounds the exact one from above.
pub fn z_bound(comparisons: usize) -> f64 {
    let tail = 1e-6 / (2.0 * comparisons as f64);
    let excess = |z: f64| (-0.5 * z * z).exp() / (z * std::f64::consts::TAU.sqrt()) - tail;
    let (mut low, mut high) = (1.0, 40.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Fails unless each estimate lies within [`z_bound`] standard errors of its exact value.
pub fn assert_z(name: &str, estimates: &[f64], expected: &[f64], standard_error: &[f64]) {
    let count = estimates.len();
    assert!(
        count > 0 && expected.len() == count && standard_error.len() == count,
        "{name}: lengths differ"
    );
    let bound = z_bound(count);
    for index in 0..count {
        let (got, expected, se) = (estimates[index], expected[index], standard_error[index]);
        let z = (got - expected) / se;
        assert!(
            z.abs() <= bound,
            "{name}: {index} of N = {count}: expected {expected}, got {got}, se {se}, z {z:.2}, bound {bound:.2}"
        );
    }
}
