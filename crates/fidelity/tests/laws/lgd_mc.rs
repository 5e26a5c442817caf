//! Laws of loss-guided diffusion.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, GaussianPrior, Rng};
use tweedie_fidelity::{Dps, Isotropic, LgdMc, NoisyFidelity};
use tweedie_physics::{ForwardOperator, Identity, squared_norm};
use tweedie_testkit::{assert_close, assert_vjp, assert_z, device, exact, values};

use crate::registry::{IMAGE, Square, differentiable, normal};

const NOISE_STD: f64 = 0.8;
const VARIANCE: f64 = 0.7;
const SIGMA: f64 = 0.9;

fn spread() -> Isotropic {
    Isotropic::new(VARIANCE).unwrap()
}

/// The average likelihood as the docs state it, with the draws that they name, one after the other.
#[test]
fn it_differentiates_the_average_likelihood() {
    let prior = || GaussianPrior::new(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 11), VARIANCE);
    let (samples, seed) = (4, 5);
    let rng = Rng::seeded(seed, &device()).with_dtype(DType::F64);
    let draws: Tensor<4> = rng
        .fork(SIGMA.to_bits())
        .normal([samples, IMAGE[1], IMAGE[2], IMAGE[3]]);
    let r = spread().variance_at(SIGMA).sqrt();
    // Noise at which several draws have a weight.
    let noise_std = 5.0;
    for case in differentiable() {
        let log_likelihood = |x: Tensor<4>| {
            let estimate = prior().denoise(x, SIGMA);
            let terms = (0..samples).map(|index| {
                let draw = draws.clone().narrow(0, index, 1).mul_scalar(r);
                let misfit = case.operator.forward(estimate.clone() + draw) - case.y.clone();
                squared_norm(misfit)
                    .mul_scalar(-0.5 / (noise_std * noise_std))
                    .exp()
            });
            let sum = terms.reduce(|sum, term| sum + term).unwrap();
            sum.mul_scalar(1.0 / samples as f64).log()
        };
        let guidance = LgdMc::new(&case.operator, case.y.clone(), noise_std, spread())
            .and_then(|guidance| guidance.with_samples(samples))
            .unwrap()
            .with_seed(seed);
        let (x, direction) = (normal(IMAGE, 1), normal(IMAGE, 2));
        let guided = guidance.guide(&prior(), x.clone(), SIGMA);
        let each = log_likelihood(x.clone()).ones_like();
        let score = &guided.likelihood_score;
        assert_vjp(case.name, log_likelihood, &x, &direction, &each, score);
        let denoised = values(&prior().denoise(x, SIGMA));
        assert_close(case.name, &values(&guided.denoised), &denoised, 1e-12);
    }
}

/// A measurement of one pixel, and its derivative.
struct Curve {
    a: fn(f64) -> f64,
    derivative: fn(f64) -> f64,
}

/// `p(y | x)` and the score of one pixel by quadrature over `x_0 ~ N(D, r^2)`, and the standard error of an average of
/// `samples` draws: the score is `J E[w (x_0 - D)] / r^2`, `w` the share of `x_0` in the likelihood, which holds no
/// derivative of `A`. What is averaged is `w A'(x_0) (y - A(x_0)) / noise_std^2`.
fn quadrature(
    &Curve { a, derivative }: &Curve,
    y: f64,
    estimate: f64,
    samples: usize,
) -> (f64, f64) {
    let r = (VARIANCE * SIGMA * SIGMA / (VARIANCE + SIGMA * SIGMA)).sqrt();
    let jacobian = VARIANCE / (VARIANCE + SIGMA * SIGMA);
    let (mut likelihood, mut moment) = (0.0, 0.0);
    let nodes = (-4000..=4000).map(|index| f64::from(index) * 0.002);
    let terms: Vec<[f64; 3]> = nodes
        .map(|z| {
            let x = estimate + r * z;
            let density = (-0.5 * z * z).exp() * 0.002 / std::f64::consts::TAU.sqrt();
            let weight = (-0.5 * ((y - a(x)) / NOISE_STD).powi(2)).exp();
            likelihood += density * weight;
            moment += density * weight * (x - estimate) / (r * r);
            let pull = derivative(x) * (y - a(x)) / (NOISE_STD * NOISE_STD);
            [density, weight, pull]
        })
        .collect();
    let score = moment / likelihood;
    let variance: f64 = terms
        .iter()
        .map(|[density, weight, pull]| density * (weight / likelihood * (pull - score)).powi(2))
        .sum();
    (
        jacobian * score,
        jacobian * (variance / samples as f64).sqrt(),
    )
}

