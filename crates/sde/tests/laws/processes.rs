//! Forward and reverse processes have the marginals they promise.

use burn::tensor::DType;
use tweedie_core::{
    Cosine, DdpmTable, GaussianPrior, Rng, Schedule, VarianceExploding, VariancePreserving,
};
use tweedie_sde::{Diffusion, Reverse, Sde, perturb, pure_noise};
use tweedie_testkit::{assert_z, device, exact, values, z_bound};

fn schedules() -> Vec<(&'static str, Box<dyn Schedule>)> {
    vec![
        (
            "exploding",
            Box::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        ),
        (
            "preserving",
            Box::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
        ("cosine", Box::new(Cosine::new(0.008, 1000.0).unwrap())),
        (
            "ddpm",
            Box::new(DdpmTable::linear(1000, 1e-4, 0.02).unwrap()),
        ),
    ]
}

/// The moments of a Gaussian prior obey the linear equations of the reverse process: with `m` and `v` the exact mean and
/// variance at `t`, `dm/dt = drift(m)` and `dv/dt = 2 (d drift/dx) v - alpha g^2`, the sign of the last term being that of
/// time run backwards. The slopes of `m` and `v` are central differences with step 1e-5.
#[test]
fn reverse_process_keeps_the_marginals_for_any_stochasticity() {
    let (mean, variance) = (0.7, 0.25);
    for (name, schedule) in schedules() {
        for alpha in [0.0, 0.3, 1.0] {
            let prior = GaussianPrior::new(exact::<2>(&[mean], [1, 1]), variance);
            let process = Reverse::new(&*schedule, prior, alpha);
            for t in [0.0503, 0.3007, 0.8001] {
                let drift = |x: f64| values(&process.drift(exact(&[x], [1, 1]), t))[0];
                let at = |t: f64| {
                    let (s, sigma) = (schedule.scale(t), schedule.sigma(t));
                    (s * mean, s * s * (variance + sigma * sigma))
                };
                let h = 1e-5;
                let (mean_slope, variance_slope) = (
                    (at(t + h).0 - at(t - h).0) / (2.0 * h),
                    (at(t + h).1 - at(t - h).1) / (2.0 * h),
                );
                let (m, v) = at(t);
                let slope = drift(m + 1.0) - drift(m);
                let g_sq = Sde::<2>::diffusion(&process, t).powi(2);
                let tolerance = |size: f64| 1e-6 * (1.0 + size.abs());
                assert!(
                    (drift(m) - mean_slope).abs() < tolerance(mean_slope),
                    "{name}, {alpha}, {t}"
                );
                let expected = 2.0 * slope * v - g_sq;
                assert!(
                    (expected - variance_slope).abs() < tolerance(variance_slope),
                    "{name}, alpha {alpha}, t {t}: {expected} and {variance_slope}"
                );
            }
        }
    }
}

#[test]
fn denoised_is_the_posterior_mean_of_the_scaled_state() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    let process = Reverse::new(schedule, prior, 1.0);
    let (s, sigma) = (schedule.scale(0.4), schedule.sigma(0.4));
    let x = -0.3;
    let expected = 0.7 + 0.25 / (0.25 + sigma * sigma) * (x / s - 0.7);
    let got = values(&process.denoised(exact(&[x], [1, 1]), 0.4))[0];
    assert!((got - expected).abs() < 1e-14);
}

#[test]
fn perturbed_images_have_the_kernel_as_their_law() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let t = 0.35;
    let (s, sigma) = (schedule.scale(t), schedule.sigma(t));
    let n = 40_000;
    let mut rng = Rng::seeded(8, &device()).with_dtype(DType::F64);
    let clean = exact(&vec![0.8; n], [n, 1]);
    let draws = values(&perturb(&schedule, clean, t, &mut rng));
    let count = n as f64;
    let mean = draws.iter().sum::<f64>() / count;
    let variance = draws.iter().map(|x| (x - s * 0.8).powi(2)).sum::<f64>() / count;
    let expected = (s * sigma).powi(2);
    let se = [(expected / count).sqrt(), expected * (2.0 / count).sqrt()];
    assert_z("kernel", &[mean, variance], &[s * 0.8, expected], &se);
    // Negative control: noise that is not scaled by s.
    assert!(((sigma * sigma - expected) / se[1]).abs() > z_bound(2));
}

#[test]
fn pure_noise_has_the_standard_deviation_of_its_time() {
    let schedule = VarianceExploding::new(0.01, 50.0).unwrap();
    let rng = || Rng::seeded(8, &device()).with_dtype(DType::F64);
    let unit = values(&rng().normal([2, 3]));
    let start = values(&pure_noise(&schedule, [2, 3], 1.0, &mut rng()));
    for (unit, start) in unit.iter().zip(start) {
        assert!((start - 50.0 * unit).abs() < 1e-12 * 50.0);
    }
}

#[test]
#[should_panic(expected = "stochasticity must lie in [0, 1], got 1.5")]
fn stochasticity_out_of_range_is_refused() {
    let prior = GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    Reverse::new(VariancePreserving::new(0.1, 20.0).unwrap(), prior, 1.5);
}
