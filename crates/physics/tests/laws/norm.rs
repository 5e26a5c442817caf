//! Power iteration against norms that are known.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, Blur, Hadamard, Identity, LinearClosure, MatrixOperator, Product, Scaled,
    operator_norm,
};
use tweedie_testkit::{device, exact};

fn rng() -> Rng {
    Rng::seeded(4, &device()).with_dtype(DType::F64)
}

#[track_caller]
fn assert_norm(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-12 * expected,
        "found {found}, expected {expected}"
    );
}

#[test]
fn norms_that_are_known() {
    let image = [2, 2, 4, 4];
    assert_norm(operator_norm(&Identity, image, 1, &mut rng()), 1.0);
    let third = Scaled::new(-1.0 / 3.0, Identity).unwrap();
    assert_norm(operator_norm(&third, image, 1, &mut rng()), 1.0 / 3.0);
    // A A^T = I / 4.
    let means = AverageDownsampling::new(2).unwrap();
    assert_norm(operator_norm(&means, image, 2, &mut rng()), 0.5);
    let camera = Hadamard::single_pixel([4, 4], 5, (&device(), DType::F64)).unwrap();
    assert_norm(operator_norm(&camera, image, 2, &mut rng()), 1.0);
    // A kernel of positive weights passes flat images best: the norm is its sum.
    let kernel = exact(&[0.1, 0.3, 0.2, 0.4, 0.5, 0.1, 0.2, 0.1, 0.3], [3, 3]);
    let blur = Blur::new(kernel).unwrap();
    assert_norm(operator_norm(&blur, image, 60, &mut rng()), 2.2);
    assert_norm(
        operator_norm(&Product::new(means, blur), image, 60, &mut rng()),
        1.1,
    );
}

#[test]
fn estimates_come_from_below_and_converge_at_the_stated_rate() {
    let ratio: f64 = 0.9;
    let diagonal = exact(&[1.0, 0.0, 0.0, 0.0, 0.0, ratio], [3, 2]);
    let operator = MatrixOperator::new(diagonal, [1, 1, 2]).unwrap();
    let estimate = |iterations| operator_norm(&operator, [1, 1, 1, 2], iterations, &mut rng());
    let errors = [10, 20].map(|iterations| 1.0 - estimate(iterations));
    assert!(errors.iter().all(|&error| error > 0.0), "{errors:?}");
    let rate = (errors[1] / errors[0]).powf(0.1);
    assert!(
        (rate - ratio.powi(4)).abs() < 0.01,
        "rate {rate}, expected {}",
        ratio.powi(4)
    );
}

#[test]
fn nothing_has_norm_zero_and_what_is_undefined_stays_so() {
    let image = [2, 1, 2, 2];
    let nothing = LinearClosure::new([1, 2, 2], [1, 2, 2], |x| x.zeros_like(), |y| y.zeros_like());
    assert_eq!(operator_norm(&nothing, image, 3, &mut rng()), 0.0);
    let undefined = |x: Tensor<4>| x.mul_scalar(f64::NAN);
    let broken = LinearClosure::new([1, 2, 2], [1, 2, 2], undefined, undefined);
    assert!(operator_norm(&broken, image, 3, &mut rng()).is_nan());
}
