//! The split Gibbs samplers have the law of their coupling, and are as far from the posterior as documented.

use burn::tensor::Tensor;
use tweedie_core::{Counted, GaussianPrior, Noise};
use tweedie_fidelity::L2;
use tweedie_physics::{ForwardOperator, FourierBlur, Identity, Inpainting, Saturation};
use tweedie_samplers::{
    Dpnp, DpnpConfig, Langevin, LangevinConfig, Measurement, PnpDm, PnpDmConfig, PosteriorSampler,
    SampleError,
};
use tweedie_solvers::Step;
use tweedie_testkit::{Moments, assert_close, assert_z, exact, values, z_bound};

use crate::support::{Diagonal, Probed, assert_rows_are_independent, laws, rng};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

/// The prior given `y = gain x + N(0, variance)`.
fn given(y: f64, gain: f64, variance: f64) -> Moments {
    let weight = PRIOR_VARIANCE * gain / (gain * gain * PRIOR_VARIANCE + variance);
    Moments {
        mean: PRIOR_MEAN + weight * (y - gain * PRIOR_MEAN),
        variance: PRIOR_VARIANCE * (1.0 - weight * gain),
    }
}

/// One level for all rounds.
pub(crate) fn at_level(rho: f64, iterations: usize, prior_steps: usize) -> PnpDmConfig {
    PnpDmConfig {
        iterations,
        rho_max: rho,
        rho_min: rho,
        decay: 1.0,
        prior_steps,
        sigma_min: 1e-4,
    }
}

#[test]
fn a_level_has_the_law_of_its_coupling() {
    let (rho, noise_std) = (0.5, 0.2);
    let (gains, y) = ([0.7, 1.3, 0.0], [0.9, 0.2, 0.0]);
    // A round keeps at most v/(v + rho^2) = 0.27 of the start: after 14 it is below 1e-7.
    let rounds = 14;
    let errors = |steps: usize| -> Vec<f64> {
        let calls = 1 + rounds * (steps + 1);
        let states = laws(&y, calls, 1.0, |y, (shape, noise, observe)| {
            let operator = Diagonal::new(&gains);
            let measurement = Measurement {
                operator,
                y,
                noise_std,
            };
            PnpDm::new(prior(), measurement, at_level(rho, rounds, steps))?
                .sample_with(shape, noise, observe)
        });
        let entries = states[rounds - 1].iter().enumerate();
        entries
            .flat_map(|(entry, law)| {
                let got = law.given_measurement();
                let coupled = (gains[entry] * rho).powi(2);
                let expected = given(y[entry], gains[entry], noise_std * noise_std + coupled);
                if gains[entry] > 0.0 {
                    let sharp = given(y[entry], gains[entry], noise_std * noise_std);
                    assert!((got.mean - sharp.mean).abs() > 0.05, "{got:?} {sharp:?}");
                }
                [
                    (got.mean - expected.mean).abs(),
                    (got.variance - expected.variance).abs(),
                ]
            })
            .collect()
    };
    let (coarse, fine) = (errors(20), errors(40));
    for (coarse, fine) in coarse.iter().zip(&fine) {
        // Second order: twice the steps, a quarter of the error.
        assert!(*fine < 2e-3, "{fine:e}");
        assert!(
            *fine < 0.4 * coarse || *fine < 1e-6,
            "{coarse:e}, then {fine:e}"
        );
    }
}

/// Noise that belongs to no step of time: a path would give each round the same.
struct Pathless<N>(N);

impl<N: Noise> Noise for Pathless<N> {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        self.0.normal(shape)
    }
    fn normal_over(&mut self, _: [usize; 4], from: f64, to: f64) -> Tensor<4> {
        panic!("noise from {from} to {to} was asked for");
    }
}

#[test]
fn rounds_have_noise_of_their_own() {
    let y = exact(&[0.8, 0.1], [1, 1, 1, 2]);
    let measurement = Measurement {
        operator: Identity,
        y,
        noise_std: 0.1,
    };
    let sampler = PnpDm::new(prior(), measurement, at_level(0.2, 3, 4)).unwrap();
    let shape = [2, 1, 1, 2];
    let got = sampler.sample_with(shape, &mut Pathless(rng(3)), &mut |_| ());
    let expected = sampler.sample(shape, &mut rng(3), &mut |_| ()).unwrap();
    assert_eq!(values(&got.unwrap()), values(&expected));
}

