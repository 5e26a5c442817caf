//! DDRM has the marginals of its construction, its exact limits, and the numbers of a reference.

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    GaussianPrior, GridError, Karras, PointMass, Schedule, TimeGrid, VarianceExploding,
    VariancePreserving,
};
use tweedie_physics::{ForwardOperator, FourierBlur, Inpainting, kernels};
use tweedie_samplers::{
    Ddrm, DdrmConfig, DiffusionSampler, Measurement, PosteriorSampler, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::Ddim;
use tweedie_testkit::{assert_close, device, exact, values};

use crate::support::{
    Diagonal, Golden, Replay, SHAPE, assert_departure, assert_rows_are_independent, departure,
    laws, rng,
};

/// Unmeasured, weak at all levels but the first, weak at some, strong at most, stronger than the image.
const S: [f64; 5] = [0.0, 0.05, 0.3, 1.0, 2.0];
const CLEAN: f64 = 0.3;
const NOISE_STD: f64 = 0.4;

fn schedules() -> [(&'static str, Arc<dyn Schedule>); 2] {
    [
        (
            "exploding",
            Arc::new(VarianceExploding::new(0.01, 20.0).unwrap()),
        ),
        (
            "preserving",
            Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
    ]
}

fn point(entries: usize) -> PointMass {
    PointMass::new(Tensor::full(
        [1, 1, 1, entries],
        CLEAN,
        (&device(), DType::F64),
    ))
}

/// Largest error of mean and variance of any state, relative to its noise level, over images and measurements.
fn marginal_error(schedule: &Arc<dyn Schedule>, config: DdrmConfig, gain: f64) -> f64 {
    let grid = TimeGrid::uniform(1.0, 0.01, 7).unwrap();
    let y = S.map(|s| s * CLEAN);
    let laws = laws(&y, 8, gain, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Diagonal::new(&S),
            y,
            noise_std: NOISE_STD,
        };
        Ddrm::new(
            schedule.clone(),
            point(S.len()),
            measurement,
            grid.clone(),
            config,
        )?
        .sample_with(shape, noise, observe)
    });
    assert_eq!(laws.len(), 7);
    let mut worst = 0f64;
    let kept = (1.0 - config.eta * config.eta).sqrt();
    // The start of an unmeasured entry is centred on black and not on the image.
    let mut offset = CLEAN / schedule.sigma(1.0);
    for (state, t) in laws.iter().zip(&grid.times()[1..]) {
        let (scale, sigma) = (schedule.scale(*t), schedule.sigma(*t));
        offset *= kept;
        for (index, entry) in state.iter().enumerate() {
            let law = entry.over_measurements(NOISE_STD);
            let unmeasured = if S[index] == 0.0 { offset } else { 0.0 };
            let mean = (law.mean / scale - CLEAN) / sigma + unmeasured;
            let variance = law.variance / (scale * sigma).powi(2) - 1.0;
            worst = worst.max(mean.abs()).max(variance.abs());
        }
    }
    worst
}

#[test]
fn states_have_the_marginals_of_the_construction_at_every_level() {
    for (name, schedule) in schedules() {
        for (eta, eta_b) in [(0.85, 1.0), (0.0, 1.0), (1.0, 0.0), (0.3, 0.6)] {
            let config = DdrmConfig { eta, eta_b };
            let error = marginal_error(&schedule, config, 1.0);
            assert!(error < 1e-11, "{name}, {config:?}: {error:e}");
        }
        // Negative control: noise divided by the root of two, as for complex coefficients.
        let error = marginal_error(&schedule, DdrmConfig::default(), 0.5f64.sqrt());
        assert!(error > 0.1, "{name}: {error:e}");
    }
}

#[test]
fn one_step_from_a_gaussian_prior_is_the_formula() {
    let (mean, variance, sigma): (f64, f64, f64) = (0.6, 0.09, 2.0);
    let grid = TimeGrid::new(vec![sigma, 0.5]).unwrap();
    let config = DdrmConfig {
        eta: 0.6,
        eta_b: 0.7,
    };
    // Weak at the start, strong at the start and weak at the end, strong at both, unmeasured.
    let s: [f64; 4] = [0.1, 0.5, 1.0, 0.0];
    let y = [0.2, 0.4, 0.9, 0.0];
    let laws = laws(&y, 2, 1.0, |y, (shape, noise, observe)| {
        let prior = GaussianPrior::new(exact(&[mean], [1, 1, 1, 1]), variance);
        let measurement = Measurement {
            operator: Diagonal::new(&s),
            y,
            noise_std: NOISE_STD,
        };
        Ddrm::new(
            Karras::new(sigma).unwrap(),
            prior,
            measurement,
            grid.clone(),
            config,
        )?
        .sample_with(shape, noise, observe)
    });
    let gain = variance / (variance + sigma * sigma);
    let kept = 0.8 * 0.5;
    for (index, law) in laws[0].iter().enumerate() {
        let n = NOISE_STD / s[index];
        let target = if s[index] > 0.0 {
            y[index] / s[index]
        } else {
            0.0
        };
        let (centre, spread) = match index {
            1 | 2 => (target, (sigma * sigma - n * n).sqrt()),
            _ => (0.0, sigma),
        };
        let denoised = mean + gain * (centre - mean);
        let (offset, start, fresh) = match index {
            2 => (
                0.3 * denoised + 0.7 * target,
                0.3 * gain * spread,
                (0.25 - 0.49 * n * n).sqrt(),
            ),
            3 => {
                let pull = kept / sigma;
                (
                    denoised + pull * (centre - denoised),
                    ((1.0 - pull) * gain + pull) * spread,
                    0.3,
                )
            }
            _ => {
                let pull = kept / n;
                (
                    denoised + pull * (target - denoised),
                    (1.0 - pull) * gain * spread,
                    0.3,
                )
            }
        };
        let got = [law.offset, law.noises[0], law.noises[1]];
        assert_close(
            &format!("entry {index}"),
            &got,
            &[offset, start, fresh],
            1e-14,
        );
    }
}

#[test]
fn noiseless_entries_are_the_measurement() {
    let operator = Inpainting::random([6, 5], 0.4, 3, (&device(), DType::F64)).unwrap();
    let mut numbers = rng(2);
    let y = operator.forward(numbers.uniform([2, 3, 6, 5]));
    let prior = GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05);
    let run = |eta_b| {
        let measurement = Measurement {
            operator: operator.clone(),
            y: y.clone(),
            noise_std: 0.0,
        };
        let config = DdrmConfig { eta: 0.85, eta_b };
        let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
        let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
        let sampler = Ddrm::new(schedule, prior.clone(), measurement, grid, config).unwrap();
        let sample = sampler
            .sample([2, 3, 6, 5], &mut rng(4), &mut |_| ())
            .unwrap();
        values(&operator.forward(sample))
    };
    assert_eq!(run(1.0), values(&y));
    // Negative control.
    assert_ne!(run(0.5), values(&y));
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
    let prior = GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05);
    let sampler = Ddrm::new(
        VariancePreserving::new(0.1, 20.0).unwrap(),
        prior,
        measurement,
        TimeGrid::uniform(1.0, 0.0, 5).unwrap(),
        DdrmConfig::default(),
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
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = || GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05);
    let grid = || TimeGrid::uniform(1.0, 0.0, 9).unwrap();
    let shape = [3, 1, 1, 2];
    let run = |eta| {
        let measurement = Measurement {
            operator: Diagonal::new(&[0.0, 0.0]),
            y: exact(&[4.0, -3.0], [1, 1, 1, 2]),
            noise_std: 0.1,
        };
        let config = DdrmConfig { eta, eta_b: 1.0 };
        let sampler = Ddrm::new(schedule, prior(), measurement, grid(), config).unwrap();
        values(&sampler.sample(shape, &mut rng(3), &mut |_| ()).unwrap())
    };
    let process = Reverse::flow(schedule, prior());
    let ddim = DiffusionSampler::new(process, Ddim::new(0.0).unwrap(), grid());
    let expected = values(&ddim.sample(shape, &mut rng(3), &mut |_| ()).unwrap());
    // The unscaled start is divided by a scale of 0.0066, which costs two digits.
    assert_close("image", &run(0.0), &expected, 1e-12);
    assert!(departure(&run(0.5), &expected) > 1e-2);
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.05, [0.09, 0.41]),
        (0.2, [0.42, 0.37]),
        (0.8, [0.54, 0.44]),
    ] {
        assert_departure(noise_std, documented, |case, (shape, noise, observe)| {
            let measurement = Measurement {
                operator: Diagonal::new(&[1.0]),
                y: case.y,
                noise_std,
            };
            let config = DdrmConfig::default();
            Ddrm::new(case.schedule, case.prior, measurement, case.grid, config)?
                .sample_with(shape, noise, observe)
        });
    }
}

