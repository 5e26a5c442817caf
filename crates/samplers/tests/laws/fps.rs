//! FPS draws each state from its Gaussian condition, and its measurements have the noise of the states.

use burn::tensor::DType;
use tweedie_core::{
    GaussianPrior, GridError, Karras, PointMass, Schedule, TimeGrid, VariancePreserving,
};
use tweedie_physics::{ForwardOperator, FourierBlur, Inpainting, kernels};
use tweedie_samplers::{Fps, FpsConfig, Measurement, PosteriorSampler, SampleError};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, integrate};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::{
    pair::{self, Law},
    support::{Diagonal, assert_rows_are_independent, departure, laws, rng},
};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

#[test]
fn a_step_is_the_product_of_both_gaussians() {
    let (from, to): (f64, f64) = (2.0, 0.5);
    let (eta, noise_std): (f64, f64) = (0.8, 0.4);
    let s: [f64; 3] = [0.3, 2.0, 0.0];
    let y = [0.2, 0.9, 0.0];
    let laws = laws(&y, 4, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&s),
            y,
            noise_std,
        };
        let grid = TimeGrid::new(vec![from, to]).unwrap();
        let schedule = Karras::new(from).unwrap();
        Fps::new(schedule, prior(), measurement, grid, FpsConfig { eta })?
            .sample_with(shape, noise, observe)
    });
    let renewed = eta * eta * (1.0 - (to / from).powi(2));
    let (kept, strength) = (to / from * (1.0 - renewed).sqrt(), to * renewed.sqrt());
    let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + from * from);
    for (index, law) in laws[0].iter().enumerate() {
        // Precisions add up.
        let s = s[index];
        let precision = strength.powi(-2) + s * s * noise_std.powi(-2);
        let of_mean = strength.powi(-2) / precision;
        let of_target = s * noise_std.powi(-2) / precision;
        let mean = (1.0 - kept) * (1.0 - gain) * PRIOR_MEAN;
        let got = [
            law.offset,
            law.measurement,
            law.noises[0],
            law.noises[1],
            law.noises[2],
            law.noises[3],
        ];
        let expected = [
            of_mean * mean + of_target * y[index],
            of_target,
            of_mean * (kept + (1.0 - kept) * gain) * from,
            of_target * s * kept * from,
            of_target * s * strength,
            precision.powf(-0.5),
        ];
        assert_close(&format!("entry {index}"), &got, &expected, 1e-13);
    }
}

/// Largest error of the law of a state given `y` and a known image, relative to its noise level. Where the measurement
/// has no noise the state is that of `y`.
fn noised_measurement_error(eta: f64, level: f64) -> f64 {
    let clean = 0.3;
    let y = [0.4 * clean, 2.0 * clean];
    let grid = TimeGrid::uniform(1.0, 0.05, 7).unwrap();
    let laws = laws(&y, 22, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&[0.4, 2.0]),
            y,
            noise_std: 0.0,
        };
        let point = PointMass::new(exact(&[clean; 2], [1, 1, 1, 2]));
        Fps::new(
            schedule(),
            point,
            measurement,
            grid.clone(),
            FpsConfig { eta },
        )?
        .sample_with(shape, noise, observe)
    });
    let mut worst = 0f64;
    for (state, t) in laws.iter().zip(&grid.times()[1..]) {
        let (scale, sigma) = (schedule().scale(*t), schedule().sigma(*t) * level);
        for entry in state {
            let law = entry.given_measurement();
            let mean = (law.mean / scale - clean) / sigma;
            let variance = law.variance / (scale * sigma).powi(2) - 1.0;
            worst = worst.max(mean.abs()).max(variance.abs());
        }
    }
    worst
}

#[test]
fn measurements_have_the_noise_of_their_level() {
    for eta in [0.0, 0.6, 1.0] {
        let error = noised_measurement_error(eta, 1.0);
        assert!(error < 1e-12, "{eta}: {error:e}");
    }
    // Negative control.
    assert!(noised_measurement_error(0.6, 0.99) > 0.01);
}

#[test]
fn a_noiseless_measurement_holds() {
    let mask = Inpainting::random([6, 5], 0.4, 3, (&device(), DType::F64)).unwrap();
    let y = mask.forward(rng(2).uniform([2, 3, 6, 5]));
    let run = |noise_std, eta| {
        let measurement = Measurement {
            operator: mask.clone(),
            y: y.clone(),
            noise_std,
        };
        let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
        let sampler = Fps::new(schedule(), prior(), measurement, grid, FpsConfig { eta }).unwrap();
        let sample = sampler
            .sample([2, 3, 6, 5], &mut rng(4), &mut |_| ())
            .unwrap();
        values(&mask.forward(sample))
    };
    assert_eq!(run(0.0, 1.0), values(&y));
    assert_eq!(run(0.0, 0.0), values(&y));
    // Negative control.
    assert_ne!(run(0.1, 1.0), values(&y));
}

