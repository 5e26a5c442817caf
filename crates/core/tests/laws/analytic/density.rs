//! The density against its denoiser, its integral and its parts.

use std::f64::consts::TAU;

use burn::tensor::Tensor;
use tweedie_core::{AnalyticPrior, Denoiser, GaussianMixture, GaussianPrior, Score};
use tweedie_testkit::{assert_close, directional_derivative, exact, values};

use super::{
    MEANS, VARIANCES, WEIGHTS, diagonal_mixture, isotropic, largest_difference, points, priors,
};

fn normal_density(x: f64, mean: f64, variance: f64) -> f64 {
    (-0.5 * (x - mean).powi(2) / variance).exp() / (TAU * variance).sqrt()
}

#[test]
fn mixture_denoiser_is_the_posterior_mean_by_quadrature() {
    let (means, variances) = ([-1.2, 0.4, 2.0], [0.09, 0.3, 0.04]);
    let prior = |weights: [f64; 3]| {
        GaussianMixture::new(&weights, exact::<2>(&means, [3, 1]), &variances).unwrap()
    };
    let noisy: [f64; 5] = [-3.0, -0.7, 0.1, 1.4, 5.0];
    for sigma in [0.1, 0.5, 3.0] {
        // The trapezoidal rule is exact to rounding for sums of Gaussians much wider than its step.
        let expected = noisy.map(|x| {
            let (mut mass, mut moment) = (0.0, 0.0);
            for clean in (-1200..=1200).map(|k| 0.01 * f64::from(k)) {
                let density: f64 = (0..3)
                    .map(|k| WEIGHTS[k] * normal_density(clean, means[k], variances[k]))
                    .sum();
                let joint = density * normal_density(x, clean, sigma * sigma);
                mass += joint;
                moment += joint * clean;
            }
            moment / mass
        });
        let got = |weights| values(&prior(weights).denoise(exact(&noisy, [5, 1]), sigma));
        // Exponents reach 500 at the far ends, which multiplies rounding.
        assert_close("posterior mean", &got(WEIGHTS), &expected, 1e-12);
        let exchanged = got([WEIGHTS[1], WEIGHTS[0], WEIGHTS[2]]);
        assert!(largest_difference(&exchanged, &expected) > 1e-3);
    }
}

#[test]
fn score_is_the_gradient_of_the_log_density() {
    let directions = [[1.0, 0.0], [0.0, 1.0], [0.6, -0.8]];
    for (name, prior, has_density) in priors() {
        for sigma in [0.3, 1.0, 20.0] {
            let score = prior.score(points(), sigma);
            for direction in directions {
                let direction = exact(&direction, [1, 2]).expand([4, 2]);
                let slope = |sigma: f64| {
                    let log_density = |x| prior.log_density(x, sigma);
                    values(&directional_derivative(
                        log_density,
                        &points(),
                        &direction,
                        1e-5,
                    ))
                };
                let expected = slope(sigma);
                let got = (score.clone() * direction.clone()).sum_dim(1);
                // Step^2 by a third derivative below 100, and rounding of numbers below 30 by the step.
                assert_close(name, &values(&got), &expected, 1e-8);
                let other = slope(1.05 * sigma);
                assert!(
                    sigma > 1.0 || largest_difference(&other, &expected) > 1e-3,
                    "{name}"
                );
            }
        }
        assert!(has_density || name == "point");
    }
}

/// Integral over a square that holds all mass, by the trapezoidal rule.
fn integral(log_density: impl Fn(Tensor<2>) -> Tensor<1>, half_width: f64) -> f64 {
    let (side, step) = (161_usize, half_width / 80.0);
    let axis = |k: usize| k as f64 * step - half_width;
    let grid: Vec<f64> = (0..side * side)
        .flat_map(|k| [axis(k / side), axis(k % side)])
        .collect();
    let logs = log_density(exact(&grid, [side * side, 2]));
    values(&logs).iter().map(|log| log.exp()).sum::<f64>() * step * step
}

#[test]
fn density_integrates_to_one() {
    for (name, prior, has_density) in priors() {
        for (sigma, half_width) in [(0.0, 12.0), (0.5, 12.0), (4.0, 40.0)] {
            if sigma > 0.0 || has_density {
                let mass = integral(|x| prior.log_density(x, sigma), half_width);
                assert!((mass - 1.0).abs() < 1e-12, "{name} at {sigma}: {mass}");
            }
        }
    }
    // Weights are relative: these are the same prior, though the components as they stand have mass 10.
    let raw = WEIGHTS.map(|weight| 10.0 * weight);
    let scaled = GaussianMixture::diagonal(&raw, exact(&MEANS, [3, 2]), exact(&VARIANCES, [3, 2]));
    let scaled = scaled.unwrap().log_density(points(), 0.2);
    let plain = diagonal_mixture().log_density(points(), 0.2);
    assert_close("weights", &values(&scaled), &values(&plain), 1e-14);
    let unnormalised = |x| isotropic().log_density(x, 0.5) + 10f64.ln();
    assert!((integral(unnormalised, 12.0) - 10.0).abs() < 1e-11);
}

#[test]
fn density_of_a_mixture_is_the_weighted_sum() {
    let parts: Vec<GaussianPrior<2>> = (0..3)
        .map(|k| {
            let pair = 2 * k..2 * k + 2;
            let mean = exact(&MEANS[pair.clone()], [1, 2]);
            GaussianPrior::diagonal(mean, exact(&VARIANCES[pair], [1, 2])).unwrap()
        })
        .collect();
    for sigma in [0.0, 0.6] {
        let mut sum = [0.0; 4];
        for (part, weight) in parts.iter().zip(WEIGHTS) {
            for (sum, log) in sum
                .iter_mut()
                .zip(values(&part.log_density(points(), sigma)))
            {
                *sum += weight * log.exp();
            }
        }
        let got = values(&diagonal_mixture().log_density(points(), sigma));
        assert_close("mixture", &got, &sum.map(f64::ln), 1e-14);
    }
}
