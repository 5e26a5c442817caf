//! Every law over every operator, and the operators' arithmetic against sums on the host.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Rng, value_and_vjp};
use tweedie_physics::{
    AverageDownsampling, Blur, ConjugateGradient, ForwardOperator, LinearOperator, OperatorCheck,
    OperatorFault, check_operator,
};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::registry::{Case, EXACT, all, all_in, lopsided_kernel, normal};

fn check(case: &Case, dtype: DType) -> Result<OperatorCheck, OperatorFault> {
    let mut rng = Rng::seeded(1, &device()).with_dtype(dtype);
    check_operator(case.operator.as_ref(), case.image, &mut rng)
}

const TOLERANCE: f64 = 1e-10;

fn assert_same<const D: usize>(name: &str, got: &Tensor<D>, expected: &Tensor<D>) {
    assert_eq!(got.dims(), expected.dims(), "{name}: shapes differ");
    assert_close(name, &values(got), &values(expected), TOLERANCE);
}

#[test]
fn every_operator_passes_the_public_check() {
    for case in all() {
        let report =
            check(&case, DType::F64).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        for law in report.laws {
            assert!(law.allowed <= TOLERANCE, "{}: {law:?}", case.name);
        }
    }
}

#[test]
fn every_operator_passes_the_public_check_in_single_precision() {
    for case in all_in(DType::F32) {
        let report =
            check(&case, DType::F32).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        for law in report.laws {
            assert!(law.allowed <= 1e-4, "{}: {law:?}", case.name);
        }
    }
}

#[test]
fn vjp_is_what_automatic_differentiation_gives() {
    for case in all() {
        let (x, v) = (case.random_image(1), case.random_measurement(2));
        let vjp = case.operator.vjp(x.clone(), v.clone());
        let by_tape = value_and_vjp(x, |x| case.operator.forward(x), |_| v).1;
        assert_same(case.name, &vjp, &by_tape);
    }
}

#[test]
fn solve_normal_solves_the_normal_equations() {
    for case in all() {
        let rhs = case.random_image(1);
        for damping in [0.02, 3.0] {
            let x = case.operator.solve_normal(rhs.clone(), damping, EXACT);
            let gram = case.operator.adjoint(case.operator.forward(x.clone()));
            assert_same(case.name, &(gram + x.mul_scalar(damping)), &rhs);
        }
    }
}

#[test]
fn pseudo_inverse_is_consistent_and_of_least_norm() {
    for case in all() {
        let x = case.random_image(1);
        let y = case.operator.forward(x.clone());
        let recovered = case.operator.pseudo_inverse(y.clone(), EXACT);
        assert_same(case.name, &case.operator.forward(recovered.clone()), &y);
        let overlap = (recovered.clone() * (x - recovered)).sum();
        assert_close(case.name, &values(&overlap), &[0.0], TOLERANCE);
    }
}

/// The documented sum, term by term.
fn convolve(x: &Tensor<4>, kernel: &Tensor<2>) -> Vec<f64> {
    let [batch, channels, height, width] = x.dims();
    let [rows, columns] = kernel.dims();
    let (x, kernel) = (values(x), values(kernel));
    let mut sums = Vec::new();
    for plane in 0..batch * channels {
        for i in 0..height {
            for j in 0..width {
                let mut sum = 0.0;
                for a in 0..rows {
                    for b in 0..columns {
                        let row = (i + height + rows / 2 - a) % height;
                        let column = (j + width + columns / 2 - b) % width;
                        sum += kernel[a * columns + b] * x[(plane * height + row) * width + column];
                    }
                }
                sums.push(sum);
            }
        }
    }
    sums
}

#[test]
fn blur_is_the_circular_convolution_sum() {
    let kernel = lopsided_kernel();
    for image in [[2, 2, 6, 7], [1, 1, 3, 5]] {
        let x = normal(image, 4);
        let blurred = values(&Blur::new(kernel.clone()).unwrap().forward(x.clone()));
        assert_close("blur", &blurred, &convolve(&x, &kernel), TOLERANCE);
        let mirrored = values(&Blur::new(kernel.clone().flip([0, 1])).unwrap().forward(x));
        let gap = blurred.iter().zip(&mirrored).map(|(a, b)| (a - b).abs());
        assert!(
            gap.fold(0.0, f64::max) > 0.01,
            "the kernel is not symmetric"
        );
    }
}

#[test]
fn downsampling_takes_means_of_blocks() {
    let x: Vec<f64> = (0..24).map(f64::from).collect();
    let y = AverageDownsampling::new(2)
        .unwrap()
        .forward(exact(&x, [1, 1, 4, 6]));
    let expected = [3.5, 5.5, 7.5, 15.5, 17.5, 19.5];
    assert_close("block means", &values(&y), &expected, TOLERANCE);
}

#[test]
fn single_precision_survives_a_budget_far_beyond_convergence() {
    let device = device();
    let blur = Blur::gaussian([8, 8], 0.8, &device).unwrap();
    let rhs = Rng::seeded(3, &device).normal([2, 1, 8, 8]);
    let solve = |iterations| {
        let budget = ConjugateGradient { iterations };
        values(&blur.solve_normal(rhs.clone(), 0.1, budget))
    };
    // Condition number 11: the error bound reaches single precision after 30 iterations.
    let rounding = 100.0 * f64::from(f32::EPSILON) * 10.0;
    assert_close("solution", &solve(120), &solve(30), rounding);
}
