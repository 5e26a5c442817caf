//! Laws of the models of `Cov[x_0 | x_sigma]`, and of the guidance that takes any of them.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, FullGaussian, GaussianPrior, value_and_vjp};
use tweedie_fidelity::{
    Diagonal, FidelityError, Full, GaussianGuidance, Isotropic, NoisyFidelity, Pigdm,
    TweedieCovariance,
};
use tweedie_physics::ConjugateGradient;
use tweedie_testkit::{assert_close, exact, values};

use crate::{
    correlated::{Problem, SHAPE},
    guidance::{independent_pixels, variances},
    registry::{EXACT, IMAGE, linear, normal},
    support::largest,
};

const NOISE_STD: f64 = 0.3;
const SIGMAS: [f64; 3] = [0.05, 0.9, 40.0];
/// The pixels of [`Problem`].
const SPREAD: [f64; 4] = [0.3, 1.2, 0.0, 2.5];

/// `sigma^2 J v` of a denoiser with a symmetric Jacobian.
fn tweedie(prior: &dyn Denoiser, v: &Tensor<4>, sigma: f64) -> Tensor<4> {
    let denoise = |x| prior.denoise(x, sigma);
    let (_, pulled) = value_and_vjp(v.zeros_like(), denoise, |_| v.clone());
    pulled.mul_scalar(sigma * sigma)
}

#[test]
fn models_are_the_covariances_of_their_priors() {
    let v = normal(SHAPE, 2);
    let mean = || exact(&[0.5, -1.0, 0.2, 2.0], [1, 1, 2, 2]);
    let each = || exact(&SPREAD, [1, 1, 2, 2]);
    let correlated = Problem::new().prior();
    let pairs: [(Box<dyn Denoiser>, Box<dyn TweedieCovariance>); 3] = [
        (
            Box::new(GaussianPrior::new(mean(), 0.7)),
            Box::new(Isotropic::new(0.7).unwrap()),
        ),
        (
            Box::new(GaussianPrior::diagonal(mean(), each()).unwrap()),
            Box::new(Diagonal::new(each()).unwrap()),
        ),
        (
            Box::new(correlated.clone()),
            Box::new(Full::new(correlated)),
        ),
    ];
    for (index, (prior, covariance)) in pairs.iter().enumerate() {
        for sigma in SIGMAS {
            let expected = tweedie(prior, &v, sigma);
            let found = covariance.apply(v.clone(), sigma);
            let name = format!("model {index}, {sigma}");
            let scale = largest(&expected);
            assert_close(&name, &values(&found), &values(&expected), 1e-13 * scale);
            let other = covariance.apply(v.clone(), 2.0 * sigma);
            assert!(largest(&(other - expected)) > 1e-4 * scale, "{name}: sigma");
        }
    }
}

#[test]
fn each_image_may_have_variances_of_its_own() {
    let rows = [exact(&SPREAD, [1, 1, 2, 2]), exact(&[1.0; 4], [1, 1, 2, 2])];
    let both = Diagonal::new(Tensor::cat(rows.to_vec(), 0)).unwrap();
    let v = normal(SHAPE, 2);
    let found = both.apply(v.clone(), 0.9);
    for (index, variances) in rows.into_iter().enumerate() {
        let one = Diagonal::new(variances).unwrap();
        let expected = one.apply(v.clone().narrow(0, index, 1), 0.9);
        let row = found.clone().narrow(0, index, 1);
        assert_close("row", &values(&row), &values(&expected), 0.0);
    }
}

fn full(problem: &Problem, scale: f64) -> Full {
    let covariance = problem.covariance.clone().mul_scalar(scale);
    Full::new(FullGaussian::new(problem.mean.clone(), covariance).unwrap())
}

