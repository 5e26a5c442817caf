//! MYULA and PnP-ULA: the laws of ULA on what their priors amount to.

use burn::tensor::Tensor;
use tweedie_core::{DenoiserFn, GaussianPrior};
use tweedie_fidelity::{L1, L2, MoreauEnvelope, Proximal, ScorePrior, Smooth};
use tweedie_mcmc::{
    ChainError, ChainState, MarkovKernel, Myula, PixelBox, PnpUla, PosteriorDensity, SkRock, Ula,
};
use tweedie_physics::Identity;
use tweedie_testkit::{assert_close, exact, values};

use crate::support::{Quadratic, Replay, stationary};

const H: f64 = 0.02;
const LAMBDA: f64 = 0.1;

/// `b x^2/2`.
#[derive(Clone)]
struct Parabola(f64);

impl Proximal<2> for Parabola {
    fn prox(&self, x: Tensor<2>, step: f64) -> Tensor<2> {
        x / (1.0 + step * self.0)
    }
}

fn after_one_step<const D: usize, K: MarkovKernel<D>>(
    kernel: &K,
    x: Tensor<D>,
    normal: &[f64],
) -> Vec<f64> {
    let mut noise = Replay(vec![normal.to_vec()].into_iter());
    values(kernel.step(kernel.init(x), &mut noise).0.position())
}

#[test]
fn myula_has_the_law_of_ula_on_the_envelope() {
    let (a, m, b) = (4.0, 0.7, 3.0);
    let data = Quadratic::pixel(m, a);
    let envelope = || MoreauEnvelope::new(Parabola(b), LAMBDA).unwrap();
    let law = stationary(&Myula::new(data.clone(), envelope(), H).unwrap(), 1);
    let flatter = b / (1.0 + LAMBDA * b);
    let precision = a + flatter;
    let variance = 1.0 / (precision * (1.0 - 0.5 * H * precision));
    assert_close("mean", &[law.mean], &[a * m / precision], 1e-12);
    assert_close("variance", &[law.variance], &[variance], 1e-12);
    // That of the prior itself is another one.
    assert!((law.mean - a * m / (a + b)).abs() > 0.01);
    // SK-ROCK runs on the same target, and has its mean.
    let target = PosteriorDensity {
        fidelity: data,
        prior: envelope(),
    };
    let law = stationary(&SkRock::at_share(target, 5, 0.5).unwrap(), 1);
    assert_close("mean of SK-ROCK", &[law.mean], &[a * m / precision], 1e-12);
}

/// `x <- (1 - h/lambda) x - h grad f + (h/lambda) prox_{lambda g}(x) + sqrt(2 h) n` for `g = 3 |x|`.
#[test]
fn myula_makes_the_step_of_its_paper() {
    let y = exact(&[0.0], [1, 1, 1, 1]);
    let absolute = L1::new(Identity, y.clone(), 1.0 / 3.0).unwrap();
    let prior = MoreauEnvelope::new(absolute.with_frame_bound(1.0).unwrap(), LAMBDA).unwrap();
    let data = L2::new(Identity, y.add_scalar(0.7), 0.5).unwrap();
    let points: [f64; 4] = [-0.9, -0.2, 0.1, 1.3];
    let normal = [0.3, -1.1, 0.0, 2.0];
    let kernel = Myula::new(data, prior, H).unwrap();
    let got = after_one_step::<4, _>(&kernel, exact(&points, [4, 1, 1, 1]), &normal);
    let expected = |lambda: f64| {
        [0, 1, 2, 3].map(|i| {
            let x = points[i];
            let prox = x.signum() * (x.abs() - 3.0 * lambda).max(0.0);
            let slope = (x - 0.7) / 0.25;
            (1.0 - H / lambda) * x - H * slope + H / lambda * prox + (2.0 * H).sqrt() * normal[i]
        })
    };
    assert_close("step", &got, &expected(LAMBDA), 1e-13);
    assert!((got[1] - expected(2.0 * LAMBDA)[1]).abs() > 1e-3);
}

#[test]
fn bounds_add_the_constants_of_the_terms() {
    let bound = |kernel: &dyn Fn() -> Option<f64>| kernel().unwrap();
    let data = || Quadratic::pixel(0.7, 4.0);
    let myula = Myula::at_bound(data(), MoreauEnvelope::new(Parabola(3.0), LAMBDA).unwrap());
    let myula = myula.unwrap();
    let found = bound(&|| MarkovKernel::<2>::step_size(&myula).unwrap().bound);
    assert_close("MYULA", &[found], &[1.0 / (4.0 + 10.0)], 1e-15);
    assert_eq!(
        MarkovKernel::<2>::step_size(&myula).unwrap().value,
        found,
        "at_bound"
    );
    let identity = DenoiserFn::new(|x: Tensor<2>, _| x);
    let prior = ScorePrior::new(identity, 0.5, 1.5).unwrap();
    let prior = prior.with_residual_lipschitz(2.0).unwrap();
    let penalty = MoreauEnvelope::new(PixelBox::UNIT, LAMBDA).unwrap();
    let pnp = PnpUla::at_bound(data(), prior, penalty).unwrap();
    let found = bound(&|| MarkovKernel::<2>::step_size(&pnp).unwrap().bound);
    let expected = 1.0 / (3.0 * (4.0 + 1.5 * 2.0 / 0.25 + 10.0));
    assert_close("PnP-ULA", &[found], &[expected], 1e-15);
    assert_eq!(MarkovKernel::<2>::step_size(&pnp).unwrap().value, found);
}

