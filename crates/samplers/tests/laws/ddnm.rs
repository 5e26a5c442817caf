//! DDNM+ has the marginals of its construction and its exact limits.

use burn::tensor::DType;
use tweedie_core::{
    GaussianPrior, GridError, Karras, PointMass, Schedule, TimeGrid, VariancePreserving,
};
use tweedie_physics::{ForwardOperator, FourierBlur, Inpainting, kernels};
use tweedie_samplers::{
    DdnmConfig, DdnmPlus, DiffusionSampler, Measurement, PosteriorSampler, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Step};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::support::{
    Diagonal, assert_departure, assert_rows_are_independent, departure, laws, rng,
};

const S: [f64; 5] = [0.0, 0.05, 0.3, 1.0, 2.0];
const CLEAN: f64 = 0.3;
const NOISE_STD: f64 = 0.4;

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05)
}

/// Largest error of mean and variance after one step, relative to the noise level, over images and measurements. The
/// start is centred on black and not on the image: what it keeps of that is taken away.
///
/// One step only: the construction counts the noise of the measurement as fresh in each.
fn first_step_error(eta: f64, gain: f64) -> f64 {
    let grid = TimeGrid::uniform(1.0, 0.3, 1).unwrap();
    let y = S.map(|s| s * CLEAN);
    let laws = laws(&y, 2, gain, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&S),
            y,
            noise_std: NOISE_STD,
        };
        let point = PointMass::new(exact(&[CLEAN; 5], [1, 1, 1, 5]));
        DdnmPlus::new(
            schedule(),
            point,
            measurement,
            grid,
            DdnmConfig {
                eta,
                ..DdnmConfig::default()
            },
        )?
        .sample_with(shape, noise, observe)
    });
    let (scale, sigma) = (schedule().scale(0.3), schedule().sigma(0.3));
    let ratio = sigma / schedule().sigma(1.0);
    let kept = ratio * (1.0 - eta * eta * (1.0 - ratio * ratio)).sqrt();
    let mut worst = 0f64;
    for entry in &laws[0] {
        let law = entry.over_measurements(NOISE_STD);
        let mean = (law.mean / scale - (1.0 - kept) * CLEAN) / sigma;
        let variance = law.variance / (scale * sigma).powi(2) - 1.0;
        worst = worst.max(mean.abs()).max(variance.abs());
    }
    worst
}

#[test]
fn noise_of_the_measurement_replaces_fresh_noise() {
    for eta in [1.0, 0.85, 0.2] {
        let error = first_step_error(eta, 1.0);
        assert!(error < 1e-11, "{eta}: {error:e}");
    }
    // Negative control.
    assert!(first_step_error(1.0, 0.9) > 1e-2);
}

#[test]
fn the_measurement_enters_as_far_as_its_noise_allows() {
    let (from, to): (f64, f64) = (2.0, 0.5);
    let eta = 0.8;
    let y = [0.2, 0.4, 0.9];
    let s: [f64; 3] = [0.3, 1.0, 0.0];
    let grid = TimeGrid::new(vec![from, to]).unwrap();
    let laws = laws(&y, 2, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&s),
            y,
            noise_std: NOISE_STD,
        };
        let schedule = Karras::new(from).unwrap();
        DdnmPlus::new(
            schedule,
            prior(),
            measurement,
            grid,
            DdnmConfig {
                eta,
                ..DdnmConfig::default()
            },
        )?
        .sample_with(shape, noise, observe)
    });
    let fresh = 0.64 * (1.0 - 0.0625);
    let kept = 0.25 * f64::sqrt(1.0 - fresh);
    let gain = 0.05 / (0.05 + from * from);
    let denoised = 0.5 - gain * 0.5;
    for (index, law) in laws[0].iter().enumerate() {
        let n = NOISE_STD / s[index];
        let strength = to * fresh.sqrt();
        let (lambda, target, gamma) = match index {
            0 => (strength / ((1.0 - kept) * n), y[0] / s[0], 0.0),
            1 => {
                let gamma = strength * strength - ((1.0 - kept) * n).powi(2);
                (1.0, y[1], gamma)
            }
            _ => (0.0, 0.0, strength * strength),
        };
        let clean = denoised + lambda * (target - denoised);
        let start = (kept + (1.0 - kept) * (1.0 - lambda) * gain) * from;
        let got = [law.offset, law.noises[0]];
        let expected = [(1.0 - kept) * clean, start];
        assert_close(&format!("entry {index}"), &got, &expected, 1e-14);
        // A square root of a difference that is 0 but for rounding.
        assert_close("variance", &[law.noises[1].powi(2)], &[gamma], 1e-14);
    }
}

