//! Forward and reverse processes have the marginals they promise.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Cosine, DdpmTable, GaussianPrior, Rng, Schedule, VarianceExploding, VariancePreserving,
};
use tweedie_sde::{
    Diffusion, General, Process, ProcessError, Reverse, Sde, perturb, pure_noise, transition,
};
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
            let process = Reverse::new(&*schedule, prior, alpha).unwrap();
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
    let process = Reverse::sde(schedule, prior);
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
fn stochasticity_may_vary_with_time() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = || GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    let varying = Reverse::varying(schedule, prior(), |t| t * t).unwrap();
    for t in [0.1, 0.5, 1.0] {
        let constant = Reverse::new(schedule, prior(), t * t).unwrap();
        assert_eq!(
            Sde::<2>::diffusion(&varying, t),
            Sde::<2>::diffusion(&constant, t)
        );
        let x = || exact(&[-0.3], [1, 1]);
        assert_eq!(
            values(&varying.drift(x(), t)),
            values(&constant.drift(x(), t))
        );
    }
}

#[test]
fn stochasticity_out_of_range_is_refused() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = || GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    for alpha in [1.5, -0.1, f64::NAN] {
        assert!(Reverse::new(schedule, prior(), alpha).is_err(), "{alpha}");
    }
    let error = Reverse::varying(schedule, prior(), |t| 2.0 * t).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("must lie in [0, 1], found 1.002 at time 0.501"),
        "{message}"
    );
}

/// `x + step drift(x, t)` in the cheaper form and in the general one.
#[test]
fn advancing_is_eulers_step() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    let process = Reverse::new(schedule, prior, 0.4).unwrap();
    let x = || exact(&[-0.3, 1.2], [2, 1]);
    for t in [0.05, 0.6] {
        let drift = values(&process.drift(x(), t));
        let got = values(&process.advance(x(), t, -0.02));
        for ((got, drift), x) in got.iter().zip(drift).zip(values(&x())) {
            assert!((got - (x - 0.02 * drift)).abs() < 1e-13);
        }
    }
}

/// Gives the same number for all noise.
struct Constant(f64);
impl tweedie_core::Noise<2> for Constant {
    fn normal(&mut self, shape: [usize; 2]) -> Tensor<2> {
        exact(&vec![self.0; shape[0] * shape[1]], shape)
    }
}

#[test]
fn transitions_compose_to_the_kernel() {
    for (name, schedule) in schedules() {
        // One pixel through three transitions: the mean and the variance add up to those of a single one.
        let times = [0.0, 0.2, 0.5, 0.9];
        let step = |x: f64, z: f64, from: f64, to: f64| {
            values(&transition(
                &*schedule,
                exact(&[x], [1, 1]),
                from,
                to,
                &mut Constant(z),
            ))[0]
        };
        let (mut mean, mut variance) = (0.8, 0.0);
        for pair in times.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let noise = step(0.0, 1.0, from, to);
            let scale = step(1.0, 0.0, from, to);
            mean *= scale;
            variance = scale * scale * variance + noise * noise;
        }
        let (s, sigma, least) = (
            schedule.scale(0.9),
            schedule.sigma(0.9),
            schedule.sigma(0.0),
        );
        let expected = s * s * (sigma * sigma - least * least);
        assert!((mean - 0.8 * s).abs() < 1e-13, "{name}: {mean}");
        assert!(
            (variance / expected - 1.0).abs() < 1e-12,
            "{name}: {variance} {expected}"
        );
    }
}

#[test]
fn transitions_of_a_table_are_its_chain() {
    let table = DdpmTable::new(&[0.1, 0.02, 0.3]).unwrap();
    for (k, beta) in [0.1f64, 0.02, 0.3].into_iter().enumerate() {
        let (from, to) = (k as f64 / 3.0, (k + 1) as f64 / 3.0);
        let at = |x: f64, z: f64| {
            values(&transition(
                &table,
                exact(&[x], [1, 1]),
                from,
                to,
                &mut Constant(z),
            ))[0]
        };
        assert!((at(1.0, 0.0) - (1.0 - beta).sqrt()).abs() < 1e-14, "{k}");
        assert!((at(0.0, 1.0) - beta.sqrt()).abs() < 1e-14, "{k}");
    }
}

#[test]
fn an_equation_of_closures_is_what_they_say() {
    let process = General::new(2.0, |x: Tensor<2>, t| x.mul_scalar(t), |t| t + 1.0).unwrap();
    assert_eq!(values(&process.drift(exact(&[3.0], [1, 1]), 0.5)), [1.5]);
    assert_eq!(
        values(&process.advance(exact(&[3.0], [1, 1]), 0.5, -1.0)),
        [1.5]
    );
    assert_eq!(
        (Sde::<2>::diffusion(&process, 0.5), process.horizon()),
        (1.5, 2.0)
    );
    let refused = General::new(0.0, |x: Tensor<2>, _| x, |_| 1.0).unwrap_err();
    assert_eq!(refused, ProcessError::Horizon { found: 0.0 });
}
