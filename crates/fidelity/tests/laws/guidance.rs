//! Laws of guidance whose uncertainty comes from the denoiser's Jacobian or from the noise level alone.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, FullGaussian, GaussianPrior};
use tweedie_fidelity::{
    Ald, FidelityError, Full, GaussianGuidance, Isotropic, LgdMc, Mmps, NoisyFidelity, Pigdm,
    ReconstructionGuidance, Sda, Tmpd,
};
use tweedie_physics::{
    ForwardOperator, FourierBlur, Identity, Inpainting, LinearOperator, MatrixOperator,
    squared_norm,
};
use tweedie_testkit::{assert_close, assert_vjp, exact, golden, values};

use crate::{
    correlated::Problem,
    registry::{IMAGE, Measurement, Square, differentiable, linear, normal},
    support::largest,
};

const NOISE_STD: f64 = 0.3;
const SIGMAS: [f64; 3] = [0.05, 0.9, 40.0];

/// A Jacobian that is no covariance: `D(x) = -x`.
pub(crate) struct Inverting;

impl Denoiser for Inverting {
    fn denoise(&self, noisy: Tensor<4>, _sigma: f64) -> Tensor<4> {
        noisy.mul_scalar(-1.0)
    }
}

pub(crate) fn variances() -> Tensor<4> {
    normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 32)
        .abs()
        .add_scalar(0.1)
}

/// Grey, whatever it sees: its Jacobian is 0.
pub(crate) struct Constant;

impl Denoiser for Constant {
    fn denoise(&self, noisy: Tensor<4>, _sigma: f64) -> Tensor<4> {
        noisy.zeros_like().add_scalar(0.5)
    }
}

#[test]
fn tmpd_counts_negative_row_sums_as_none() {
    let y = exact(&[1.0, 0.0], [1, 1, 1, 2]);
    let x = exact(&[0.3, 0.1], [1, 1, 1, 2]);
    let guidance = Tmpd::new(Identity, y, 0.5).unwrap();
    let score = guidance.guide(&Inverting, x, 2.0).likelihood_score;
    // J = -1, D = -x, variance 0.25.
    assert_close("score", &values(&score), &[-1.3 / 0.25, -0.1 / 0.25], 1e-12);
}

/// A Gaussian prior with independent pixels, and the score that follows from a measurement of some of them:
/// `x_0 | x ~ N(D, w)`, `w = v sigma^2 / (v + sigma^2)`, and a pixel that is seen has the score
/// `(w / sigma^2) (y - D) / (noise_std^2 + w)`.
pub(crate) fn independent_pixels(
    case: &Measurement<dyn LinearOperator>,
    noise_std: f64,
    sigma: f64,
) -> (GaussianPrior, Tensor<4>) {
    let mean = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 31);
    let prior = GaussianPrior::diagonal(mean.clone(), variances()).unwrap();
    let level = sigma * sigma;
    let spread = (variances() * level) / (variances() + level);
    let estimate = spread.clone() * (normal(IMAGE, 1) / level + mean / variances());
    let misfit = case.y.clone() - case.operator.forward(estimate);
    let pull = case.operator.adjoint(misfit) * spread.clone() / level;
    (prior, pull / (spread + noise_std * noise_std))
}

#[test]
fn tmpd_is_exact_for_independent_pixels_behind_a_mask() {
    for case in linear().into_iter().take(2) {
        for sigma in SIGMAS {
            let (prior, expected) = independent_pixels(&case, NOISE_STD, sigma);
            let tmpd = Tmpd::new(&case.operator, case.y.clone(), NOISE_STD).unwrap();
            let mmps = Mmps::new(&case.operator, case.y.clone(), NOISE_STD)
                .and_then(|guidance| guidance.with_iterations(60))
                .unwrap();
            for guidance in [&tmpd as &dyn NoisyFidelity, &mmps] {
                let found = guidance.guide(&prior, normal(IMAGE, 1), sigma);
                let gap = found.likelihood_score - expected.clone();
                let error = largest(&gap) / largest(&expected);
                assert!(error < 1e-10, "{} {sigma}: {error:e}", case.name);
            }
        }
    }
}