#[test]
fn the_reference_is_followed_with_its_noise() {
    let golden = Golden::read();
    let run = &golden.runs[0];
    assert_eq!(
        (run.sampler.as_str(), run.operator.as_str()),
        ("DDRM", "inpaint")
    );
    let output = |gain: f64| {
        let noise: Vec<Vec<f64>> = run
            .noise
            .iter()
            .map(|draw| draw.iter().map(|z| z * gain).collect())
            .collect();
        let measurement = Measurement {
            operator: Inpainting::new(exact(&golden.mask, SHAPE)).unwrap(),
            y: exact(&run.y, SHAPE),
            noise_std: golden.noise_std,
        };
        let schedule = Karras::new(1.0).unwrap();
        let grid = TimeGrid::uniform(1.0, 0.0, 7).unwrap();
        let sampler = Ddrm::new(
            schedule,
            golden.prior(),
            measurement,
            grid,
            DdrmConfig::default(),
        )
        .unwrap();
        let mut noise = Replay(noise.into_iter());
        values(&sampler.sample_with(SHAPE, &mut noise, &mut |_| ()).unwrap())
    };
    // The reference divides all of its noise by the root of two; its singular values here are 0 and 1, all above its
    // noise.
    let error = departure(&output(0.5f64.sqrt()), &run.output);
    assert!(error < 1e-4, "{error:e}");
    let error = departure(&output(1.0), &run.output);
    assert!(error > 1e-2, "{error:e}");
}