/// Error of the mean in standard deviations of the posterior, and ratio of the standard deviations.
fn departure(
    noise_std: f64,
    run: impl FnOnce(Measurement<Identity>, Probed<'_>) -> Result<Tensor<4>, SampleError>,
) -> [f64; 2] {
    let y = 1.1;
    let states = laws(&[y], 1 + 140 * 8, 1.0, |y, probed| {
        run(
            Measurement {
                operator: Identity,
                y,
                noise_std,
            },
            probed,
        )
    });
    let got = states[139][0].given_measurement();
    let expected = given(y, 1.0, noise_std * noise_std);
    let spread = expected.variance.sqrt();
    [
        (got.mean - expected.mean) / spread,
        got.variance.sqrt() / spread,
    ]
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, pnp_dm, dpnp) in [
        (0.05, [-0.10, 1.13], [-0.06, 1.06]),
        (0.2, [-0.02, 0.99], [-0.04, 0.99]),
        (0.8, [0.0, 0.98], [0.0, 0.98]),
    ] {
        let found = departure(noise_std, |measurement, (shape, noise, observe)| {
            PnpDm::new(prior(), measurement, PnpDmConfig::default())?
                .sample_with(shape, noise, observe)
        });
        assert_close(
            &format!("PnP-DM, noise {noise_std}"),
            &found,
            &pnp_dm,
            0.005,
        );
        let found = departure(noise_std, |measurement, (shape, noise, observe)| {
            Dpnp::new(prior(), measurement, DpnpConfig::default())?
                .sample_with(shape, noise, observe)
        });
        assert_close(&format!("DPnP, noise {noise_std}"), &found, &dpnp, 0.005);
    }
}

/// The couplings of a run.
pub(crate) fn couplings(sampler: &dyn PosteriorSampler, image: [usize; 3]) -> Vec<f64> {
    let [channels, height, width] = image;
    let mut seen = Vec::new();
    let mut observe = |step: Step<'_>| seen.push(step.span.from);
    sampler
        .sample([1, channels, height, width], &mut rng(1), &mut observe)
        .unwrap();
    seen
}

#[test]
fn a_noiseless_measurement_is_met() {
    let operator = Inpainting::new(exact(&[1.0, 0.0, 1.0, 1.0], [1, 1, 2, 2])).unwrap();
    let y = exact(&[0.2, 0.0, 0.7, 0.9], [1, 1, 2, 2]);
    let measurement = Measurement {
        operator: operator.clone(),
        y: y.clone(),
        noise_std: 0.0,
    };
    let config = PnpDmConfig::default();
    let sampler = PnpDm::new(prior(), measurement, config).unwrap();
    let got = sampler
        .sample([50, 1, 2, 2], &mut rng(5), &mut |_| ())
        .unwrap();
    let misfit = values(&(operator.forward(got) - y));
    // A seen pixel is y and a denoised noise of the last coupling.
    let bound = z_bound(150) * config.rho_min + config.rho_min.powi(2) / PRIOR_VARIANCE;
    assert!(misfit.iter().all(|error| error.abs() < bound), "{misfit:?}");
}

