//! Checks that data terms and priors share.

use burn::tensor::Tensor;
use tweedie_testkit::{directional_derivative, values};

pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn largest(x: &Tensor<4>) -> f64 {
    values(x).iter().fold(0.0, |size: f64, v| size.max(v.abs()))
}

/// `|a - b|` over the largest entry of `b`, or over 1.
pub(crate) fn relative_gap(a: &Tensor<4>, b: &Tensor<4>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    largest(&(a.clone() - b.clone())) / largest(b).max(1.0)
}

/// How far `<grad, d>` is from the derivative of `value` along `d`, relative, summed over the batch.
pub(crate) fn slope_gap(
    value: impl Fn(Tensor<4>) -> Tensor<1>,
    x: &Tensor<4>,
    direction: &Tensor<4>,
    grad: &Tensor<4>,
) -> f64 {
    let slope: f64 = values(&directional_derivative(value, x, direction, 1e-5))
        .iter()
        .sum();
    let product = inner(&values(grad), &values(direction));
    (slope - product).abs() / slope.abs().max(product.abs())
}
