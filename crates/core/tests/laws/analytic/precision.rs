//! Mixtures in single precision: far away, close calls, many components.

use burn::tensor::{DType, Tensor};
use tweedie_core::{AnalyticPrior, Denoiser, FullGaussian, GaussianMixture, Rng};
use tweedie_testkit::{assert_close, device, exact, values};

use super::{MEANS, WEIGHTS, exact_rng, largest_difference};

fn single(tensor: Tensor<2>) -> Tensor<2> {
    tensor.cast(DType::F32)
}

fn single_mixture(variances: &[f64]) -> GaussianMixture<2> {
    GaussianMixture::new(&WEIGHTS, single(exact(&MEANS, [3, 2])), variances).unwrap()
}

#[test]
fn far_away_nothing_overflows() {
    for variances in [[0.3, 1.2, 0.5], [0.0; 3], [1e-6, 2.0, 0.0]] {
        let prior = single_mixture(&variances);
        for distance in [1e3, 1e8, 1e15, 1e20, 1e30] {
            for sigma in [1e-3, 1.0, 100.0] {
                let x = single(exact(&[distance, -distance], [1, 2]));
                let got = values(&prior.denoise(x.clone(), sigma));
                assert!(
                    got.iter().all(|d| d.is_finite()),
                    "{distance} {sigma}: {got:?}"
                );
                let density = values(&prior.log_density(x, sigma))[0];
                assert!(density.is_finite() && density < 0.0, "{density}");
            }
        }
    }
    // The widest component is all that is seen from far away.
    let x = exact(&[1e4, -2e4], [1, 2]);
    let got = values(&single_mixture(&[0.3, 1.2, 0.5]).denoise(single(x), 0.5));
    let expected = [(1e4, 0.2), (-2e4, 1.1)].map(|(x, m)| (1.2 * x + 0.25 * m) / 1.45);
    assert_close(
        "widest",
        &got,
        &expected,
        2e4 * 4.0 * f64::from(f32::EPSILON),
    );
}

#[test]
fn responsibilities_keep_their_digits_in_single_precision() {
    // Two images of 3072 pixels, two standard deviations of noise apart; what weighs them is a difference of 2 in 3072.
    let (pixels, sigma) = (3072, 0.01);
    let first = single(exact_rng(1).uniform([1, pixels]));
    let gap = exact_rng(2).normal([1, pixels]);
    let second = first.clone() + single(gap.mul_scalar(2.0 * sigma / (pixels as f64).sqrt()));
    let x = first.clone() + single(exact_rng(3).normal([6, pixels]).mul_scalar(sigma));
    let means = Tensor::cat(vec![first, second], 0);
    let weigh = |means: Tensor<2>, x: Tensor<2>| {
        // The projection of the posterior mean on the gap is the responsibility of the second.
        let prior = GaussianMixture::new(&[0.5, 0.5], means.clone(), &[0.0; 2]).unwrap();
        let means = means.cast(DType::F64);
        let (low, high) = (means.clone().narrow(0, 0, 1), means.narrow(0, 1, 1));
        let gap = high - low.clone();
        let along = (prior.denoise(x, sigma).cast(DType::F64) - low) * gap.clone();
        values(&(along.sum_dim(1) / gap.square().sum_dim(1)))
    };
    let expected = weigh(means.clone().cast(DType::F64), x.clone().cast(DType::F64));
    assert!(
        expected.iter().any(|r| (0.1..0.9).contains(r)),
        "{expected:?}"
    );
    let got = weigh(means.clone(), x.clone());
    // A sum of squares near 3072 has units of 2^-12; the result is projected with the rounding of its pixels.
    let tolerance = 2f64.powi(-12) + f64::from(f32::EPSILON) * 0.5 * (pixels as f64).sqrt() / 0.02;
    assert_close("responsibility", &got, &expected, tolerance);
    // The expanded square loses more.
    let norms = |t: &Tensor<2>| t.clone().square().sum_dim(1);
    let products = x.clone().matmul(means.clone().transpose());
    let expanded = norms(&x) - products.mul_scalar(2.0) + norms(&means).transpose();
    let logits = values(&expanded.div_scalar(-2.0 * sigma * sigma));
    let careless: Vec<f64> = logits
        .chunks_exact(2)
        .map(|pair| 1.0 / (1.0 + (pair[0] - pair[1]).exp()))
        .collect();
    assert!(largest_difference(&careless, &expected) > 10.0 * tolerance);
}

#[test]
fn blocks_of_components_join() {
    // 64 * 1024 * 130 differences: three blocks of components together, one for a row alone.
    let (rows, pixels, components) = (64, 1024, 130);
    let means = single(exact_rng(1).normal([components, pixels]));
    let weights: Vec<f64> = (1..=components).map(|k| k as f64).collect();
    let spread = means.clone().square().add_scalar(0.1);
    let prior = GaussianMixture::diagonal(&weights, means, spread).unwrap();
    let x = prior.sample(rows, &mut Rng::seeded(2, &device()));
    // Far from a decision, a density near -1500 is rounded to 2^-13 a few times.
    let together = values(&prior.log_density(x.clone(), 3.0));
    let clean = values(&prior.denoise(x.clone(), 3.0));
    for row in [0, 40, 63] {
        let alone = x.clone().narrow(0, row, 1);
        let one = values(&prior.log_density(alone.clone(), 3.0));
        assert_close("density", &one, &together[row..=row], 2f64.powi(-11));
        let one = values(&prior.denoise(alone, 3.0));
        let expected = &clean[row * pixels..][..pixels];
        assert_close("denoiser", &one, expected, 1e-5);
    }
}

#[test]
fn a_covariance_rounded_to_single_precision_is_taken() {
    // Rank 20 of 48: rounding makes some eigenvalues negative, too much so for double precision.
    let factor = exact_rng(5).normal([48, 20]);
    let covariance = factor.clone().matmul(factor.transpose());
    let rounded = single(covariance.clone());
    let mean = exact_rng(6).normal([1, 48]);
    let x = exact_rng(7).normal([2, 48]).mul_scalar(3.0);
    assert!(FullGaussian::new(mean.clone(), rounded.clone().cast(DType::F64)).is_err());
    let build = |mean: &Tensor<2>, covariance: &Tensor<2>| {
        FullGaussian::new(mean.clone(), covariance.clone()).unwrap()
    };
    let expected = build(&mean, &covariance).denoise(x.clone(), 1.0);
    let got = build(&single(mean.clone()), &rounded).denoise(single(x.clone()), 1.0);
    // A change of the covariance moves D by at most its norm times |x - mean| / sigma^2. Beside it, numbers below 16
    // pass through two products of 48 terms, whose rounding adds up at random.
    let norm = |t: Tensor<2>| values(&t.square().sum())[0].sqrt();
    let moved = norm(rounded.cast(DType::F64) - covariance) * norm(x - mean);
    let tolerance = moved + 16.0 * 48f64.sqrt() * f64::from(f32::EPSILON);
    assert_close("denoiser", &values(&got), &values(&expected), tolerance);
}