#[test]
fn noiseless_entries_are_the_measurement() {
    let operator = Inpainting::random([6, 5], 0.4, 3, (&device(), DType::F64)).unwrap();
    let y = operator.forward(rng(2).uniform([2, 3, 6, 5]));
    let run = |noise_std| {
        let measurement = Measurement {
            operator: operator.clone(),
            y: y.clone(),
            noise_std,
        };
        let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
        let config = DdnmConfig::default();
        let sampler = DdnmPlus::new(schedule(), prior(), measurement, grid, config).unwrap();
        let sample = sampler
            .sample([2, 3, 6, 5], &mut rng(4), &mut |_| ())
            .unwrap();
        values(&operator.forward(sample))
    };
    assert_eq!(run(0.0), values(&y));
    // Negative control.
    assert_ne!(run(0.1), values(&y));
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
    let sampler = DdnmPlus::new(
        schedule(),
        prior(),
        measurement,
        grid,
        DdnmConfig {
            eta: 0.0,
            ..DdnmConfig::default()
        },
    )
    .unwrap();
    let got = sampler
        .sample([2, 1, 5, 6], &mut rng(4), &mut |_| ())
        .unwrap();
    // The least singular value is above 0.05, and transforms of 30 pixels lose a few digits.
    assert_close("image", &values(&got), &values(&clean), 1e-12);
}

#[test]
fn without_a_measurement_it_is_ddim() {
    let grid = || TimeGrid::uniform(1.0, 0.0, 9).unwrap();
    let shape = [3, 1, 1, 2];
    let run = |s: f64, eta| {
        let measurement = Measurement {
            operator: Diagonal::new(&[s, s]),
            y: exact(&[4.0, -3.0], [1, 1, 1, 2]),
            noise_std: 0.1,
        };
        let config = DdnmConfig {
            eta,
            ..DdnmConfig::default()
        };
        let sampler = DdnmPlus::new(schedule(), prior(), measurement, grid(), config).unwrap();
        values(&sampler.sample(shape, &mut rng(3), &mut |_| ()).unwrap())
    };
    for eta in [0.3, 1.0] {
        let process = Reverse::flow(schedule(), prior());
        let ddim = DiffusionSampler::new(process, Ddim::new(eta).unwrap(), grid());
        let expected = values(&ddim.sample(shape, &mut rng(3), &mut |_| ()).unwrap());
        // The unscaled start is divided by a scale of 0.0066, which costs two digits.
        assert_close("image", &run(0.0, eta), &expected, 1e-12);
        assert!(departure(&run(1.0, eta), &expected) > 1e-2);
    }
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.05, [0.25, 0.09]),
        (0.2, [0.86, 0.08]),
        (0.8, [1.22, 0.11]),
    ] {
        assert_departure(noise_std, documented, |case, (shape, noise, observe)| {
            let measurement = Measurement {
                operator: Diagonal::new(&[1.0]),
                y: case.y,
                noise_std,
            };
            let config = DdnmConfig::default();
            DdnmPlus::new(case.schedule, case.prior, measurement, case.grid, config)?
                .sample_with(shape, noise, observe)
        });
    }
}