#[test]
fn a_noiseless_blur_is_undone_in_its_own_basis() {
    let kernel = kernels::gaussian([3, 3], [0.5, 0.6], 0.0, (&device(), DType::F64)).unwrap();
    let operator = FourierBlur::new(kernel.unsqueeze(), [5, 6]).unwrap();
    let clean = rng(1).uniform([2, 1, 5, 6]);
    let measurement = Measurement {
        y: operator.forward(clean.clone()),
        operator,
        noise_std: 0.0,
    };
    let grid = TimeGrid::uniform(1.0, 0.0, 5).unwrap();
    let config = FpsConfig::default();
    let sampler = Fps::new(schedule(), prior(), measurement, grid, config).unwrap();
    let got = sampler
        .sample([2, 1, 5, 6], &mut rng(4), &mut |_| ())
        .unwrap();
    // The least singular value is above 0.05, and transforms of 30 pixels lose a few digits.
    assert_close("image", &values(&got), &values(&clean), 1e-12);
}

#[test]
fn without_a_measurement_it_has_the_law_of_ddim() {
    let grid = || TimeGrid::uniform(1.0, 0.0, 9).unwrap();
    let of = |s: [f64; 2]| {
        pair::law(20, |shape, noise| {
            let measurement = Measurement {
                operator: Diagonal::new(&s),
                y: exact(&[4.0, -3.0], [1, 1, 1, 2]),
                noise_std: 0.1,
            };
            let config = FpsConfig { eta: 0.6 };
            Fps::new(schedule(), pair::prior(), measurement, grid(), config)?.sample_with(
                shape,
                noise,
                &mut |_| (),
            )
        })
    };
    let ddim = pair::law(10, |shape, noise| {
        let spread = schedule().scale(1.0) * schedule().sigma(1.0);
        let start = noise.normal(shape).mul_scalar(spread);
        let process = Reverse::flow(schedule(), pair::prior());
        let solver = Ddim::new(0.6)?;
        Ok(integrate(&process, &solver, start, &grid(), noise, |_| ())?)
    });
    let flat = |law: Law| [&law.mean[..], &law.spread[..]].concat();
    assert_close("law", &flat(of([0.0, 0.0])), &flat(ddim), 1e-12);
    assert!(departure(&flat(of([0.3, 0.0])), &flat(ddim)) > 1e-2);
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, steps, documented) in [
        (0.0, 100, [0.0, 0.0, -0.90, 1.17]),
        (0.05, 100, [-0.29, 1.08, -0.86, 1.16]),
        (0.2, 100, [-0.15, 0.94, -0.45, 1.06]),
        (0.8, 100, [0.14, 0.88, 0.05, 0.92]),
        (0.2, 400, [-0.06, 0.94, -0.41, 1.09]),
    ] {
        let law = pair::law(2 * steps + 1, |shape, noise| {
            let (data, grid) = (pair::measurement(noise_std), pair::grid(steps));
            Fps::new(
                pair::schedule(),
                pair::prior(),
                data,
                grid,
                FpsConfig::default(),
            )?
            .sample_with(shape, noise, &mut |_| ())
        });
        let name = format!("noise {noise_std}, {steps} steps");
        pair::assert_departures(&name, law, noise_std, documented);
    }
}

fn small(eta: f64, noise_std: f64, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    Fps::new(schedule(), prior(), measurement, grid, FpsConfig { eta })
}

#[test]
fn rows_are_independent() {
    assert_rows_are_independent(&small(1.0, 0.1, 1.0).unwrap(), [1, 1, 3]);
}

#[test]
fn bad_settings_are_refused() {
    for (expected, eta, noise_std) in [
        ("eta", 1.1, 0.1),
        ("eta", f64::NAN, 0.0),
        ("eta", 0.0, 0.1),
        ("noise_std", 0.5, -0.1),
    ] {
        match small(eta, noise_std, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    let error = small(1.0, 0.1, 1.5).err().unwrap();
    assert_eq!(error, SampleError::Grid(beyond));
    let sampler = small(1.0, 0.1, 1.0).unwrap();
    let error = sampler
        .sample([2, 1, 1, 4], &mut rng(1), &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, SampleError::Mismatch { .. }), "{error}");
    assert!(serde_json::from_str::<FpsConfig>(r#"{ "etab": 1.0 }"#).is_err());
}
