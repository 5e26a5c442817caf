//! Conjugate gradients on systems whose solution is known.

use burn::tensor::{DType, Tensor};
use tweedie_physics::ConjugateGradient;
use tweedie_testkit::{assert_close, exact, values};

#[test]
fn as_many_iterations_as_eigenvalues_are_exact() {
    let weights = exact(&[1.0, 4.0, 9.0, 1.0, 4.0, 9.0], [2, 3]);
    let solution = exact(&[1.0, -2.0, 0.5, 3.0, 0.0, -1.0], [2, 3]);
    let rhs = solution.clone() * weights.clone();
    let apply = |x| x * weights.clone();
    let found = ConjugateGradient { iterations: 3 }.solve(apply, rhs.clone());
    assert_close("three", &values(&found), &values(&solution), 1e-12);
    let early = ConjugateGradient { iterations: 2 }.solve(apply, rhs.narrow(0, 0, 1));
    let error = (early - solution.narrow(0, 0, 1)).abs().max();
    assert!(values(&error)[0] > 1e-3, "two iterations cannot be enough");
}

#[test]
fn converged_and_zero_samples_stay_where_they_are() {
    let rhs = exact(&[0.0, 0.0, 2.0, 0.0, 1.0, 5.0], [3, 2]);
    let apply = |x: Tensor<2>| x * exact(&[2.0, 5.0], [1, 2]);
    let found = ConjugateGradient { iterations: 50 }.solve(apply, rhs);
    let expected = [0.0, 0.0, 1.0, 0.0, 0.5, 1.0];
    assert_close("solutions", &values(&found), &expected, 1e-14);
}

#[test]
fn a_singular_system_gets_its_least_norm_solution() {
    let apply = |x: Tensor<2>| x * exact(&[2.0, 0.0], [1, 2]);
    let found = ConjugateGradient { iterations: 10 }.solve(apply, exact(&[4.0, 0.0], [1, 2]));
    assert_close("solution", &values(&found), &[2.0, 0.0], 1e-14);
}

#[test]
fn a_singular_system_survives_a_budget_far_beyond_convergence() {
    // A^T A for a wide A: rank 2 of 4, with rounding error in the null space.
    let matrix = exact(&[0.3, 1.1, -0.7, 0.2, 0.9, -0.4, 0.1, 1.3], [2, 4]);
    for dtype in [DType::F64, DType::F32] {
        let a = matrix.clone().cast(dtype);
        let apply = |x: Tensor<2>| x.matmul(a.clone().transpose()).matmul(a.clone());
        let y = exact(&[1.0, -2.0, 0.3, 0.1], [2, 2]).cast(dtype);
        let solve = |iterations| {
            let budget = ConjugateGradient { iterations };
            values(&budget.solve(apply, y.clone().matmul(a.clone())))
        };
        let rounding = 100.0 * dtype.finfo().unwrap().epsilon;
        assert_close("solution", &solve(300), &solve(2), rounding);
    }
}
