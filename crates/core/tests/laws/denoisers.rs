//! Denoisers and the wrappers around them.

use burn::tensor::Tensor;
use tweedie_core::{
    Clipped, Counted, Denoiser, DenoiserFn, GaussianPrior, Padded, Score, UnitRange,
};
use tweedie_testkit::{assert_close, exact, values};

#[test]
fn gaussian_score_is_that_of_the_smoothed_law() {
    let prior = GaussianPrior::new(exact::<2>(&[0.3, -0.8], [1, 2]), 0.25);
    let x = exact(&[1.0, 2.0, -0.5, 0.0], [2, 2]);
    for sigma in [0.01, 0.4, 30.0] {
        let score = values(&prior.score(x.clone(), sigma));
        let variance = 0.25 + sigma * sigma;
        let expected: Vec<f64> = values(&x)
            .iter()
            .zip([0.3, -0.8, 0.3, -0.8])
            .map(|(x, mean)| (mean - x) / variance)
            .collect();
        // Tweedie's formula divides a difference of numbers of order one by sigma^2.
        assert_close(
            "score",
            &score,
            &expected,
            1e-15 * 8.0 / (sigma * sigma).min(1.0),
        );
    }
}

#[test]
fn unit_range_maps_pixels_and_noise() {
    // N(0.2, 0.09) on [0, 1] is N(-0.6, 0.36) on [-1, 1].
    let unit = GaussianPrior::new(exact::<2>(&[0.2], [1, 1]), 0.09);
    let symmetric = UnitRange::symmetric(GaussianPrior::new(exact::<2>(&[-0.6], [1, 1]), 0.36));
    let x = exact(&[0.9, -0.4, 0.1], [3, 1]);
    for sigma in [0.05, 0.7] {
        let (got, expected) = (
            symmetric.denoise(x.clone(), sigma),
            unit.denoise(x.clone(), sigma),
        );
        assert_close("unit range", &values(&got), &values(&expected), 1e-15);
    }
}

/// Refuses sizes that are not multiples of four, and adds the mean of each row's image.
struct Blocky;
impl Denoiser for Blocky {
    fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
        let [_, _, height, width] = noisy.dims();
        assert_eq!((height % 4, width % 4), (0, 0));
        noisy.mul_scalar(2.0)
    }
}

#[test]
fn padding_repeats_the_edge_and_is_cut_off_again() {
    let pixels: Vec<f64> = (0..2 * 5 * 7).map(f64::from).collect();
    let image = exact(&pixels, [2, 1, 5, 7]);
    let padded = Padded {
        inner: Blocky,
        multiple: 4,
    };
    let doubled: Vec<f64> = pixels.iter().map(|p| 2.0 * p).collect();
    assert_eq!(values(&padded.denoise(image, 1.0)), doubled);

    struct Total;
    impl Denoiser for Total {
        fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
            noisy.clone().zeros_like() + noisy.sum().reshape([1, 1, 1, 1])
        }
    }
    let padded = Padded {
        inner: Total,
        multiple: 2,
    };
    let sum = values(&padded.denoise(exact(&[1.0, 2.0, 3.0], [1, 1, 1, 3]), 1.0));
    assert_eq!(sum, [18.0; 3]);
}

#[test]
fn evaluations_are_counted() {
    let prior = Counted::new(GaussianPrior::new(exact::<2>(&[0.0], [1, 1]), 1.0));
    for _ in 0..3 {
        prior.score(exact(&[1.0, 2.0], [2, 1]), 0.5);
    }
    assert_eq!(prior.evaluations(), 3);
}

#[test]
fn clipping_bounds_the_output_alone() {
    let prior = GaussianPrior::new(exact::<2>(&[0.5], [1, 1]), 1e6);
    let clipped = Clipped::unit(prior);
    let got = values(&clipped.denoise(exact(&[-3.0, 0.25, 7.0], [3, 1]), 1e-3));
    assert_eq!((got[0], got[2]), (0.0, 1.0));
    assert!((got[1] - 0.25).abs() < 1e-9);
}

#[test]
fn a_closure_is_the_denoiser_that_it_computes() {
    let prior = GaussianPrior::new(exact::<2>(&[0.3, -0.8], [1, 2]), 0.25);
    let closure = DenoiserFn::new(|noisy: Tensor<2>, sigma| prior.denoise(noisy, sigma));
    let x = exact(&[1.0, 2.0, -0.5, 0.0], [2, 2]);
    let score = |denoiser: &dyn Denoiser<2>| values(&denoiser.score(x.clone(), 0.4));
    assert_eq!(score(&closure), score(&prior));
    let other = DenoiserFn::new(|noisy: Tensor<2>, _| noisy);
    assert_ne!(score(&other), score(&prior));
}
