//! What an operator draws when it is made.

use burn::tensor::{Distribution, ElementRandom};
use tweedie_core::{Stream, stream};

/// No batch has this many rows, so what an operator draws is not what a row's noise draws under the same seed.
const OPERATORS: u64 = u64::MAX;

/// The generator of an operator.
pub(crate) fn generator(seed: u64) -> Stream {
    stream(seed, OPERATORS)
}

/// A number in [0, 1).
pub(crate) fn uniform(generator: &mut Stream) -> f64 {
    f64::random(Distribution::Default, generator)
}

/// The indices below `n`, each order equally likely.
pub(crate) fn order(n: usize, generator: &mut Stream) -> Vec<usize> {
    let keys: Vec<f64> = (0..n).map(|_| uniform(generator)).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    order
}
