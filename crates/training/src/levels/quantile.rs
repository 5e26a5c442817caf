//! The standard normal number that a uniform one stands for: `z` with `Phi(z) = u`.
//!
//! Newton's method on `ln Phi(z) = ln u` for `u <= 1/2`, the other half by symmetry. The function is concave and rising, so from
//! any start to the left of the root the iterates rise to it; `Phi(-z) <= exp(-z^2/2)/2` gives such a start.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// The least number, and what 1 is above the greatest: half the spacing of uniform numbers.
const LEAST: f64 = f64::EPSILON / 4.0;

/// More than double precision takes, from any start.
const ITERATIONS: usize = 12;

/// The quantile of `u`, in [0, 1).
pub(super) fn normal(u: f64) -> f64 {
    if u > 0.5 {
        return -lower(1.0 - u);
    }
    lower(u.max(LEAST))
}

/// Where `u <= 1/2`.
fn lower(u: f64) -> f64 {
    let mut z = -(-2.0 * (2.0 * u).ln()).max(0.0).sqrt();
    for _ in 0..ITERATIONS {
        let share = 0.5 * libm::erfc(-z * FRAC_1_SQRT_2);
        let slope = (-0.5 * z * z).exp() / TAU.sqrt() / share;
        let step = (share / u).ln() / slope;
        z -= step;
        if step.abs() <= f64::EPSILON * z.abs() {
            break;
        }
    }
    z
}