/// Row sums by hand: `A = [1 2]`, independent pixels of variances 1 and 3, `sigma = 1`: `V = diag(1/2, 3/4)`, so
/// `A V A^T = 1/2 + 3`.
#[test]
fn one_measurement_has_one_row_sum() {
    let matrix = exact(&[1.0, 2.0], [1, 2]);
    let operator = MatrixOperator::new(matrix, [1, 1, 2]).unwrap();
    let mean = exact(&[0.0, 0.0], [1, 1, 1, 2]);
    let prior = GaussianPrior::diagonal(mean, exact(&[1.0, 3.0], [1, 1, 1, 2])).unwrap();
    let guidance = Tmpd::new(operator, exact(&[5.0], [1, 1, 1, 1]), 0.5).unwrap();
    let guided = guidance.guide(&prior, exact(&[2.0, 4.0], [1, 1, 1, 2]), 1.0);
    // D = (1, 3), y - A D = -2, J = diag(1/2, 3/4).
    assert_close("denoised", &values(&guided.denoised), &[1.0, 3.0], 1e-12);
    let weight = -2.0 / (0.25 + 3.5);
    let expected = [0.5 * weight, 0.75 * 2.0 * weight];
    assert_close("score", &values(&guided.likelihood_score), &expected, 1e-12);
}

#[test]
fn ald_pulls_the_noisy_image_itself() {
    let mask = Inpainting::new(exact(&[1.0, 0.0], [1, 1, 1, 2])).unwrap();
    let y = exact(&[0.8, 0.0], [1, 1, 1, 2]);
    let x = exact(&[0.3, 0.9, -0.2, 0.4], [2, 1, 1, 2]);
    let plain = Ald::new(&mask, y, 0.5).unwrap();
    let doubled = plain.clone().with_gamma_per_sigma(2.0).unwrap();
    // sigma = 2: noise_std^2 + gamma^2 = 0.25 + 4, and 0.25 + 16.
    for (guidance, variance) in [(plain, 4.25), (doubled, 16.25)] {
        let guided = guidance.guide(&Constant, x.clone(), 2.0);
        let expected = [0.5 / variance, 0.0, 1.0 / variance, 0.0];
        assert_close("score", &values(&guided.likelihood_score), &expected, 1e-12);
        assert_close("denoised", &values(&guided.denoised), &[0.5; 4], 1e-12);
    }
    // A(x) = x^2: the derivative 2 x at x = 3.
    let square = Ald::new(Square, exact(&[10.0], [1, 1, 1, 1]), 0.0).unwrap();
    let score = square
        .guide(&Constant, exact(&[3.0], [1, 1, 1, 1]), 0.5)
        .likelihood_score;
    assert_close("square", &values(&score), &[6.0 / 0.25], 1e-12);
}

#[test]
fn sda_and_reconstruction_guidance_differentiate_their_likelihoods() {
    let prior = || GaussianPrior::new(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 11), 0.7);
    let (gamma, weight) = (0.2, 3.0);
    for case in differentiable() {
        let sda = Sda::new(&case.operator, case.y.clone(), NOISE_STD, gamma).unwrap();
        let pulled = ReconstructionGuidance::new(&case.operator, case.y.clone(), weight).unwrap();
        let (x, direction) = (normal(IMAGE, 1), normal(IMAGE, 2));
        for sigma in [0.05f64, 0.9, 4.0] {
            let level = sigma * sigma;
            let annealed = NOISE_STD * NOISE_STD + gamma * level;
            for (guidance, variance) in [
                (&sda as &dyn NoisyFidelity, annealed),
                (&pulled, level / weight),
            ] {
                let log_likelihood = |x| {
                    let misfit = case.operator.forward(prior().denoise(x, sigma)) - case.y.clone();
                    squared_norm(misfit).mul_scalar(-0.5 / variance)
                };
                let guided = guidance.guide(&prior(), x.clone(), sigma);
                let each = log_likelihood(x.clone()).ones_like();
                let score = &guided.likelihood_score;
                assert_vjp(case.name, log_likelihood, &x, &direction, &each, score);
                let denoised = prior().denoise(x.clone(), sigma);
                assert_close(
                    case.name,
                    &values(&guided.denoised),
                    &values(&denoised),
                    1e-12,
                );
            }
        }
    }
}