#[test]
fn many_draws_give_the_likelihood_of_a_gaussian_about_the_estimate() {
    let samples = 2000;
    let prior = GaussianPrior::new(exact(&[0.3], [1, 1, 1, 1]), VARIANCE);
    let x = exact(&[0.9], [1, 1, 1, 1]);
    let y = 1.9;
    let estimate = values(&prior.denoise(x.clone(), SIGMA))[0];
    let line = Curve {
        a: |x| x,
        derivative: |_| 1.0,
    };
    let parabola = Curve {
        a: |x| x * x,
        derivative: |x| 2.0 * x,
    };
    let rows: [(Box<dyn ForwardOperator>, Curve); 2] =
        [(Box::new(Identity), line), (Box::new(Square), parabola)];
    for (index, (operator, law)) in rows.into_iter().enumerate() {
        let score = |samples, spread, seed| {
            let guidance = LgdMc::new(&operator, exact(&[y], [1, 1, 1, 1]), NOISE_STD, spread)
                .and_then(|guidance| guidance.with_samples(samples))
                .unwrap()
                .with_seed(seed);
            let guided = guidance.guide(&prior, x.clone(), SIGMA);
            values(&guided.likelihood_score)[0]
        };
        let (expected, error) = quadrature(&law, y, estimate, samples);
        if index == 0 {
            let total =
                NOISE_STD * NOISE_STD + VARIANCE * SIGMA * SIGMA / (VARIANCE + SIGMA * SIGMA);
            let jacobian = VARIANCE / (VARIANCE + SIGMA * SIGMA);
            let closed = jacobian * (y - estimate) / total;
            assert_close("quadrature", &[expected], &[closed], 1e-10);
        }
        assert_z(
            &format!("operator {index}"),
            &[score(samples, spread(), 1)],
            &[expected],
            &[error],
        );
        let narrow = Isotropic::new(0.5 * VARIANCE).unwrap();
        let off = |found: f64| (found - expected).abs() / error;
        assert!(off(score(samples, narrow, 1)) > 6.0, "another spread");
        // Errors of 30 seeds against those of 16 times as many draws: 4 to 1, each to 13 %.
        let rms = |samples| {
            let squares = (0..30).map(|seed| (score(samples, spread(), seed) - expected).powi(2));
            (squares.sum::<f64>() / 30.0).sqrt()
        };
        let ratio = rms(8) / rms(128);
        assert!((2.0..8.0).contains(&ratio), "operator {index}: {ratio}");
    }
}

#[test]
fn one_draw_without_spread_is_dps() {
    let prior = GaussianPrior::new(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 11), VARIANCE);
    for case in differentiable() {
        let score = |guidance: &dyn NoisyFidelity| {
            values(
                &guidance
                    .guide(&prior, normal(IMAGE, 1), SIGMA)
                    .likelihood_score,
            )
        };
        let lgd = |variance, samples| {
            let spread = Isotropic::new(variance).unwrap();
            let guidance = LgdMc::new(&case.operator, case.y.clone(), NOISE_STD, spread);
            score(&guidance.unwrap().with_samples(samples).unwrap())
        };
        let dps = score(&Dps::new(&case.operator, case.y.clone(), NOISE_STD).unwrap());
        let size = dps.iter().fold(0.0, |size: f64, v| size.max(v.abs()));
        for samples in [1, 7] {
            assert_close(case.name, &lgd(1e-40, samples), &dps, 1e-12 * size);
        }
        let wide = lgd(VARIANCE, 1);
        let gap = wide.iter().zip(&dps).map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f64::max) > 1e-2 * size, "{}", case.name);
    }
}

#[test]
fn draws_are_fresh_at_each_level_and_the_same_when_it_is_visited_again() {
    let y = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 4);
    // The estimate does not move with the level.
    let score = |sigma, seed, x: Tensor<4>| {
        let guidance = LgdMc::new(Identity, y.clone(), NOISE_STD, spread()).unwrap();
        let guided = guidance.with_seed(seed).guide(&Shift, x, sigma);
        values(&guided.likelihood_score)
    };
    let x = || normal(IMAGE, 1);
    let first = score(SIGMA, 0, x());
    assert_eq!(score(SIGMA, 0, x()), first);
    let distance = |other: Vec<f64>| -> f64 {
        let gaps = other.iter().zip(&first).map(|(a, b)| (a - b).abs());
        gaps.fold(0.0, f64::max)
    };
    assert!(distance(score(SIGMA, 1, x())) > 0.1, "seed");
    assert!(
        distance(score(SIGMA * (1.0 + 1e-12), 0, x())) > 0.1,
        "level"
    );
    let alone = score(SIGMA, 0, x().narrow(0, 2, 1));
    assert_close("row 2", &alone, &first[first.len() - alone.len()..], 1e-12);
}

/// Jacobian 1, whatever the level.
struct Shift;

impl Denoiser for Shift {
    fn denoise(&self, noisy: Tensor<4>, _sigma: f64) -> Tensor<4> {
        noisy.add_scalar(0.1)
    }
}

/// Exponents of thousands, in single precision.
#[test]
fn likelihoods_that_would_underflow() {
    let y = exact(&[3.0; 24], [1, 1, 4, 6]).cast(DType::F32);
    let guidance = LgdMc::new(Identity, y, 0.01, spread()).unwrap();
    let x = normal([2, 1, 4, 6], 1).cast(DType::F32);
    let score = guidance.guide(&Shift, x, SIGMA).likelihood_score;
    assert_eq!(score.dtype(), DType::F32);
    assert!(values(&score).iter().all(|v| v.is_finite() && *v != 0.0));
}