#[test]
fn saturated_pixels_have_the_law_of_their_coupling() {
    let (rho, noise_std, y) = (0.3, 0.1, 0.4);
    let operator = Saturation::smooth(2.0, 1.0, 8.0).unwrap();
    let data = L2::new(operator, exact(&[y], [1, 1, 1, 1]), noise_std).unwrap();
    let config = LangevinConfig {
        steps: 60,
        step_size: 4e-4,
        delta: 1.0,
    };
    let likelihood = Langevin::new(data, config).unwrap();
    let samples = 3000;
    // Even where the likelihood is flat, above white, a round keeps less than v/(v + rho^2) = 0.5 of the start.
    let config = PnpDmConfig {
        sigma_min: 1e-3,
        ..at_level(rho, 20, 40)
    };
    let sampler = PnpDm::new(prior(), likelihood, config).unwrap();
    let got = values(
        &sampler
            .sample([samples, 1, 1, 1], &mut rng(6), &mut |_| ())
            .unwrap(),
    );

    // The law of z by quadrature over both variables, on a grid that is fine beside all of its scales.
    let cells: Vec<f64> = (0..600)
        .map(|k| -1.0 + 0.005 * (f64::from(k) + 0.5))
        .collect();
    let softplus = |u: f64| u.exp().ln_1p();
    let seen = |x: f64| (softplus(16.0 * x) - softplus(16.0 * x - 8.0)) / 8.0;
    let likelihood = |x: f64| (-(seen(x) - y).powi(2) / (2.0 * noise_std * noise_std)).exp();
    let bell = |d: f64, variance: f64| (-d * d / (2.0 * variance)).exp();
    let law = |coupled: bool| {
        let weights: Vec<f64> = cells
            .iter()
            .map(|&z| {
                let smoothed: f64 = if coupled {
                    cells
                        .iter()
                        .map(|&x| likelihood(x) * bell(x - z, rho * rho))
                        .sum()
                } else {
                    likelihood(z)
                };
                smoothed * bell(z - PRIOR_MEAN, PRIOR_VARIANCE)
            })
            .collect();
        let total: f64 = weights.iter().sum();
        let moment = |f: &dyn Fn(f64) -> f64| {
            cells
                .iter()
                .zip(&weights)
                .map(|(&z, w)| f(z) * w)
                .sum::<f64>()
                / total
        };
        let mean = moment(&|z| z);
        let central = |k: i32| moment(&|z| (z - mean).powi(k));
        [mean, central(2), central(4)]
    };
    let [mean, variance, fourth] = law(true);
    let n = samples as f64;
    let got_mean = got.iter().sum::<f64>() / n;
    let got_variance = got.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
    let se = [
        (variance / n).sqrt(),
        ((fourth - variance * variance) / n).sqrt(),
    ];
    assert_z("coupled", &[got_mean, got_variance], &[mean, variance], &se);
    let [uncoupled, ..] = law(false);
    assert!((got_mean - uncoupled).abs() > z_bound(2) * se[0]);
}

#[test]
fn couplings_are_the_formulas() {
    let measurement = || Measurement {
        operator: Identity,
        y: exact(&[0.8], [1, 1, 1, 1]),
        noise_std: 0.1,
    };
    let config = PnpDmConfig {
        iterations: 4,
        rho_max: 1.0,
        rho_min: 0.2,
        decay: 0.5,
        ..PnpDmConfig::default()
    };
    let sampler = PnpDm::new(prior(), measurement(), config).unwrap();
    assert_eq!(couplings(&sampler, [1, 1, 1]), [1.0, 0.5, 0.25, 0.2]);
    let config = DpnpConfig {
        iterations: 10,
        eta_0: 1.0,
        eta_k: 1.0 / 256.0,
        sigma_min: 1e-3,
        ..DpnpConfig::default()
    };
    let sampler = Dpnp::new(prior(), measurement(), config).unwrap();
    let got = couplings(&sampler, [1, 1, 1]);
    let expected: Vec<f64> = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
        .map(|k| 0.5f64.powi(k))
        .into();
    assert_close("geometric", &got, &expected, 1e-14);
}

#[test]
fn evaluations_are_those_stated() {
    let counted = Counted::new(prior());
    let measurement = Measurement {
        operator: Identity,
        y: exact(&[0.8], [1, 1, 1, 1]),
        noise_std: 0.1,
    };
    let sampler = PnpDm::new(&counted, measurement.clone(), PnpDmConfig::default()).unwrap();
    sampler
        .sample([1, 1, 1, 1], &mut rng(1), &mut |_| ())
        .unwrap();
    assert_eq!(counted.evaluations(), 980);
    let sampler = Dpnp::new(&counted, measurement, DpnpConfig::default()).unwrap();
    sampler
        .sample([1, 1, 1, 1], &mut rng(1), &mut |_| ())
        .unwrap();
    assert_eq!(counted.evaluations(), 2 * 980);
}

