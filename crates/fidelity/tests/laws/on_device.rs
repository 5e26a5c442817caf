//! Every law over every measurement.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Counted, Denoiser, GaussianPrior};
use tweedie_fidelity::{
    DataFidelity, Dps, Gradient, Isotropic, L2, NoisyFidelity, Pigdm, Poisson, Posterior, Proximal,
    TotalVariation, Wavelet, WaveletL1,
};
use tweedie_physics::{Identity, squared_norm};
use tweedie_testkit::{assert_close, assert_vjp, values};

use crate::registry::{EXACT, IMAGE, Square, differentiable, linear, normal};

const TOLERANCE: f64 = 1e-10;
const NOISE_STD: f64 = 0.3;
const VARIANCE: f64 = 0.7;
const SIGMAS: [f64; 3] = [0.05, 0.9, 40.0];

fn prior() -> GaussianPrior {
    GaussianPrior::new(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 11), VARIANCE)
}

fn spread() -> Isotropic {
    Isotropic::new(VARIANCE).unwrap()
}

fn assert_same<const D: usize>(name: &str, got: &Tensor<D>, expected: &Tensor<D>) {
    assert_eq!(got.dims(), expected.dims(), "{name}: shapes differ");
    let size = values(expected)
        .iter()
        .fold(1.0, |size: f64, v| size.max(v.abs()));
    assert_close(name, &values(got), &values(expected), TOLERANCE * size);
}

#[test]
fn gradient_is_that_of_the_value() {
    for case in differentiable() {
        let data = L2::new(case.operator, case.y, NOISE_STD).unwrap();
        let (x, direction) = (normal(IMAGE, 1), normal(IMAGE, 2));
        let grad = data.grad(x.clone());
        let each = data.value(x.clone()).ones_like();
        assert_vjp(case.name, |x| data.value(x), &x, &direction, &each, &grad);
    }
}

#[test]
fn value_is_the_sum_of_squares_over_twice_the_variance() {
    let y = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 6);
    let x = normal(IMAGE, 1);
    let data = L2::new(Square, y.clone(), NOISE_STD).unwrap();
    let (host_x, host_y) = (values(&x), values(&y));
    let expected: Vec<f64> = host_x
        .chunks(host_y.len())
        .map(|row| {
            let squares = row.iter().zip(&host_y).map(|(x, y)| (x * x - y).powi(2));
            squares.sum::<f64>() / (2.0 * NOISE_STD * NOISE_STD)
        })
        .collect();
    assert_close("value", &values(&data.value(x)), &expected, 1e-9);
}

#[test]
fn prox_is_stationary() {
    for case in linear() {
        let data = L2::new(case.operator, case.y, NOISE_STD)
            .unwrap()
            .with_cg(EXACT);
        let x = normal(IMAGE, 1);
        for step in [0.01, 2.0] {
            let u = data.prox(x.clone(), step);
            let slope = data.grad(u.clone()).mul_scalar(step);
            assert_same(case.name, &(u + slope), &x);
        }
    }
}

#[test]
fn rows_do_not_meet() {
    for case in linear() {
        let x = normal(IMAGE, 1);
        let row = x.clone().narrow(0, 1, 1);
        let data = L2::new(&case.operator, case.y.clone(), NOISE_STD).unwrap();
        let pigdm = Pigdm::new(&case.operator, case.y, NOISE_STD, spread()).unwrap();
        assert_same(
            case.name,
            &data.value(row.clone()),
            &data.value(x.clone()).narrow(0, 1, 1),
        );
        assert_same(
            case.name,
            &data.grad(row.clone()),
            &data.grad(x.clone()).narrow(0, 1, 1),
        );
        assert_same(
            case.name,
            &data.prox(row.clone(), 1.0),
            &data.prox(x.clone(), 1.0).narrow(0, 1, 1),
        );
        let score = |x| pigdm.guide(&prior(), x, 0.5).likelihood_score;
        assert_same(case.name, &score(row), &score(x).narrow(0, 1, 1));
    }
}

#[test]
fn dps_is_the_gradient_of_the_likelihood_of_the_denoised_estimate() {
    for case in differentiable() {
        let published = Dps::new(&case.operator, case.y.clone(), NOISE_STD).unwrap();
        let annealed = Dps::annealed(&case.operator, case.y.clone(), NOISE_STD, spread()).unwrap();
        let (x, direction) = (normal(IMAGE, 1), normal(IMAGE, 2));
        for sigma in SIGMAS {
            let noise = NOISE_STD * NOISE_STD;
            let uncertainty = VARIANCE * sigma * sigma / (VARIANCE + sigma * sigma);
            for (guidance, variance) in [(&published, noise), (&annealed, noise + uncertainty)] {
                let log_likelihood = |x| {
                    let estimate = prior().denoise(x, sigma);
                    let misfit = case.operator.forward(estimate) - case.y.clone();
                    squared_norm(misfit).mul_scalar(-0.5 / variance)
                };
                let guided = guidance.guide(&prior(), x.clone(), sigma);
                assert_same(
                    case.name,
                    &guided.denoised,
                    &prior().denoise(x.clone(), sigma),
                );
                let each = log_likelihood(x.clone()).ones_like();
                let score = &guided.likelihood_score;
                assert_vjp(case.name, log_likelihood, &x, &direction, &each, score);
            }
        }
    }
}