/// `v = 1`, `m = 0`, `sigma = 2`: `D = x / 5`, `J = 1 / 5`.
#[test]
fn sda_and_reconstruction_guidance_by_hand() {
    let prior = GaussianPrior::new(exact(&[0.0], [1, 1, 1, 1]), 1.0);
    let y = exact(&[3.0], [1, 1, 1, 1]);
    let x = exact(&[5.0], [1, 1, 1, 1]);
    let sda = Sda::new(Identity, y.clone(), 0.5, 0.1).unwrap();
    let pulled = ReconstructionGuidance::new(Identity, y, 1.5).unwrap();
    for (guidance, variance) in [(&sda as &dyn NoisyFidelity, 0.65), (&pulled, 4.0 / 1.5)] {
        let score = guidance.guide(&prior, x.clone(), 2.0).likelihood_score;
        assert_close("score", &values(&score), &[2.0 / 5.0 / variance], 1e-12);
    }
}

/// Counts evaluations, and those on a tape: each of these is differentiated once.
struct Passes<P> {
    prior: P,
    forward: AtomicUsize,
    backward: AtomicUsize,
}

impl<P: Denoiser> Denoiser for Passes<P> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        self.forward.fetch_add(1, Ordering::Relaxed);
        if noisy.is_tracked() {
            self.backward.fetch_add(1, Ordering::Relaxed);
        }
        self.prior.denoise(noisy, sigma)
    }
}

