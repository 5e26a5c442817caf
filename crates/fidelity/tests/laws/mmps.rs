//! Laws of moment matching posterior sampling.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, FullGaussian, GaussianPrior};
use tweedie_fidelity::{Ald, Dps, Mmps, NoisyFidelity, Posterior, Tmpd};
use tweedie_physics::{ForwardOperator, Identity, MatrixOperator};
use tweedie_testkit::{exact, values};

use crate::{
    correlated::Problem,
    guidance::{Constant, Inverting, variances},
    registry::{IMAGE, linear, normal},
    support::largest,
};

const NOISE_STD: f64 = 0.3;
const SIGMAS: [f64; 3] = [0.05, 0.9, 40.0];

#[test]
fn mmps_with_as_many_iterations_as_measurements_is_exact_for_a_gaussian_prior() {
    let problem = Problem::new();
    for sigma in SIGMAS {
        for noise_std in [NOISE_STD, 0.0] {
            for iterations in [3, 20] {
                let guidance = problem.mmps(noise_std, iterations);
                let error = problem.error(&guidance, noise_std, sigma);
                assert!(error < 1e-8, "{sigma} {noise_std} {iterations}: {error:e}");
            }
        }
    }
}

#[test]
fn fewer_iterations_or_a_covariance_left_out_are_not_exact() {
    let problem = Problem::new();
    let operator = || problem.operator();
    let y = || problem.y.clone();
    let others: [Box<dyn NoisyFidelity>; 5] = [
        Box::new(problem.mmps(NOISE_STD, 1)),
        Box::new(problem.mmps(NOISE_STD, 2)),
        Box::new(Tmpd::new(operator(), y(), NOISE_STD).unwrap()),
        Box::new(Dps::new(operator(), y(), NOISE_STD).unwrap()),
        Box::new(Ald::new(operator(), y(), NOISE_STD).unwrap()),
    ];
    for (index, guidance) in others.iter().enumerate() {
        let error = problem.error(guidance, NOISE_STD, 0.9);
        assert!(error > 1e-2, "guidance {index}: {error:e}");
    }
    let blind = Mmps::new(operator(), y(), NOISE_STD).unwrap();
    let guided = blind.guide(&Constant, problem.noisy.clone(), 0.9);
    assert_eq!(largest(&guided.likelihood_score), 0.0);
}

#[test]
fn without_noise_mmps_meets_the_measurement() {
    let problem = Problem::new();
    for case in linear().into_iter().filter(|case| case.name != "blur") {
        let measurements = case.y.dims().iter().product();
        let guidance = Mmps::new(&case.operator, case.y.clone(), 0.0)
            .and_then(|guidance| guidance.with_iterations(measurements))
            .unwrap();
        let prior = GaussianPrior::diagonal(normal([1, 2, 4, 6], 31), variances()).unwrap();
        let u = Posterior { prior, guidance }.denoise(normal(IMAGE, 1), 0.9);
        let error = largest(&(case.operator.forward(u) - case.y));
        assert!(error < 1e-8, "{}: {error:e}", case.name);
    }
    let guidance = problem.mmps(0.0, 3);
    let prior = problem.prior();
    let u = Posterior { prior, guidance }.denoise(problem.noisy.clone(), 0.9);
    let error = largest(&(problem.operator().forward(u) - problem.y.clone()));
    assert!(error < 1e-8, "matrix: {error:e}");
}

#[test]
fn directions_of_negative_curvature_leave_mmps_finite() {
    let y = exact(&[1.0, 0.0], [1, 1, 1, 2]);
    let guidance = Mmps::new(Identity, y, 0.5).unwrap();
    let x = exact(&[0.3, 0.1], [1, 1, 1, 2]);
    let score = guidance.guide(&Inverting, x, 2.0).likelihood_score;
    assert_eq!(values(&score), [0.0, 0.0]);
}

/// Rounding ends the search of conjugate gradients sooner in single precision, and iterations past it do no harm.
#[test]
fn mmps_in_single_precision() {
    let problem = Problem::new();
    let exact_score = problem.score(NOISE_STD, 0.9);
    let single = |tensor: &Tensor<4>| tensor.clone().cast(DType::F32);
    let covariance = problem.covariance.clone().cast(DType::F32);
    let prior = FullGaussian::new(single(&problem.mean), covariance).unwrap();
    let matrix = problem.matrix.clone().cast(DType::F32);
    let operator = MatrixOperator::new(matrix, [1, 2, 2]).unwrap();
    for iterations in [4, 50] {
        let guidance = Mmps::new(&operator, single(&problem.y), NOISE_STD)
            .and_then(|guidance| guidance.with_iterations(iterations))
            .unwrap();
        let score = guidance
            .guide(&prior, single(&problem.noisy), 0.9)
            .likelihood_score;
        assert_eq!(score.dtype(), DType::F32);
        let gap = largest(&(score.cast(DType::F64) - exact_score.clone())) / largest(&exact_score);
        assert!(gap < 1e-5, "{iterations}: {gap:e}");
    }
}

/// Nine mixtures of three measurements without noise: the matrix is singular, and rounding alone is left once the
/// search is over.
#[test]
fn redundant_measurements_leave_mmps_where_single_ones_do() {
    let problem = Problem::new();
    for (dtype, tolerance) in [(DType::F64, 1e-8), (DType::F32, 1e-3)] {
        let single = |tensor: &Tensor<4>| tensor.clone().cast(dtype);
        let covariance = problem.covariance.clone().cast(dtype);
        let prior = FullGaussian::new(single(&problem.mean), covariance).unwrap();
        let matrix = problem.matrix.clone().cast(dtype);
        let mixing: Tensor<2> = normal([9, 3], 26).cast(dtype);
        let operator = MatrixOperator::new(mixing.clone().matmul(matrix), [1, 2, 2]).unwrap();
        let y = single(&problem.y).reshape([1, 3]);
        let y = y.matmul(mixing.transpose()).reshape([1, 1, 1, 9]);
        let expected = problem.score(0.0, 0.9);
        for iterations in [4, 8, 100] {
            let guidance = Mmps::new(&operator, y.clone(), 0.0)
                .and_then(|guidance| guidance.with_iterations(iterations))
                .unwrap();
            let score = guidance
                .guide(&prior, single(&problem.noisy), 0.9)
                .likelihood_score
                .cast(DType::F64);
            let gap = largest(&(score - expected.clone())) / largest(&expected);
            assert!(gap < tolerance, "{dtype:?} {iterations}: {gap:e}");
        }
    }
}