/// The posterior mean `u` of a Gaussian prior `N(m, v I)` solves
/// `A^T A u / s^2 + (1/v + 1/sigma^2) u = A^T y / s^2 + m/v + x/sigma^2`.
#[test]
fn pigdm_gives_the_exact_posterior_of_a_gaussian_prior() {
    let noise = NOISE_STD * NOISE_STD;
    for case in linear() {
        let operator = &case.operator;
        let guidance = Pigdm::new(operator, case.y.clone(), NOISE_STD, spread())
            .unwrap()
            .with_cg(EXACT);
        for sigma in SIGMAS {
            let posterior = Posterior {
                prior: prior(),
                guidance: &guidance,
            };
            let x = normal(IMAGE, 1).mul_scalar(sigma);
            let u = posterior.denoise(x.clone(), sigma);
            let level = sigma * sigma;
            let precision = 1.0 / VARIANCE + 1.0 / level;
            let left = operator
                .adjoint(operator.forward(u.clone()))
                .div_scalar(noise)
                + u.mul_scalar(precision);
            let mean = prior().denoise(x, sigma).mul_scalar(precision);
            let right = operator.adjoint(case.y.clone()).div_scalar(noise) + mean;
            assert_same(case.name, &left, &right);
        }
    }
}

#[test]
fn a_wrong_prior_variance_is_not_exact() {
    let case = &linear()[0];
    let estimate = |spread| {
        let guidance = Pigdm::new(&case.operator, case.y.clone(), NOISE_STD, spread).unwrap();
        let posterior = Posterior {
            prior: prior(),
            guidance,
        };
        posterior.denoise(normal(IMAGE, 1), 0.9)
    };
    let wrong = Isotropic::new(2.0 * VARIANCE).unwrap();
    let gap = (estimate(spread()) - estimate(wrong)).abs().max();
    assert!(values(&gap)[0] > 1e-2, "the variance has no effect");
}

#[test]
fn without_noise_pigdm_meets_the_measurement() {
    for case in linear() {
        let guidance = Pigdm::new(&case.operator, case.y.clone(), 0.0, spread())
            .unwrap()
            .with_cg(EXACT);
        let posterior = Posterior {
            prior: prior(),
            guidance,
        };
        let u = posterior.denoise(normal(IMAGE, 1), 0.9);
        let found = case.operator.forward(u);
        let expected = case.y.expand(found.dims());
        let error = (found - expected).abs().max();
        assert!(values(&error)[0] < 1e-8, "{}: {error}", case.name);
    }
}

#[test]
fn annealed_dps_is_pigdm_where_the_rows_of_the_operator_are_orthonormal() {
    for case in linear().into_iter().take(2) {
        let dps = Dps::annealed(&case.operator, case.y.clone(), NOISE_STD, spread()).unwrap();
        let pigdm = Pigdm::new(&case.operator, case.y, NOISE_STD, spread()).unwrap();
        let score = |guidance: &dyn NoisyFidelity| {
            guidance
                .guide(&prior(), normal(IMAGE, 1), 0.9)
                .likelihood_score
        };
        assert_same(case.name, &score(&dps), &score(&pigdm));
    }
}

#[test]
fn guidance_evaluates_the_prior_once() {
    let case = &linear()[1];
    let guidances: [Box<dyn NoisyFidelity + '_>; 3] = [
        Box::new(Dps::new(&case.operator, case.y.clone(), NOISE_STD).unwrap()),
        Box::new(Dps::annealed(&case.operator, case.y.clone(), NOISE_STD, spread()).unwrap()),
        Box::new(Pigdm::new(&case.operator, case.y.clone(), NOISE_STD, spread()).unwrap()),
    ];
    for guidance in guidances {
        let posterior = Posterior {
            prior: Counted::new(prior()),
            guidance,
        };
        let _ = posterior.denoise(normal(IMAGE, 1), 0.5);
        assert_eq!(posterior.prior.evaluations(), 1);
    }
}

/// Single precision gives what double precision does, to a few roundings of the largest entry.
#[test]
fn terms_and_priors_in_single_precision() {
    let both = |of: &dyn Fn(DType) -> Tensor<4>| {
        let (single, double) = (of(DType::F32), of(DType::F64));
        assert_eq!(single.dtype(), DType::F32);
        let largest = values(&double)
            .iter()
            .fold(1.0, |size: f64, v| size.max(v.abs()));
        assert_close(
            "single precision",
            &values(&single),
            &values(&double),
            1e-5 * largest,
        );
    };
    let x = |dtype| normal(IMAGE, 1).cast(dtype);
    let y = |dtype| normal(IMAGE, 4).abs().mul_scalar(3.0).cast(dtype);
    let poisson = |dtype| Poisson::new(Identity, y(dtype), 0.3, 5.0).unwrap();
    both(&|dtype| poisson(dtype).grad(x(dtype)));
    both(&|dtype| {
        poisson(dtype)
            .with_frame_bound(1.0)
            .unwrap()
            .prox(x(dtype), 0.5)
    });
    both(&|dtype| {
        let tv = TotalVariation::isotropic(0.2).unwrap().with_iterations(5);
        tv.prox(x(dtype), 1.0)
    });
    both(&|dtype| {
        let prior = WaveletL1::new([IMAGE[2], IMAGE[3]], Wavelet::Daubechies4, 1, 0.2).unwrap();
        prior.prox(x(dtype), 1.0)
    });
}