/// Steps of a run with time travel over `steps` of a grid, and of each entry after each of them the variance over that
/// of its noise level, for a point mass that is not measured.
fn travelled(steps: usize, travel_length: usize, travel_repeat: usize) -> Vec<([f64; 2], f64)> {
    let grid = TimeGrid::uniform(1.0, 0.1, steps).unwrap();
    let walked = (steps - 1) * travel_repeat + 1;
    let mut spans = Vec::new();
    let laws = laws(&[0.0], 2 * walked + 1, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&[0.0]),
            y,
            noise_std: 0.1,
        };
        let config = DdnmConfig {
            eta: 0.7,
            travel_length,
            travel_repeat,
        };
        let point = PointMass::new(exact(&[0.0], [1, 1, 1, 1]));
        let mut both = |step: Step<'_>| {
            spans.push([step.span.from, step.span.to]);
            observe(step);
        };
        DdnmPlus::new(schedule(), point, measurement, grid, config)?
            .sample_with(shape, noise, &mut both)
    });
    let variance = |index: usize| {
        let to = spans[index][1];
        let level = schedule().scale(to) * schedule().sigma(to);
        laws[index][0].given_measurement().variance / (level * level)
    };
    (0..spans.len())
        .map(|index| (spans[index], variance(index)))
        .collect()
}

#[test]
fn time_travel_keeps_the_noise_level() {
    for (steps, length, repeat) in [(5, 1, 1), (5, 2, 3), (8, 3, 2), (4, 9, 5)] {
        for (span, ratio) in travelled(steps, length, repeat) {
            let error = (ratio - 1.0).abs();
            assert!(
                error < 1e-12,
                "{steps}, {length}, {repeat}, {span:?}: {error:e}"
            );
        }
    }
}

#[test]
fn time_travel_makes_blocks_from_the_end_and_the_last_step_once() {
    let order = |steps: usize, length, repeat| -> Vec<usize> {
        let at = |time: f64| ((1.0 - time) / 0.9 * steps as f64).round() as usize;
        let walked = travelled(steps, length, repeat);
        walked.iter().map(|(span, _)| at(span[0])).collect()
    };
    assert_eq!(order(5, 2, 2), [0, 1, 0, 1, 2, 3, 2, 3, 4]);
    assert_eq!(order(6, 2, 2), [0, 1, 2, 1, 2, 3, 4, 3, 4, 5]);
    assert_eq!(order(3, 1, 3), [0, 0, 0, 1, 1, 1, 2]);
    assert_eq!(order(4, 9, 5), [0, 1, 2, 3]);
    assert_eq!(order(4, 2, 1), [0, 1, 2, 3]);
}

#[test]
fn bad_travels_are_refused() {
    for (expected, travel_length, travel_repeat) in
        [("travel_length", 0, 2), ("travel_repeat", 2, 0)]
    {
        let measurement = Measurement {
            operator: Diagonal::new(&[1.0]),
            y: exact(&[0.5], [1, 1, 1, 1]),
            noise_std: 0.1,
        };
        let config = DdnmConfig {
            travel_length,
            travel_repeat,
            ..DdnmConfig::default()
        };
        let grid = TimeGrid::uniform(1.0, 0.0, 5).unwrap();
        match DdnmPlus::new(schedule(), prior(), measurement, grid, config)
            .err()
            .unwrap()
        {
            SampleError::Zero { field } => assert_eq!(field, expected),
            other => panic!("{other}"),
        }
    }
}

fn small(eta: f64, noise_std: f64, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    DdnmPlus::new(
        schedule(),
        prior(),
        measurement,
        grid,
        DdnmConfig {
            eta,
            ..DdnmConfig::default()
        },
    )
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
        ("noise_std", 0.5, f64::NAN),
    ] {
        match small(eta, noise_std, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    assert!(small(0.0, 0.0, 1.0).is_ok());
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(
        small(1.0, 0.1, 1.5).err().unwrap(),
        SampleError::Grid(beyond)
    );
    let sampler = small(1.0, 0.1, 1.0).unwrap();
    let error = sampler
        .sample([2, 1, 1, 4], &mut rng(1), &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, SampleError::Mismatch { .. }), "{error}");
}
