//! Classifier-free guidance against the density whose score it is.

use burn::tensor::Tensor;
use tweedie_core::{ClassifierFree, Counted, Denoiser, GaussianMixture, GaussianPrior, Score};
use tweedie_testkit::{assert_close, exact, values};

const WEIGHTS: [f64; 2] = [0.3, 0.7];
const MEANS: [f64; 2] = [-0.4, 0.9];
const VARIANCES: [f64; 2] = [0.05, 0.3];
const SIGMA: f64 = 0.6;
const POINTS: [f64; 5] = [-1.3, -0.4, 0.1, 0.8, 2.0];

/// `ln N(x; m, v + sigma^2)`.
fn log_normal(x: f64, class: usize) -> f64 {
    let variance = VARIANCES[class] + SIGMA * SIGMA;
    -0.5 * ((x - MEANS[class]).powi(2) / variance + variance.ln())
}

fn log_mixture(x: f64) -> f64 {
    let terms = [0, 1].map(|class| WEIGHTS[class] * log_normal(x, class).exp());
    terms.iter().sum::<f64>().ln()
}

fn mixture() -> GaussianMixture<2> {
    GaussianMixture::new(&WEIGHTS, exact(&MEANS, [2, 1]), &VARIANCES).unwrap()
}

fn component(class: usize) -> GaussianPrior<2> {
    GaussianPrior::new(exact(&[MEANS[class]], [1, 1]), VARIANCES[class])
}

fn points() -> Tensor<2> {
    exact(&POINTS, [5, 1])
}

/// The score of `p(x | c)^w p(x)^(1 - w)` by central differences.
fn expected(class: usize, scale: f64) -> Vec<f64> {
    let density = |x| scale * log_normal(x, class) + (1.0 - scale) * log_mixture(x);
    let h = 1e-5;
    POINTS
        .map(|x| (density(x + h) - density(x - h)) / (2.0 * h))
        .to_vec()
}

// A central difference of step 1e-5 errs by h^2 and by the rounding of the density over h: 1e-10 and 1e-11 times numbers of
// about 10.
const TOLERANCE: f64 = 1e-8;

#[test]
fn its_score_is_that_of_the_sharpened_density() {
    for class in [0, 1] {
        for scale in [0.0, 0.5, 1.0, 3.0] {
            let guided = ClassifierFree::new(component(class), mixture(), scale);
            let found = values(&guided.score(points(), SIGMA));
            let name = format!("class {class}, scale {scale}");
            assert_close(&name, &found, &expected(class, scale), TOLERANCE);
        }
    }
}

#[test]
fn the_other_class_and_another_scale_are_told_apart() {
    let guided = ClassifierFree::new(component(0), mixture(), 3.0);
    let found = values(&guided.score(points(), SIGMA));
    for other in [expected(1, 3.0), expected(0, 2.0), expected(0, -3.0)] {
        let far = found.iter().zip(&other).any(|(a, b)| (a - b).abs() > 0.1);
        assert!(far, "{found:?}, {other:?}");
    }
}

#[test]
fn guidance_acts_within_its_interval() {
    let guided = ClassifierFree {
        interval: [0.5, 0.6],
        ..ClassifierFree::new(Counted::new(component(1)), Counted::new(mixture()), 3.0)
    };
    for (sigma, acts) in [
        (0.4, false),
        (0.5, false),
        (0.55, true),
        (0.6, true),
        (0.61, false),
    ] {
        let before = guided.unconditional.evaluations();
        let found = values(&guided.denoise(points(), sigma));
        let plain = values(&component(1).denoise(points(), sigma));
        assert_eq!(found != plain, acts, "at {sigma}");
        let evaluations = guided.unconditional.evaluations() - before;
        assert_eq!(evaluations, usize::from(acts), "at {sigma}");
    }
    assert_eq!(guided.conditional.evaluations(), 5);
}