#[test]
fn the_full_covariance_is_exact_for_any_gaussian_prior() {
    let problem = Problem::new();
    let error = |covariance: Box<dyn TweedieCovariance>, noise_std, sigma, iterations| {
        let (operator, y) = (problem.operator(), problem.y.clone());
        let guidance = GaussianGuidance::new(operator, y, noise_std, covariance).unwrap();
        let guidance = guidance.with_cg(ConjugateGradient { iterations });
        problem.error(&guidance, noise_std, sigma)
    };
    for sigma in SIGMAS {
        for noise_std in [NOISE_STD, 0.0] {
            for iterations in [4, 30] {
                let exact = error(Box::new(full(&problem, 1.0)), noise_std, sigma, iterations);
                assert!(exact < 1e-10, "{sigma} {noise_std} {iterations}: {exact:e}");
            }
        }
    }
    let pixel = values(&problem.covariance).iter().step_by(5).sum::<f64>() / 4.0;
    let each = values(&problem.covariance).into_iter().step_by(5);
    let each = exact(&each.collect::<Vec<_>>(), [1, 1, 2, 2]);
    let others: [(&str, Box<dyn TweedieCovariance>, usize); 4] = [
        ("isotropic", Box::new(Isotropic::new(pixel).unwrap()), 30),
        ("diagonal", Box::new(Diagonal::new(each).unwrap()), 30),
        ("another covariance", Box::new(full(&problem, 1.2)), 30),
        ("few iterations", Box::new(full(&problem, 1.0)), 2),
    ];
    for (name, covariance, iterations) in others {
        let error = error(covariance, NOISE_STD, 0.9, iterations);
        assert!(error > 1e-2, "{name}: {error:e}");
    }
}

#[test]
fn the_diagonal_covariance_is_exact_for_independent_pixels_behind_a_mask() {
    let case = &linear()[1];
    let error = |covariance: &dyn TweedieCovariance, noise_std, sigma| {
        let (prior, expected) = independent_pixels(case, noise_std, sigma);
        let guidance =
            GaussianGuidance::new(&case.operator, case.y.clone(), noise_std, covariance).unwrap();
        let guided = guidance
            .with_cg(EXACT)
            .guide(&prior, normal(IMAGE, 1), sigma);
        largest(&(guided.likelihood_score - expected.clone())) / largest(&expected)
    };
    let diagonal = Diagonal::new(variances()).unwrap();
    for sigma in SIGMAS {
        for noise_std in [NOISE_STD, 0.0] {
            let error = error(&diagonal, noise_std, sigma);
            assert!(error < 1e-10, "{sigma} {noise_std}: {error:e}");
        }
    }
    let mean = values(&variances()).iter().sum::<f64>() / 48.0;
    let isotropic = error(&Isotropic::new(mean).unwrap(), NOISE_STD, 0.9);
    assert!(isotropic > 1e-2, "isotropic: {isotropic:e}");
}

#[test]
fn with_one_variance_for_all_pixels_it_is_pigdm() {
    let spread = Isotropic::new(0.4).unwrap();
    let prior = GaussianPrior::diagonal(normal([1, 2, 4, 6], 31), variances()).unwrap();
    for case in linear() {
        let general = GaussianGuidance::new(&case.operator, case.y.clone(), NOISE_STD, spread);
        let general = general.unwrap().with_cg(EXACT);
        let closed = Pigdm::new(&case.operator, case.y, NOISE_STD, spread).unwrap();
        let closed = closed.with_cg(EXACT);
        let score = |guidance: &dyn NoisyFidelity| {
            let guided = guidance.guide(&prior, normal(IMAGE, 1), 0.9);
            guided.likelihood_score
        };
        let (found, expected) = (score(&general), score(&closed));
        let error = largest(&(found - expected.clone())) / largest(&expected);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
    }
}

#[test]
fn variances_of_pixels_out_of_range() {
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            Diagonal::new(exact(&[0.0, bad], [1, 2])),
            Err(FidelityError::Variance { index: 1, .. })
        ));
    }
    assert_eq!(
        Diagonal::new(exact(&[-0.5], [1, 1]))
            .unwrap_err()
            .to_string(),
        "a prior variance must be finite and at least 0, found -0.5 at entry 0 in row-major order"
    );
}

#[test]
#[should_panic(
    expected = "images of shape [2, 1, 2, 2] cannot have variances of shape [1, 1, 1, 1]"
)]
fn variances_of_another_shape() {
    let spread = Diagonal::new(exact(&[1.0], [1, 1, 1, 1])).unwrap();
    let _ = spread.apply(normal(SHAPE, 2), 0.5);
}
