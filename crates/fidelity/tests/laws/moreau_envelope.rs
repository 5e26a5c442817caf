//! Envelopes in closed form, and denoisers that are proximal operators.

use tweedie_core::DenoiserFn;
use tweedie_fidelity::{
    DataFidelity, FidelityError, Gradient, L1, MoreauEnvelope, Proximal, ScorePrior, Smooth,
    Tikhonov,
};
use tweedie_physics::Identity;
use tweedie_testkit::{assert_close, exact, values};

use burn::tensor::Tensor;

const POINTS: [f64; 6] = [-2.0, -0.31, -0.1, 0.0, 0.29, 1.7];
const SHAPE: [usize; 4] = [6, 1, 1, 1];
const WEIGHT: f64 = 3.0;
const LAMBDA: f64 = 0.1;

/// `3 |x|`.
fn absolute() -> L1<Identity> {
    let y = exact(&[0.0], [1, 1, 1, 1]);
    let absolute = L1::new(Identity, y, WEIGHT.recip()).unwrap();
    absolute.with_frame_bound(1.0).unwrap()
}

fn envelope(lambda: f64) -> MoreauEnvelope<L1<Identity>> {
    MoreauEnvelope::new(absolute(), lambda).unwrap()
}

#[test]
fn that_of_an_absolute_value_is_hubers_function() {
    let knee = LAMBDA * WEIGHT;
    let huber = POINTS.map(|x| match x.abs() < knee {
        true => x * x / (2.0 * LAMBDA),
        false => WEIGHT * (x.abs() - 0.5 * knee),
    });
    let slope = POINTS.map(|x| (x / LAMBDA).clamp(-WEIGHT, WEIGHT));
    let x = exact(&POINTS, SHAPE);
    let (value, grad) = envelope(LAMBDA).value_and_grad(x.clone());
    assert_close("value", &values(&value), &huber, 1e-14);
    assert_close("gradient", &values(&grad), &slope, 1e-14);
    assert_eq!(values(&envelope(LAMBDA).value(x.clone())), values(&value));
    assert_eq!(values(&envelope(LAMBDA).grad(x.clone())), values(&grad));
    assert_eq!(envelope(LAMBDA).lipschitz(), Some(10.0));
    // Negative control, and what the envelope is below.
    let other = values(&envelope(1.01 * LAMBDA).value(x.clone()));
    let above = values(&absolute().value(x));
    for index in 0..POINTS.len() {
        let far = POINTS[index] != 0.0;
        assert_eq!((other[index] - huber[index]).abs() > 1e-4, far);
        assert!(huber[index] <= above[index]);
    }
}

/// The envelope of `w x^2/2` is `w x^2/(2 (1 + lambda w))`, whose proximal point is `x (1 + lambda w)/(1 + (lambda + step) w)`.
#[test]
fn that_of_a_quadratic_is_a_flatter_one() {
    let envelope = MoreauEnvelope::new(Tikhonov::pixels(WEIGHT).unwrap(), LAMBDA).unwrap();
    let flatter = WEIGHT / (1.0 + LAMBDA * WEIGHT);
    let x: Tensor<4> = exact(&POINTS, SHAPE);
    let value = POINTS.map(|x| 0.5 * flatter * x * x);
    assert_close("value", &values(&envelope.value(x.clone())), &value, 1e-14);
    let nearest = POINTS.map(|x| x / (1.0 + 0.7 * flatter));
    assert_close("prox", &values(&envelope.prox(x, 0.7)), &nearest, 1e-14);
}

/// `D(x; sigma) = prox_{sigma^2 g}(x)` is the mode of the clean image given the noisy one.
#[test]
fn the_score_prior_of_a_map_denoiser_is_the_envelope_of_its_prior() {
    let sigma = 0.4_f64;
    let soft = |threshold: f64| {
        move |x: Tensor<4>| x.clone().sign() * (x.abs() - threshold).clamp_min(0.0)
    };
    let score = |power: i32| {
        let denoiser =
            DenoiserFn::new(move |x: Tensor<4>, sigma: f64| soft(sigma.powi(power) * WEIGHT)(x));
        let prior = ScorePrior::new(denoiser, sigma, 1.0).unwrap();
        let constant = prior.lipschitz();
        (values(&prior.grad(exact(&POINTS, SHAPE))), constant)
    };
    let envelope = envelope(sigma * sigma);
    let expected = values(&envelope.grad(exact(&POINTS, SHAPE)));
    let (found, constant) = score(2);
    assert_close("gradient", &found, &expected, 1e-14);
    assert_close(
        "Lipschitz constant",
        &[constant.unwrap()],
        &[envelope.lipschitz().unwrap()],
        1e-14,
    );
    // Negative control: a threshold of sigma times the weight is the proximal operator of another step.
    let (other, _) = score(1);
    assert!((other[5] - expected[5]).abs() > 0.1);
}

/// `x - D` of the soft threshold is `x` clipped, of Lipschitz constant 1; of an overshooting denoiser `-x`, it is 2.
#[test]
fn the_residual_of_a_denoiser_sets_the_lipschitz_constant() {
    let flip = || DenoiserFn::new(|x: Tensor<4>, _| -x);
    let prior = ScorePrior::new(flip(), 0.5, 3.0).unwrap();
    assert_eq!(prior.lipschitz(), Some(12.0));
    let prior = prior.with_residual_lipschitz(2.0).unwrap();
    assert_eq!(prior.lipschitz(), Some(24.0));
    let slope = values(&prior.grad(exact(&[1.0], [1, 1, 1, 1])));
    assert_close("slope", &slope, &[24.0], 1e-12);
    for found in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let prior = ScorePrior::new(flip(), 0.5, 3.0).unwrap();
        let error = prior.with_residual_lipschitz(found).err().unwrap();
        let name = "residual Lipschitz constant";
        assert!(matches!(error, FidelityError::OutOfRange { name: n, .. } if n == name));
    }
}

#[test]
fn lengths_that_are_none_are_refused() {
    for lambda in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = MoreauEnvelope::new(absolute(), lambda).unwrap_err();
        assert!(matches!(
            error,
            FidelityError::OutOfRange { name: "lambda", .. }
        ));
    }
}
