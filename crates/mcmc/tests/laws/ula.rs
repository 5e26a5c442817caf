//! The exact discrete law of the unadjusted Langevin algorithm, and its step.

use burn::tensor::Tensor;
use tweedie_fidelity::{PotentialFn, Smooth};
use tweedie_mcmc::{ChainError, MarkovKernel, PosteriorDensity, StepSize, Ula};
use tweedie_testkit::assert_close;

use crate::support::{Quadratic, stationary};

#[test]
fn the_stationary_law_is_that_of_the_discrete_chain() {
    for (precision, step) in [(4.0, 0.01), (4.0, 0.25), (0.5, 3.0)] {
        let kernel = Ula::new(Quadratic::pixel(0.7, precision), step).unwrap();
        let law = stationary(&kernel, 1);
        let variance = 1.0 / (precision * (1.0 - 0.5 * step * precision));
        assert_close("mean", &[law.mean], &[0.7], 1e-12);
        assert_close("variance", &[law.variance], &[variance], 1e-12 * variance);
        // The law of the diffusion itself is another one.
        assert!((law.variance - 1.0 / precision).abs() > 0.01 / precision);
    }
}

#[test]
fn the_bound_is_the_reciprocal_of_the_lipschitz_constant() {
    let step_of = |kernel: Ula<Quadratic>| MarkovKernel::<2>::step_size(&kernel).unwrap();
    let target = Quadratic::pixel(0.0, 4.0);
    let at_bound = step_of(Ula::at_bound(target.clone()).unwrap());
    assert_eq!(
        at_bound,
        StepSize {
            value: 0.25,
            bound: Some(0.25)
        }
    );
    assert!(!at_bound.exceeds_bound());
    assert!(step_of(Ula::new(target, 0.26).unwrap()).exceeds_bound());
}

#[test]
fn a_posterior_has_a_bound_where_both_terms_have_one() {
    let known = || Quadratic::pixel(0.0, 4.0);
    let unknown = || PotentialFn::new(|x: Tensor<2>| x.sum_dim(1).reshape([-1]));
    let both = PosteriorDensity {
        fidelity: known(),
        prior: known(),
    };
    assert_eq!(both.lipschitz(), Some(8.0));
    let prior = PosteriorDensity {
        fidelity: known(),
        prior: unknown(),
    };
    assert!(matches!(Ula::at_bound(prior), Err(ChainError::NoBound)));
    let fidelity = PosteriorDensity {
        fidelity: unknown(),
        prior: known(),
    };
    assert!(matches!(Ula::at_bound(fidelity), Err(ChainError::NoBound)));
}

#[test]
fn steps_that_are_none_are_refused() {
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Ula::new(Quadratic::pixel(0.0, 1.0), step).unwrap_err();
        assert!(matches!(
            error,
            ChainError::OutOfRange {
                name: "step_size",
                ..
            }
        ));
    }
}
