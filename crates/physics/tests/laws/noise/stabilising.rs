//! Transforms that make the variance 1, by exact expectations.

use tweedie_physics::{
    GammaNoise, LogPoissonNoise, PoissonGaussianNoise, PoissonNoise, VarianceStabiliser,
};
use tweedie_testkit::{assert_close, values};

use super::{column, poisson};

/// Mean and variance of values with weights.
fn moments(values: &[f64], weights: &[f64]) -> (f64, f64) {
    let total: f64 = weights.iter().sum();
    let mean = values.iter().zip(weights).map(|(v, w)| w * v).sum::<f64>() / total;
    let terms = values
        .iter()
        .zip(weights)
        .map(|(v, w)| w * (v - mean).powi(2));
    (mean, terms.sum::<f64>() / total)
}

/// Mean and variance of the stabilised measurement, and the clean one that its mean stands for.
fn stabilised(noise: &dyn VarianceStabiliser<2>, y: &[f64], weights: &[f64]) -> (f64, f64, f64) {
    let (mean, variance) = moments(&values(&noise.stabilise(column(y))), weights);
    let clean = values(&noise.clean_from_mean(column(&[mean])))[0];
    (mean, variance, clean)
}

const RATES: [f64; 8] = [4.0, 5.0, 6.5, 8.0, 12.0, 20.0, 50.0, 200.0];

#[test]
fn anscombe_makes_the_variance_one() {
    let gain = 0.2;
    let noise = PoissonNoise::new(gain).unwrap();
    for rate in RATES {
        let weights = poisson(rate);
        let y: Vec<f64> = (0..weights.len()).map(|k| gain * k as f64).collect();
        let (mean, variance, clean) = stabilised(&noise, &y, &weights);
        assert!(
            (variance - 1.0).abs() < 0.003,
            "{rate}: variance {variance}"
        );
        assert_close("mean", &[clean], &[gain * rate], 0.02 * gain);
        let plain_inverse = gain * (0.25 * mean * mean - 0.375);
        assert!(
            plain_inverse < gain * (rate - 0.2),
            "the plain inverse is biased"
        );
        let roots: Vec<f64> = y.iter().map(|y| 2.0 * (y / gain).sqrt()).collect();
        if rate < 8.0 {
            let without = moments(&roots, &weights).1;
            assert!((without - 1.0).abs() > 0.04, "without 3/8: {without}");
        }
    }
}

#[test]
fn the_inverse_holds_down_to_no_photons() {
    let noise = PoissonNoise::new(1.0).unwrap();
    for rate in [0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0] {
        let weights = poisson(rate);
        let y: Vec<f64> = (0..weights.len()).map(|k| k as f64).collect();
        let (_, _, clean) = stabilised(&noise, &y, &weights);
        assert_close("mean", &[clean], &[rate], 0.02);
    }
}

#[test]
fn counts_behind_a_logarithm_are_stabilised_alike() {
    let (photons, mu): (f64, f64) = (500.0, 0.7);
    let noise = LogPoissonNoise::new(photons, mu).unwrap();
    for rate in RATES {
        let weights = poisson(rate);
        let y: Vec<f64> = (0..weights.len())
            .map(|k| -((k as f64).max(0.1) / photons).ln() / mu)
            .collect();
        let (_, variance, clean) = stabilised(&noise, &y, &weights);
        assert!(
            (variance - 1.0).abs() < 0.003,
            "{rate}: variance {variance}"
        );
        let expected = -(rate / photons).ln() / mu;
        assert_close("clean", &[clean], &[expected], 0.02 / (mu * (rate - 0.02)));
    }
}

#[test]
fn the_least_mean_stands_for_the_darkest_measurement() {
    let noise = LogPoissonNoise::new(500.0, 0.7).unwrap();
    let darkest = 5000.0_f64.ln() / 0.7;
    let mean = noise.stabilise(column(&[darkest]));
    assert_close("root", &values(&mean), &[1.5_f64.sqrt()], 1e-14);
    let clean = values(&noise.clean_from_mean(mean));
    assert_close("clean", &clean, &[darkest], 1e-12);
}

#[test]
fn the_generalised_transform_makes_the_variance_one() {
    let gain = 0.2;
    for ratio in [0.3, 1.0, 3.0] {
        let noise = PoissonGaussianNoise::new(gain, gain * ratio).unwrap();
        for rate in RATES {
            let (mut y, mut weights) = (Vec::new(), Vec::new());
            for (k, p) in poisson(rate).into_iter().enumerate() {
                for i in -40..=40 {
                    let n = 0.2 * f64::from(i);
                    y.push(gain * (k as f64 + ratio * n));
                    weights.push(p * (-0.5 * n * n).exp());
                }
            }
            let (_, variance, clean) = stabilised(&noise, &y, &weights);
            assert!(
                (variance - 1.0).abs() < 0.05,
                "{ratio}, {rate}: variance {variance}"
            );
            assert_close("mean", &[clean], &[gain * rate], 0.04 * gain);
            let plain = moments(&y, &weights).1;
            let expected = gain * gain * (rate + ratio * ratio);
            assert_close("plain variance", &[plain], &[expected], 1e-9);
        }
    }
}

#[test]
fn the_logarithm_of_speckle_has_variance_one() {
    for looks in [0.7, 1.0, 2.5, 16.0] {
        let noise = GammaNoise::new(looks).unwrap();
        // In `t = ln g` the density is smooth: equal steps are exact to rounding.
        let (mut y, mut weights) = (Vec::new(), Vec::new());
        for i in -6000..=600 {
            let t = 0.01 * f64::from(i);
            y.push(0.7 * t.exp());
            weights.push((looks * (t - t.exp() + 1.0)).exp());
        }
        let (_, variance, clean) = stabilised(&noise, &y, &weights);
        assert_close("variance", &[variance], &[1.0], 1e-10);
        assert_close("clean", &[clean], &[0.7], 1e-10);
    }
}
