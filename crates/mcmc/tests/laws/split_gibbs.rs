//! The split Gibbs sampler has the posterior of the smoothed prior.

use nalgebra::{DMatrix, DVector};
use tweedie_fidelity::{L2, Tikhonov};
use tweedie_mcmc::{ChainError, LangevinDraw, MarkovKernel, SplitGibbs, StepSize};
use tweedie_physics::{AverageDownsampling, Identity};
use tweedie_testkit::{Moments, assert_close, exact};

use crate::{affine::AffineStep, support::Quadratic};

const Y: f64 = 1.1;
const NOISE: f64 = 0.2;
const PRIOR: Moments = Moments {
    mean: 0.4,
    variance: 0.09,
};

fn data() -> L2<Identity, 2> {
    L2::new(Identity, exact(&[Y], [1, 1]), NOISE).unwrap()
}

/// A Gaussian prior, as the data term of a measurement of the pixel itself.
fn prior() -> L2<Identity, 2> {
    L2::new(
        Identity,
        exact(&[PRIOR.mean], [1, 1]),
        PRIOR.variance.sqrt(),
    )
    .unwrap()
}

/// The posterior of the pixel, for a prior of this variance.
fn posterior(variance: f64) -> Moments {
    let [data, prior] = [NOISE.powi(-2), variance.recip()];
    Moments {
        mean: (data * Y + prior * PRIOR.mean) / (data + prior),
        variance: (data + prior).recip(),
    }
}

#[test]
fn a_pixel_has_the_posterior_of_the_smoothed_prior() {
    for rho in [0.05_f64, 0.3, 2.0] {
        let kernel = SplitGibbs::new(data(), prior(), rho).unwrap();
        let step = AffineStep::of::<2>(&kernel, [1, 1], 2, 4);
        let (mean, covariance) = step.stationary();
        let expected = posterior(PRIOR.variance + rho * rho);
        assert_close("mean", &[mean[0]], &[expected.mean], 1e-12);
        assert_close(
            "variance",
            &[covariance[(0, 0)]],
            &[expected.variance],
            1e-13,
        );
        // Negative control: the posterior itself is another law.
        let biased = expected.variance / posterior(PRIOR.variance).variance;
        assert!(biased > 1.005, "rho {rho}: {biased}");
        // What is left of a deviation after a step.
        let [p, q] = [NOISE.powi(-2), PRIOR.variance.recip()];
        let kept = ((1.0 + rho * rho * p) * (1.0 + rho * rho * q)).recip();
        assert_close("kept", &[step.matrix[(0, 0)]], &[kept], 1e-13);
        assert_eq!(
            step.matrix[(0, 1)],
            0.0,
            "z matters though both halves are exact"
        );
    }
}

#[test]
fn coupled_pixels_have_the_posterior_of_the_smoothed_prior() {
    let (rho, weight) = (0.3_f64, 5.0_f64);
    let operator = AverageDownsampling::new(2).unwrap();
    let data = L2::new(operator, exact(&[Y], [1, 1, 1, 1]), NOISE).unwrap();
    let kernel = SplitGibbs::new(data, Tikhonov::pixels(weight).unwrap(), rho).unwrap();
    let (mean, covariance) = AffineStep::of::<4>(&kernel, [1, 1, 2, 2], 2, 9).stationary();
    // A = (1, 1, 1, 1)/4, so that A^T A is 1/16 everywhere.
    let expected = |noise_variance: f64, prior_precision: f64| {
        let seen = DMatrix::from_element(4, 4, 1.0 / (16.0 * noise_variance));
        let precision = seen + DMatrix::identity(4, 4) * prior_precision;
        let pull = DVector::from_element(4, 0.25 * Y / noise_variance);
        let covariance = precision.try_inverse().unwrap();
        (&covariance * pull, covariance)
    };
    let (noise, square) = (NOISE * NOISE, rho * rho);
    // The prior's half sees data with the noise of the coupling.
    let halves = [
        (0, expected(noise, (weight.recip() + square).recip())),
        (4, expected(noise + square / 4.0, weight)),
    ];
    for (first, (m, c)) in halves {
        assert_close(
            "mean",
            &mean.as_slice()[first..first + 4],
            m.as_slice(),
            1e-12,
        );
        let block = covariance.view((first, first), (4, 4)).clone_owned();
        assert_close("covariance", block.as_slice(), c.as_slice(), 1e-12);
    }
}

#[test]
fn langevin_halves_approach_the_exact_ones() {
    let rho = 0.2;
    let exactly = posterior(PRIOR.variance + rho * rho);
    let error = |h: f64, steps| {
        let inner = LangevinDraw::new(prior(), steps, h).unwrap();
        let kernel = SplitGibbs::new(data(), inner, rho).unwrap();
        assert_eq!(MarkovKernel::<2>::gradients(&kernel), steps);
        let step = AffineStep::of::<2>(&kernel, [1, 1], 2, steps + 2);
        let (mean, covariance) = step.stationary();
        assert_close("mean", &[mean[0]], &[exactly.mean], 1e-11);
        covariance[(0, 0)] / exactly.variance - 1.0
    };
    // First order in the step.
    let (coarse, fine) = (error(0.04, 5), error(0.02, 10));
    assert!(
        coarse > 1e-3 && (0.4..0.6).contains(&(fine / coarse)),
        "{coarse:e} {fine:e}"
    );
}

#[test]
fn steps_have_the_bound_of_their_term() {
    let inner = |h| LangevinDraw::new(Quadratic::pixel(0.0, 4.0), 3, h).unwrap();
    let step_of = |kernel: &dyn MarkovKernel<2, State = tweedie_mcmc::Split<2>>| kernel.step_size();
    let exact = SplitGibbs::new(data(), prior(), 0.1).unwrap();
    assert_eq!(step_of(&exact), None);
    let both = SplitGibbs::new(inner(0.3), inner(0.1), 0.1).unwrap();
    let tightest = StepSize {
        value: 0.3,
        bound: Some(0.25),
    };
    assert_eq!(step_of(&both), Some(tightest));
    assert!(tightest.exceeds_bound());
    let at_bound = LangevinDraw::at_bound(Quadratic::pixel(0.0, 4.0), 3).unwrap();
    let kernel = SplitGibbs::new(data(), at_bound, 0.1).unwrap();
    assert_eq!(step_of(&kernel).unwrap().value, 0.25);
    assert!(matches!(
        LangevinDraw::at_bound(data(), 3),
        Err(ChainError::NoBound)
    ));
}

#[test]
fn settings_out_of_range_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(SplitGibbs::new(data(), prior(), bad).is_err());
        assert!(LangevinDraw::new(prior(), 1, bad).is_err());
    }
    assert!(matches!(
        LangevinDraw::new(prior(), 0, 0.1),
        Err(ChainError::OutOfRange { name: "steps", .. })
    ));
}