fn small<L>(likelihood: L) -> PnpDm<GaussianPrior, L> {
    PnpDm::new(
        prior(),
        likelihood,
        PnpDmConfig {
            iterations: 4,
            ..PnpDmConfig::default()
        },
    )
    .unwrap()
}

fn langevin(step_size: f64) -> Langevin<L2<Identity>> {
    let data = L2::new(Identity, exact(&[0.2, 0.8], [1, 1, 1, 2]), 0.05).unwrap();
    Langevin::new(
        data,
        LangevinConfig {
            step_size,
            ..LangevinConfig::default()
        },
    )
    .unwrap()
}

#[test]
fn rows_are_independent() {
    let operator = FourierBlur::new(exact(&[0.5, 0.5], [1, 1, 1, 2]), [1, 2]).unwrap();
    let y = exact(&[0.2, 0.8], [1, 1, 1, 2]);
    let measurement = Measurement {
        operator,
        y,
        noise_std: 0.1,
    };
    assert_rows_are_independent(&small(measurement), [1, 1, 2]);
    assert_rows_are_independent(&small(langevin(1e-3)), [1, 1, 2]);
}

#[test]
fn a_step_size_too_large_is_named() {
    let run = |h| small(langevin(h)).sample([1, 1, 1, 2], &mut rng(1), &mut |_| ());
    assert!(run(1e-3).is_ok());
    match run(0.5).unwrap_err() {
        SampleError::Diverged {
            step: 1 | 2,
            steps: 4,
            advice,
            ..
        } => assert!(advice.contains("step_size")),
        other => panic!("{other}"),
    }
}

#[test]
fn bad_settings_are_refused() {
    let measurement = |noise_std| Measurement {
        operator: Identity,
        y: exact(&[0.8], [1, 1, 1, 1]),
        noise_std,
    };
    let good = PnpDmConfig::default();
    for (expected, config) in [
        (
            "rho_max",
            PnpDmConfig {
                rho_max: f64::NAN,
                ..good
            },
        ),
        (
            "rho_min",
            PnpDmConfig {
                rho_min: 6.0,
                ..good
            },
        ),
        (
            "rho_min",
            PnpDmConfig {
                rho_min: 0.0,
                ..good
            },
        ),
        ("decay", PnpDmConfig { decay: 1.1, ..good }),
        (
            "sigma_min",
            PnpDmConfig {
                sigma_min: 0.03,
                ..good
            },
        ),
        (
            "sigma_min",
            PnpDmConfig {
                sigma_min: 0.0,
                ..good
            },
        ),
    ] {
        match PnpDm::new(prior(), measurement(0.1), config).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let good = DpnpConfig::default();
    for (expected, config) in [
        ("eta_0", DpnpConfig { eta_0: 0.0, ..good }),
        ("eta_k", DpnpConfig { eta_k: 2.0, ..good }),
    ] {
        match Dpnp::new(prior(), measurement(0.1), config).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let zero = |config| PnpDm::new(prior(), measurement(0.1), config).err().unwrap();
    let good = PnpDmConfig::default();
    for (field, config) in [
        (
            "iterations",
            PnpDmConfig {
                iterations: 0,
                ..good
            },
        ),
        (
            "prior_steps",
            PnpDmConfig {
                prior_steps: 0,
                ..good
            },
        ),
    ] {
        assert_eq!(zero(config), SampleError::Zero { field });
    }
    for (expected, step_size, delta) in [
        ("step_size", 0.0, 1.0),
        ("delta", 1.0, 0.0),
        ("delta", 1.0, 1.5),
    ] {
        let config = LangevinConfig {
            steps: 1,
            step_size,
            delta,
        };
        match Langevin::new((), config).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let run =
        |noise_std, shape| small(measurement(noise_std)).sample(shape, &mut rng(1), &mut |_| ());
    assert!(matches!(
        run(-0.1, [1, 1, 1, 1]),
        Err(SampleError::Parameter {
            name: "noise_std",
            ..
        })
    ));
    assert!(matches!(
        run(0.1, [1, 1, 1, 2]),
        Err(SampleError::Mismatch { .. })
    ));
}
