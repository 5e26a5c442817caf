//! Classifier guidance with the exact classifier of a mixture: the posterior is a component.

use burn::tensor::{Tensor, activation::log_softmax};
use tweedie_core::{Denoiser, GaussianMixture, GaussianPrior, NoisyClassifier};
use tweedie_fidelity::{ClassLikelihood, FidelityError, NoisyFidelity, Posterior};
use tweedie_testkit::{exact, values};

const WEIGHTS: [f64; 3] = [0.2, 0.5, 0.3];
const MEANS: [f64; 6] = [-0.4, 0.2, 0.9, -0.1, 0.3, 1.4];
const VARIANCES: [f64; 3] = [0.05, 0.3, 0.12];

/// `p(c | x)` by Bayes' rule, for noise levels `stretch` times as large as told.
struct Exact {
    stretch: f64,
}

impl NoisyClassifier<2> for Exact {
    fn classes(&self) -> usize {
        3
    }

    fn log_probabilities(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let joint = (0..3).map(|class| {
            let mean = exact(&MEANS[2 * class..2 * class + 2], [1, 2]);
            let variance = VARIANCES[class] + (self.stretch * sigma).powi(2);
            let residual = noisy.clone() - mean;
            let distance = (residual.clone() * residual).sum_dim(1);
            // The logarithm of a density of two numbers.
            distance.mul_scalar(-0.5 / variance) + (WEIGHTS[class].ln() - variance.ln())
        });
        log_softmax(Tensor::cat(joint.collect(), 1), 1)
    }
}

fn mixture() -> GaussianMixture<2> {
    GaussianMixture::new(&WEIGHTS, exact(&MEANS, [3, 2]), &VARIANCES).unwrap()
}

fn points() -> Tensor<2> {
    exact(&[-1.3, 0.2, 0.1, 0.4, 0.8, -0.6, 2.0, 1.1], [4, 2])
}

/// The largest distance of the guided denoiser from that of the class of each row.
fn error(classifier: Exact, classes: &[usize], scale: f64, sigma: f64) -> f64 {
    let guidance = ClassLikelihood::new(classifier, classes, scale).unwrap();
    let posterior = Posterior {
        prior: mixture(),
        guidance,
    };
    let found = values(&posterior.denoise(points(), sigma));
    let mut expected = Vec::new();
    for row in 0..4 {
        let class = classes[row % classes.len()];
        let mean = exact(&MEANS[2 * class..2 * class + 2], [1, 2]);
        let component = GaussianPrior::new(mean, VARIANCES[class]);
        expected.extend(values(
            &component.denoise(points().narrow(0, row, 1), sigma),
        ));
    }
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

const SIGMAS: [f64; 3] = [0.1, 0.7, 4.0];

#[test]
fn the_exact_classifier_makes_the_denoiser_of_a_class() {
    for sigma in SIGMAS {
        for classes in [&[0][..], &[1], &[2], &[2, 0, 1, 0]] {
            let error = error(Exact { stretch: 1.0 }, classes, 1.0, sigma);
            // A few roundings of numbers up to sigma^2 times the score's, about 10.
            assert!(error < 1e-12, "{classes:?} at {sigma}: {error}");
        }
    }
}

#[test]
fn another_scale_noise_level_or_class_does_not() {
    for sigma in SIGMAS {
        let other_scale = error(Exact { stretch: 1.0 }, &[1], 2.0, sigma);
        let none = error(Exact { stretch: 1.0 }, &[1], 0.0, sigma);
        let other_level = error(Exact { stretch: 1.3 }, &[1], 1.0, sigma);
        for error in [other_scale, none, other_level] {
            assert!(error > 1e-3, "at {sigma}: {error}");
        }
    }
}

#[test]
fn the_prior_is_evaluated_as_it_is() {
    let guidance = ClassLikelihood::new(Exact { stretch: 1.0 }, &[1], 1.0).unwrap();
    let guided = guidance.guide(&mixture(), points(), 0.7);
    let plain = mixture().denoise(points(), 0.7);
    assert_eq!(values(&guided.denoised), values(&plain));
}

#[test]
fn classes_that_it_does_not_know_are_refused() {
    let error = ClassLikelihood::new(Exact { stretch: 1.0 }, &[0, 3], 1.0).err();
    assert!(
        matches!(
            error,
            Some(FidelityError::Class {
                found: 3,
                classes: 3
            })
        ),
        "{error:?}"
    );
    for scale in [-1.0, f64::NAN, f64::INFINITY] {
        let error = ClassLikelihood::new(Exact { stretch: 1.0 }, &[0], scale).err();
        assert!(matches!(
            error,
            Some(FidelityError::OutOfRange { name: "scale", .. })
        ));
    }
}

#[test]
#[should_panic(expected = "one for each of 4, got 2")]
fn classes_of_another_number_of_images_are_no_guess() {
    let guidance = ClassLikelihood::new(Exact { stretch: 1.0 }, &[0, 1], 1.0).unwrap();
    guidance.guide(&mixture(), points(), 0.7);
}