#[test]
fn passes_of_the_prior() {
    let problem = Problem::new();
    let operator = || problem.operator();
    let y = || problem.y.clone();
    let full = Full::new(problem.prior());
    let guidances: [(Box<dyn NoisyFidelity>, usize, usize); 8] = [
        (Box::new(Mmps::new(operator(), y(), 0.1).unwrap()), 5, 5),
        (Box::new(problem.mmps(0.1, 1)), 1, 1),
        (Box::new(Tmpd::new(operator(), y(), 0.1).unwrap()), 2, 2),
        (Box::new(Ald::new(operator(), y(), 0.1).unwrap()), 1, 0),
        (Box::new(Sda::new(operator(), y(), 0.1, 0.5).unwrap()), 1, 1),
        (
            Box::new(ReconstructionGuidance::new(operator(), y(), 2.0).unwrap()),
            1,
            1,
        ),
        (
            Box::new(GaussianGuidance::new(operator(), y(), 0.1, full).unwrap()),
            1,
            1,
        ),
        (
            Box::new(LgdMc::new(operator(), y(), 0.1, Isotropic::default()).unwrap()),
            1,
            1,
        ),
    ];
    for (index, (guidance, forward, backward)) in guidances.into_iter().enumerate() {
        let prior = Passes {
            prior: problem.prior(),
            forward: AtomicUsize::new(0),
            backward: AtomicUsize::new(0),
        };
        let _ = guidance.guide(&prior, problem.noisy.clone(), 0.5);
        let found = (prior.forward.into_inner(), prior.backward.into_inner());
        assert_eq!(found, (forward, backward), "guidance {index}");
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let problem = Problem::new();
    let (operator, y) = (problem.operator(), || problem.y.clone());
    let guidances: [Box<dyn NoisyFidelity + '_>; 4] = [
        Box::new(problem.mmps(NOISE_STD, 2)),
        Box::new(Tmpd::new(&operator, y(), NOISE_STD).unwrap()),
        Box::new(LgdMc::new(&operator, y(), NOISE_STD, Isotropic::default()).unwrap()),
        Box::new(
            GaussianGuidance::new(&operator, y(), NOISE_STD, Full::new(problem.prior())).unwrap(),
        ),
    ];
    let far = problem.noisy.clone().narrow(0, 1, 1).mul_scalar(1e3);
    let near = problem.noisy.clone().narrow(0, 0, 1);
    for guidance in guidances {
        let score = |x| guidance.guide(&problem.prior(), x, 0.9).likelihood_score;
        let alone = score(near.clone());
        let beside = score(Tensor::cat(vec![near.clone(), far.clone()], 0)).narrow(0, 0, 1);
        assert_close("row 0", &values(&beside), &values(&alone), 1e-12);
    }
}

/// What the reference calls DPS with annealing has `gamma = 1`; its PiGDM takes the prior's variance for 1; its moment
/// matching stops after 3 iterations. Its gradients are those of `-log p`.
#[test]
fn gradients_of_the_reference() {
    let golden: BTreeMap<String, Vec<f64>> = golden(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/guidance.json"
    ));
    let image = |key: &str| exact(&golden[key], [1, 1, 4, 4]);
    let (sigma, noise_std) = (golden["sigma"][0], golden["sigma_y"][0]);
    let prior = FullGaussian::new(image("mean"), exact(&golden["covariance"], [16, 16])).unwrap();
    let kernel = exact(&golden["kernel"], [1, 1, 3, 3]);
    let operators: [(&str, Box<dyn LinearOperator>); 2] = [
        ("inpaint", Box::new(Inpainting::new(image("mask")).unwrap())),
        (
            "blurfft",
            Box::new(FourierBlur::new(kernel, [4, 4]).unwrap()),
        ),
    ];
    for (name, operator) in &operators {
        let y = || image(&format!("{name} y"));
        let unit = Isotropic::new(1.0).unwrap();
        let mmps = Mmps::new(operator, y(), noise_std).unwrap();
        let guidances: [(&str, Box<dyn NoisyFidelity + '_>); 4] = [
            (
                "DPS annealed",
                Box::new(Sda::new(operator, y(), noise_std, 1.0).unwrap()),
            ),
            (
                "PiGDM",
                Box::new(Pigdm::new(operator, y(), noise_std, unit).unwrap()),
            ),
            (
                "MomentMatching",
                Box::new(mmps.clone().with_iterations(3).unwrap()),
            ),
            ("ALD", Box::new(Ald::new(operator, y(), noise_std).unwrap())),
        ];
        let gap = |guidance: &dyn NoisyFidelity, term: &str| {
            let expected = image(&format!("{name} {term}")).mul_scalar(-1.0);
            let found = guidance.guide(&prior, image("x"), sigma).likelihood_score;
            largest(&(found - expected.clone())) / largest(&expected)
        };
        for (term, guidance) in &guidances {
            let gap = gap(guidance, term);
            assert!(gap < 1e-4, "{name} {term}: {gap:e}");
        }
        assert!(
            gap(&mmps, "MomentMatching") > 1e-3,
            "2 iterations more change nothing"
        );
    }
}

#[test]
fn parameters_of_guidance_out_of_range() {
    let y = || exact(&[0.5], [1, 1, 1, 1]);
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(Mmps::new(Identity, y(), bad).is_err());
        assert!(Tmpd::new(Identity, y(), bad).is_err());
        assert!(Ald::new(Identity, y(), bad).is_err());
        assert!(Sda::new(Identity, y(), bad, 1.0).is_err());
        assert!(GaussianGuidance::new(Identity, y(), bad, Isotropic::default()).is_err());
        assert!(LgdMc::new(Identity, y(), bad, Isotropic::default()).is_err());
    }
    for bad in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
        let ald = Ald::new(Identity, y(), 0.0).unwrap();
        assert!(ald.with_gamma_per_sigma(bad).is_err());
        assert!(Sda::new(Identity, y(), 0.0, bad).is_err());
        assert!(ReconstructionGuidance::new(Identity, y(), bad).is_err());
    }
    assert!(matches!(
        Tmpd::new(Identity, y(), 0.0),
        Err(FidelityError::OutOfRange {
            name: "noise_std",
            ..
        })
    ));
    let refused = Mmps::new(Identity, y(), 0.0).unwrap().with_iterations(0);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "iterations must be at least 1, found 0"
    );
    let lgd = |noise_std| LgdMc::new(Identity, y(), noise_std, Isotropic::default());
    assert!(lgd(0.0).is_err());
    assert_eq!(
        lgd(1.0).unwrap().with_samples(0).unwrap_err().to_string(),
        "samples must be at least 1, found 0"
    );
}

/// A measurement that merely could be broadcast is another measurement.
#[test]
#[should_panic(
    expected = "these images have measurements of shape [3, 2, 4, 6], found y of shape [1, 1, 1, 1]"
)]
fn a_measurement_of_another_shape() {
    let guidance = Sda::new(Identity, exact(&[0.5], [1, 1, 1, 1]), 0.1, 1.0).unwrap();
    let _ = guidance.guide(&Constant, normal(IMAGE, 1), 0.5);
}

#[test]
#[should_panic(
    expected = "these images have measurements of shape [1, 2, 4, 6], found y of shape [3, 2, 4, 6]"
)]
fn measurements_of_more_images_than_there_are() {
    let guidance = Ald::new(Identity, normal(IMAGE, 4), 0.1).unwrap();
    let _ = guidance.guide(&Constant, normal(IMAGE, 1).narrow(0, 0, 1), 0.5);
}
