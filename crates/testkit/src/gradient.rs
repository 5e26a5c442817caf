//! Checks of adjoints and gradients.

use burn::tensor::Tensor;

use crate::values;

fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Fails unless every pair differs by at most `tolerance`, which is absolute.
pub fn assert_close(name: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}: lengths differ");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "{name}: entry {index} is {got:e}, expected {expected:e} within {tolerance:e}"
        );
    }
}

/// Fails unless `<A x, y> = <x, A^T y>` to a relative error of `1e-10`; `x` and `y` in double precision.
pub fn assert_adjoint<const X: usize, const Y: usize>(
    name: &str,
    forward: impl Fn(Tensor<X>) -> Tensor<Y>,
    adjoint: impl Fn(Tensor<Y>) -> Tensor<X>,
    x: Tensor<X>,
    y: Tensor<Y>,
) {
    let (image, back) = (forward(x.clone()), adjoint(y.clone()));
    assert_eq!(image.dims(), y.dims(), "{name}: shape of A x");
    assert_eq!(back.dims(), x.dims(), "{name}: shape of A^T y");
    let (image, back, x, y) = (values(&image), values(&back), values(&x), values(&y));
    let (left, right) = (inner_product(&image, &y), inner_product(&x, &back));
    let size = inner_product(&image, &image).sqrt() * inner_product(&y, &y).sqrt();
    assert!(
        (left - right).abs() <= 1e-10 * size,
        "{name}: <A x, y> = {left}, <x, A^T y> = {right}, size {size}"
    );
}

/// `(f(x + h d) - f(x - h d)) / 2h`: the derivative along `d`, with an error of order `h^2`.
pub fn directional_derivative<const X: usize, const Y: usize>(
    f: impl Fn(Tensor<X>) -> Tensor<Y>,
    x: &Tensor<X>,
    direction: &Tensor<X>,
    h: f64,
) -> Tensor<Y> {
    let shift = direction.clone().mul_scalar(h);
    (f(x.clone() + shift.clone()) - f(x.clone() - shift)).div_scalar(2.0 * h)
}

/// Fails unless `<J d, v> = <d, J^T v>`, `J d` by central differences: relative error below `1e-6`, that of a difference
/// quotient with step `1e-5` in double precision.
pub fn assert_vjp<const X: usize, const Y: usize>(
    name: &str,
    f: impl Fn(Tensor<X>) -> Tensor<Y>,
    x: &Tensor<X>,
    direction: &Tensor<X>,
    v: &Tensor<Y>,
    vjp: &Tensor<X>,
) {
    let slope = directional_derivative(f, x, direction, 1e-5);
    let left = inner_product(&values(&slope), &values(v));
    let right = inner_product(&values(direction), &values(vjp));
    let size = left.abs().max(right.abs()).max(1e-6);
    assert!(
        (left - right).abs() <= 1e-6 * size,
        "{name}: by differences {left}, by the product {right}"
    );
}