#[test]
fn a_data_term_of_unknown_norm_has_no_bound() {
    let y = exact(&[0.0], [1, 1, 1, 1]);
    let data = || L2::new(Identity, y.clone(), 0.1).unwrap();
    assert_eq!(data().lipschitz(), None);
    let envelope = || MoreauEnvelope::new(PixelBox::UNIT, LAMBDA).unwrap();
    let error = Myula::at_bound(data(), envelope()).unwrap_err();
    assert!(matches!(error, ChainError::NoBound));
    let prior = ScorePrior::new(GaussianPrior::new(y.clone(), 1.0), 0.5, 1.0).unwrap();
    let error = PnpUla::at_bound(data(), prior, envelope()).unwrap_err();
    assert!(matches!(error, ChainError::NoBound));
}

/// A Gaussian prior of variance `v` seen through noise: variance `v + sigma^2`, to the power `alpha`.
#[test]
fn pnp_ula_has_the_law_of_ula_on_the_smoothed_prior() {
    let (a, m, v, sigma, alpha) = (4.0, 0.7, 0.3, 0.2, 1.5);
    let penalty =
        |low, high| MoreauEnvelope::new(PixelBox::new(low, high).unwrap(), LAMBDA).unwrap();
    let prior = || {
        let denoiser = GaussianPrior::new(exact(&[0.1], [1, 1]), v);
        ScorePrior::new(denoiser, sigma, alpha).unwrap()
    };
    // Wide enough that the probes never leave the box.
    let wide = PnpUla::new(Quadratic::pixel(m, a), prior(), penalty(-50.0, 50.0), H).unwrap();
    let law = stationary(&wide, 1);
    let of_prior = alpha / (v + sigma * sigma);
    let precision = a + of_prior;
    let variance = 1.0 / (precision * (1.0 - 0.5 * H * precision));
    let mean = (a * m + of_prior * 0.1) / precision;
    assert_close("mean", &[law.mean], &[mean], 1e-12);
    assert_close("variance", &[law.variance], &[variance], 1e-12);
    assert!((law.mean - (a * m + 0.1 * alpha / v) / (a + alpha / v)).abs() > 1e-3);
    // Beyond a wall the pull is (Pi x - x)/lambda, and nothing within.
    let narrow = PnpUla::new(Quadratic::pixel(m, a), prior(), penalty(0.2, 0.9), H).unwrap();
    let points: [f64; 3] = [-0.4, 0.5, 1.3];
    let normal = [0.3, -1.1, 0.7];
    let step = |kernel| after_one_step::<2, _>(kernel, exact(&points, [3, 1]), &normal);
    let pull: Vec<f64> = step(&narrow)
        .iter()
        .zip(step(&wide))
        .map(|(narrow, wide)| (narrow - wide) / H * LAMBDA)
        .collect();
    assert_close("pull", &pull, &[0.6, 0.0, -0.4], 1e-12);
}

/// With the mode in place of the mean, PnP-ULA is MYULA: the denoiser is the proximal operator.
#[test]
fn a_map_denoiser_makes_pnp_ula_myula() {
    let sigma = LAMBDA.sqrt();
    let prox = |x: Tensor<2>, sigma: f64| Parabola(3.0).prox(x, sigma * sigma);
    let prior = ScorePrior::new(DenoiserFn::new(prox), sigma, 1.0).unwrap();
    let data = Quadratic::pixel(0.7, 4.0);
    let penalty = MoreauEnvelope::new(PixelBox::new(-50.0, 50.0).unwrap(), 1.0).unwrap();
    let plugged = stationary(&PnpUla::new(data.clone(), prior, penalty, H).unwrap(), 1);
    let envelope = MoreauEnvelope::new(Parabola(3.0), LAMBDA).unwrap();
    let law = stationary(&Myula::new(data.clone(), envelope, H).unwrap(), 1);
    assert_close("mean", &[plugged.mean], &[law.mean], 1e-12);
    assert_close("variance", &[plugged.variance], &[law.variance], 1e-12);
    let other = stationary(&Ula::new(data, H).unwrap(), 1);
    assert!((other.mean - law.mean).abs() > 0.1);
}