fn small(
    config: DdrmConfig,
    noise_std: f64,
    from: f64,
) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05);
    Ddrm::new(
        schedule,
        prior,
        measurement,
        TimeGrid::uniform(from, 0.0, 5)?,
        config,
    )
}

#[test]
fn rows_are_independent() {
    let sampler = small(DdrmConfig::default(), 0.1, 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 3]);
}

#[test]
fn bad_settings_are_refused() {
    let config = |eta, eta_b| DdrmConfig { eta, eta_b };
    let parameter = |error: SampleError| match error {
        SampleError::Parameter { name, .. } => name,
        other => panic!("{other}"),
    };
    for (name, config, noise_std) in [
        ("eta", config(1.1, 1.0), 0.1),
        ("eta", config(f64::NAN, 1.0), 0.1),
        ("eta_b", config(0.5, -0.1), 0.1),
        ("noise_std", config(0.5, 1.0), -0.1),
        ("noise_std", config(0.5, 1.0), f64::INFINITY),
    ] {
        assert_eq!(
            parameter(small(config, noise_std, 1.0).err().unwrap()),
            name
        );
    }
    let error = small(DdrmConfig::default(), 0.1, 1.5).err().unwrap();
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(error, SampleError::Grid(beyond));
    let sampler = small(DdrmConfig::default(), 0.1, 1.0).unwrap();
    let error = sampler
        .sample([2, 1, 1, 4], &mut rng(1), &mut |_| ())
        .unwrap_err();
    let mismatch = SampleError::Mismatch {
        image: vec![2, 1, 1, 4],
        measurement: vec![1, 1, 1, 3],
    };
    assert_eq!(error, mismatch);
    assert!(serde_json::from_str::<DdrmConfig>(r#"{ "etab": 1.0 }"#).is_err());
}
