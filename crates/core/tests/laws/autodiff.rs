//! The vector-Jacobian product.

use burn::tensor::Tensor;
use tweedie_core::value_and_vjp;
use tweedie_testkit::{assert_close, assert_vjp, exact, values};

fn curved(x: Tensor<2>) -> Tensor<2> {
    x.clone().sin() * x.clone() + x.flip([1]).exp()
}

#[test]
fn product_equals_finite_differences() {
    let x = exact(&[0.3, -1.2, 0.8, 2.0, 0.1, -0.4], [2, 3]);
    let v = exact(&[1.0, -2.0, 0.5, 0.7, 1.5, -1.0], [2, 3]);
    let direction = exact(&[0.2, 0.9, -0.6, 1.1, -0.3, 0.4], [2, 3]);
    let (value, product) = value_and_vjp(x.clone(), curved, |_| v.clone());
    assert_close("value", &values(&value), &values(&curved(x.clone())), 0.0);
    assert_vjp("curved", curved, &x, &direction, &v, &product);
    assert!(!value.is_autodiff() && !product.is_autodiff());
}

#[test]
fn cotangent_sees_the_value() {
    let x = exact(&[1.5, -0.5], [1, 2]);
    let (_, gradient) = value_and_vjp(x.clone(), |x| x.mul_scalar(3.0), |y| y);
    assert_close(
        "9 x",
        &values(&gradient),
        &values(&x.mul_scalar(9.0)),
        1e-14,
    );
}

#[test]
fn a_function_that_ignores_its_argument_has_a_zero_product() {
    let x = exact(&[1.0, 2.0], [1, 2]);
    let constant = exact(&[5.0, 6.0], [1, 2]);
    let (value, product) = value_and_vjp(x, |_| constant, |y| y);
    assert_eq!(values(&value), [5.0, 6.0]);
    assert_eq!(values(&product), [0.0, 0.0]);
}

#[test]
fn a_tracked_argument_is_cut_off_its_tape() {
    let x = exact::<2>(&[2.0], [1, 1]).autodiff().require_grad();
    let (value, product) = value_and_vjp(x, |x| x.clone() * x, |y| y.ones_like());
    assert_eq!((values(&value)[0], values(&product)[0]), (4.0, 4.0));
}
