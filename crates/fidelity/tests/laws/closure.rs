//! Potentials of closures, and values of priors whose density is known.

use burn::tensor::Tensor;
use tweedie_core::GaussianMixture;
use tweedie_fidelity::{DataFidelity, FidelityError, Gradient, PotentialFn, ScorePrior, Smooth};
use tweedie_testkit::{assert_close, exact, values};

use crate::registry::{IMAGE, normal};
use crate::support::{relative_gap, slope_gap};

/// `sum x^4/4 + x_0 x_1/2` in the first channel's first two pixels.
fn quartic(x: Tensor<4>) -> Tensor<1> {
    let rows = x.dims()[0];
    let pixel = |column| x.clone().slice([0..rows, 0..1, 0..1, column..column + 1]);
    let coupled = (pixel(0) * pixel(1)).reshape([rows]).mul_scalar(0.5);
    let powers: Tensor<2> = x.clone().powi_scalar(4).reshape([rows as i32, -1]);
    powers.sum_dim(1).reshape([rows]).mul_scalar(0.25) + coupled
}

/// Its gradient, the coupling `share` times as strong.
fn slope(x: Tensor<4>, share: f64) -> Tensor<4> {
    let [rows, ..] = x.dims();
    let pixel = |column: usize| [0..rows, 0..1, 0..1, column..column + 1];
    let pair = |column| x.clone().slice(pixel(column)).mul_scalar(0.5 * share);
    let coupled = x
        .zeros_like()
        .slice_assign(pixel(0), pair(1))
        .slice_assign(pixel(1), pair(0));
    x.powi_scalar(3) + coupled
}

#[test]
fn gradients_of_closures_are_those_of_their_values() {
    let (x, direction) = (normal(IMAGE, 1), normal(IMAGE, 2));
    let taped = PotentialFn::new(quartic);
    let by_hand = PotentialFn::with_gradient(quartic, |x| slope(x, 1.0));
    let potentials: [(&str, &dyn DataFidelity); 2] = [("taped", &taped), ("by hand", &by_hand)];
    for (name, potential) in potentials {
        let (value, grad) = potential.value_and_grad(x.clone());
        assert_close(name, &values(&value), &values(&quartic(x.clone())), 1e-12);
        assert_close(
            name,
            &values(&potential.value(x.clone())),
            &values(&value),
            1e-12,
        );
        assert!(
            relative_gap(&potential.grad(x.clone()), &grad) < 1e-15,
            "{name}"
        );
        let found = slope_gap(|x| potential.value(x), &x, &direction, &grad);
        assert!(found < 1e-6, "{name}: the gradient is off by {found:e}");
    }
    let gap = relative_gap(&taped.grad(x.clone()), &by_hand.grad(x.clone()));
    assert!(gap < 1e-12, "the two gradients differ by {gap:e}");
    // Negative control: another gradient is not that of the value.
    let wrong = PotentialFn::with_gradient(quartic, |x| slope(x, 1.1));
    let gap = slope_gap(|x| wrong.value(x), &x, &direction, &wrong.grad(x.clone()));
    assert!(gap > 1e-4, "{gap:e}");
}

#[test]
fn a_closure_has_the_constant_it_is_given() {
    let potential = PotentialFn::new(quartic);
    assert_eq!(potential.lipschitz(), None);
    assert_eq!(
        potential.with_lipschitz(3.0).unwrap().lipschitz(),
        Some(3.0)
    );
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            potential.with_lipschitz(bad),
            Err(FidelityError::OutOfRange {
                name: "Lipschitz constant",
                ..
            })
        ));
    }
}

#[test]
#[should_panic(expected = "a potential has one value for each image")]
fn one_value_for_all_images() {
    let total = PotentialFn::new(|x: Tensor<4>| x.sum());
    let _ = total.grad(normal(IMAGE, 1));
}

#[test]
fn an_analytic_prior_has_the_value_of_its_score() {
    let means = exact(&[-0.5, 0.1, 0.4, 0.9], [2, 1, 1, 2]);
    let mixture = GaussianMixture::new(&[0.3, 0.7], means, &[0.04, 0.09]).unwrap();
    let prior = |sigma| ScorePrior::new(mixture.clone(), sigma, 1.3).unwrap();
    let (x, direction) = (normal([4, 1, 1, 2], 3), normal([4, 1, 1, 2], 4));
    for sigma in [0.05, 0.5] {
        let gap = |grad| slope_gap(|x| prior(sigma).value(x), &x, &direction, &grad);
        let found = gap(prior(sigma).grad(x.clone()));
        assert!(
            found < 1e-6,
            "sigma {sigma}: the gradient is off by {found:e}"
        );
        assert!(
            gap(prior(1.1 * sigma).grad(x.clone())) > 1e-4,
            "another level passes"
        );
    }
}
