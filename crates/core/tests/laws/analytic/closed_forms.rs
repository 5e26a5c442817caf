//! Priors that are one law written in two ways, and their derivatives.

use burn::tensor::Tensor;
use tweedie_core::{
    AnalyticPrior, Denoiser, FullGaussian, GaussianMixture, GaussianPrior, PointMass, Score,
    value_and_vjp,
};
use tweedie_testkit::{assert_close, assert_vjp, exact, values};

use super::{
    MEAN, MEANS, WEIGHTS, diagonal, exact_rng, full, isotropic, largest_difference, point, points,
    priors,
};

#[test]
fn a_diagonal_covariance_matrix_is_a_diagonal_prior() {
    let dense = full(&[0.3, 0.0, 0.0, 1.1]).unwrap();
    for sigma in [0.2, 5.0] {
        let (got, expected) = (
            dense.denoise(points(), sigma),
            diagonal().denoise(points(), sigma),
        );
        assert_close("denoiser", &values(&got), &values(&expected), 1e-14);
        let (got, expected) = (
            dense.log_density(points(), sigma),
            diagonal().log_density(points(), sigma),
        );
        assert_close("density", &values(&got), &values(&expected), 1e-13);
    }
}

/// `Q diag(variances) Q^T` for the rotation `Q` by two angles, and `Q`; row-major.
fn rotated_covariance(variances: [f64; 3]) -> (Tensor<2>, Tensor<2>) {
    let ((s, c), (u, v)) = (0.7_f64.sin_cos(), (-1.9_f64).sin_cos());
    let first = exact(&[c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0], [3, 3]);
    let second = exact(&[1.0, 0.0, 0.0, 0.0, v, -u, 0.0, u, v], [3, 3]);
    let rotation = first.matmul(second);
    let scaled = rotation.clone() * exact(&variances, [1, 3]);
    (scaled.matmul(rotation.clone().transpose()), rotation)
}

#[test]
fn a_full_covariance_is_a_rotated_diagonal_one() {
    let variances = [0.2, 1.5, 0.7];
    let (covariance, rotation) = rotated_covariance(variances);
    let mean = exact(&[0.5, -0.3, 1.2], [1, 3]);
    let dense = FullGaussian::new(mean.clone(), covariance).unwrap();
    let turned_mean = mean.matmul(rotation.clone());
    let plain = GaussianPrior::diagonal(turned_mean, exact(&variances, [1, 3])).unwrap();
    let x = exact(&[0.4, 1.0, -2.0, 0.9, 0.0, 0.3], [2, 3]);
    let turned = x.clone().matmul(rotation.clone());
    for sigma in [0.05, 0.8, 6.0] {
        let expected = plain
            .denoise(turned.clone(), sigma)
            .matmul(rotation.clone().transpose());
        let got = dense.denoise(x.clone(), sigma);
        assert_close("denoiser", &values(&got), &values(&expected), 1e-14);
        let expected = plain.log_density(turned.clone(), sigma);
        let got = dense.log_density(x.clone(), sigma);
        // Squared distances reach 20.
        assert_close("density", &values(&got), &values(&expected), 1e-13);
        let unturned = values(&plain.denoise(x.clone(), sigma));
        assert!(largest_difference(&unturned, &values(&dense.denoise(x.clone(), sigma))) > 1e-3);
    }
}

#[test]
fn a_full_covariance_solves_the_normal_equations() {
    // 48 pixels, rank 20: D = x - sigma^2 u with (C + sigma^2 I) u = x - mean.
    let factor = exact_rng(5).normal([48, 20]);
    let covariance = factor.clone().matmul(factor.transpose());
    let mean = exact_rng(6).normal([1, 3, 4, 4]);
    let prior = FullGaussian::new(mean.clone(), covariance.clone()).unwrap();
    let x = exact_rng(7).normal([2, 3, 4, 4]);
    for sigma in [0.3, 2.0] {
        let score = prior.score(x.clone(), sigma).reshape([2, 48]);
        let product = |variance: f64| {
            let noise = score.clone().mul_scalar(variance);
            values(&(score.clone().matmul(covariance.clone()) + noise))
        };
        let expected = values(&(mean.clone() - x.clone()).reshape([2, 48]));
        // Eigenvalues reach 120: rounding of 48 terms, by 1/sigma^2.
        assert_close("residual", &product(sigma * sigma), &expected, 1e-11);
        let wrong = product(1.01 * sigma * sigma);
        assert!(largest_difference(&wrong, &expected) > 1e-4);
    }
}

/// Tweedie's formula for the covariance, `sigma^2 J`, and the equations of its closed form.
#[test]
fn the_posterior_covariance_is_that_of_tweedie() {
    let (covariance, _) = rotated_covariance([0.2, 1.5, 0.0]);
    let mean = exact(&[0.5, -0.3, 1.2], [1, 3]);
    let prior = FullGaussian::new(mean, covariance.clone()).unwrap();
    let x = exact(&[0.4, 1.0, -2.0, 0.9, 0.0, 0.3], [2, 3]);
    let v = exact(&[1.0, -0.2, 0.5, 0.1, 2.0, -0.7], [2, 3]);
    for sigma in [0.05_f64, 0.8, 6.0] {
        let level = sigma * sigma;
        let spread = prior.posterior_covariance(v.clone(), sigma);
        let (_, pulled) = value_and_vjp(x.clone(), |x| prior.denoise(x, sigma), |_| v.clone());
        let expected = values(&pulled.mul_scalar(level));
        assert_close("Jacobian", &values(&spread), &expected, 1e-13);
        // (C + sigma^2 I) V v = sigma^2 C v.
        let left = spread.clone().matmul(covariance.clone()) + spread.mul_scalar(level);
        let right = v.clone().matmul(covariance.clone()).mul_scalar(level);
        assert_close("closed form", &values(&left), &values(&right), 1e-12);
        let other = values(&prior.posterior_covariance(v.clone(), 1.1 * sigma));
        assert!(largest_difference(&other, &expected) > 1e-5);
    }
}

#[test]
fn a_mixture_of_one_component_is_a_gaussian() {
    let mean = || exact(&MEAN, [1, 2]);
    let one = GaussianMixture::new(&[3.0], mean(), &[0.4]).unwrap();
    let each = GaussianMixture::diagonal(&[0.1], mean(), exact(&[0.3, 1.1], [1, 2])).unwrap();
    let pairs: [(&dyn AnalyticPrior<2>, &dyn AnalyticPrior<2>); 2] =
        [(&one, &isotropic()), (&each, &diagonal())];
    for (mixture, gaussian) in pairs {
        for sigma in [0.1, 2.5] {
            let got = values(&mixture.denoise(points(), sigma));
            let expected = values(&gaussian.denoise(points(), sigma));
            assert_close("denoiser", &got, &expected, 1e-15 * 4.0);
            let got = values(&mixture.log_density(points(), sigma));
            let expected = values(&gaussian.log_density(points(), sigma));
            // Squared distances reach 60 and are rounded four times.
            assert_close("density", &got, &expected, 3e-14);
        }
    }
}

#[test]
#[should_panic(expected = "a prior with a variance of 0 has no density at sigma = 0")]
fn a_singular_covariance_has_no_density() {
    // Its smallest eigenvalue is a rounding error.
    let singular = full(&[0.9, 0.3, 0.3, 0.1]).unwrap();
    singular.log_density(points(), 0.0);
}

#[test]
#[should_panic(expected = "a prior with a variance of 0 has no density at sigma = 0")]
fn a_point_has_no_density() {
    point().log_density(points(), 0.0);
}

#[test]
fn a_point_is_its_own_denoiser() {
    let got = values(&point().denoise(points(), 0.7));
    assert_eq!(got, MEAN.repeat(4));
    let draws = point().sample(3, &mut exact_rng(1));
    assert_eq!(values(&draws), MEAN.repeat(3));
    let expected = GaussianPrior::new(exact(&MEAN, [1, 2]), 0.0).log_density(points(), 0.7);
    let got = point().log_density(points(), 0.7);
    assert_close("density", &values(&got), &values(&expected), 0.0);
}

#[test]
fn images_keep_their_shape() {
    let rng = || exact_rng(3);
    let means = rng().normal([3, 2, 4, 5]);
    let first = means.clone().narrow(0, 0, 1);
    let variance = means.clone().square();
    let priors: [Box<dyn AnalyticPrior>; 4] = [
        Box::new(GaussianPrior::diagonal(means.clone(), variance.clone().narrow(0, 0, 1)).unwrap()),
        Box::new(GaussianMixture::new(&WEIGHTS, means.clone(), &[0.1; 3]).unwrap()),
        Box::new(GaussianMixture::diagonal(&WEIGHTS, means, variance).unwrap()),
        Box::new(PointMass::new(first)),
    ];
    for prior in priors {
        let draws = prior.sample(3, &mut rng());
        assert_eq!(draws.dims(), [3, 2, 4, 5]);
        assert_eq!(prior.denoise(draws.clone(), 0.5).dims(), [3, 2, 4, 5]);
        assert_eq!(prior.log_density(draws, 0.5).dims(), [3]);
    }
}

#[test]
fn guidance_can_differentiate_them() {
    let (direction, v) = (exact(&[0.3, -1.0], [1, 2]), exact(&[-0.8, 0.5], [1, 2]));
    let x = exact(&[0.7, 0.1], [1, 2]);
    for (name, prior, _) in priors() {
        let denoise = |x| prior.denoise(x, 0.8);
        let (_, product) = value_and_vjp(x.clone(), denoise, |_| v.clone());
        assert_vjp(name, denoise, &x, &direction, &v, &product);
        let (_, gradient) =
            value_and_vjp(x.clone(), |x| prior.log_density(x, 0.8), |y| y.ones_like());
        let score = values(&prior.score(x.clone(), 0.8));
        assert_close(name, &values(&gradient), &score, 1e-14);
    }
}

#[test]
fn components_of_one_variance_are_weighed_by_products() {
    // Far from all means, beside them, and where a weight is all that decides.
    let x = Tensor::cat(
        vec![points(), points() * 1e4, exact(&[0.0, 0.0], [1, 2])],
        0,
    );
    let means = || exact(&MEANS, [3, 2]);
    let together = GaussianMixture::new(&WEIGHTS, means(), &[0.4; 3]).unwrap();
    let one_by_one = GaussianMixture::diagonal(&WEIGHTS, means(), means().full_like(0.4)).unwrap();
    let other = GaussianMixture::new(&WEIGHTS, means(), &[0.4, 0.4, 0.41]).unwrap();
    for sigma in [0.0, 1e-3, 0.7, 50.0] {
        let expected = values(&one_by_one.denoise(x.clone(), sigma));
        let got = values(&together.denoise(x.clone(), sigma));
        assert_close("denoiser", &got, &expected, 1e-11);
    }
    let [got, expected] = [&other, &one_by_one].map(|prior| values(&prior.denoise(points(), 0.7)));
    assert!(largest_difference(&got, &expected) > 1e-4);
}
