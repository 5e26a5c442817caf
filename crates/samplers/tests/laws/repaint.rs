//! RePaint puts the measurement into its pixels, and resampling brings the others to the posterior.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Counted, GaussianPrior, GridError, Karras, Schedule, TimeGrid, VariancePreserving,
};
use tweedie_physics::{ForwardOperator, Inpainting};
use tweedie_samplers::{Measurement, PosteriorSampler, Repaint, RepaintConfig, SampleError};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::{
    pair::{self, Law},
    support::{Replay, assert_rows_are_independent, departure, rng},
};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

fn config(jump_length: usize, resampling: usize) -> RepaintConfig {
    RepaintConfig {
        jump_length,
        resampling,
        eta: 1.0,
    }
}

#[test]
fn steps_are_the_formula() {
    // Above the noise of the measurement, below it, and without noise.
    let levels: [f64; 4] = [2.0, 0.8, 0.1, 0.0];
    let (eta, y): (f64, f64) = (0.6, 1.1);
    let shape = [1, 1, 1, 2];
    let mut numbers = rng(1);
    let [start, first, second] = [(); 3].map(|()| values(&numbers.normal(shape)));
    for noise_std in [0.0, 0.3] {
        let data = Measurement {
            y: exact(&[y, 0.0], shape),
            ..pair::measurement(noise_std)
        };
        let grid = TimeGrid::new(levels.to_vec()).unwrap();
        let config = RepaintConfig {
            eta,
            ..config(1, 1)
        };
        let schedule = Karras::new(2.0).unwrap();
        let sampler = Repaint::new(schedule, prior(), data, grid, config).unwrap();
        let draws = vec![start.clone(), first.clone(), second.clone()];
        let mut states = Vec::new();
        sampler
            .sample_with(shape, &mut Replay(draws.into_iter()), &mut |step| {
                states.push(values(step.state));
            })
            .unwrap();
        let mut u = [2.0 * start[0], 2.0 * start[1]];
        for (index, pair) in levels.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            let fresh = [&first[..], &second[..], &[0.0, 0.0]][index];
            let renewed = eta * eta * (1.0 - (to / from).powi(2));
            let kept = to / from * (1.0 - renewed).sqrt();
            let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + from * from);
            for pixel in 0..2 {
                let denoised = PRIOR_MEAN + gain * (u[pixel] - PRIOR_MEAN);
                u[pixel] =
                    kept * u[pixel] + (1.0 - kept) * denoised + to * renewed.sqrt() * fresh[pixel];
            }
            if to >= noise_std {
                u[0] = y + (to * to - noise_std * noise_std).sqrt() * fresh[0];
            }
            let name = format!("noise {noise_std}, step {index}");
            assert_close(&name, &states[index], &u, 1e-14);
        }
    }
}

#[test]
fn known_pixels_are_the_measurement() {
    let mask = Inpainting::random([6, 5], 0.4, 3, (&device(), DType::F64)).unwrap();
    let y: Tensor<4> = mask.forward(rng(2).uniform([2, 3, 6, 5]));
    let run = |noise_std| {
        let measurement = Measurement {
            operator: mask.clone(),
            y: y.clone(),
            noise_std,
        };
        let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
        let sampler = Repaint::new(schedule(), prior(), measurement, grid, config(2, 3)).unwrap();
        let sample = sampler
            .sample([2, 3, 6, 5], &mut rng(4), &mut |_| ())
            .unwrap();
        values(&mask.forward(sample))
    };
    assert_eq!(run(0.0), values(&y));
    // Negative control.
    assert_ne!(run(0.1), values(&y));
}

fn pair_law(noise_std: f64, steps: usize, config: RepaintConfig) -> Law {
    let jumps = steps / config.jump_length + 1;
    let calls = 1 + config.resampling * (steps + jumps);
    pair::law(calls, |shape, noise| {
        let (data, grid) = (pair::measurement(noise_std), pair::grid(steps));
        Repaint::new(pair::schedule(), pair::prior(), data, grid, config)?.sample_with(
            shape,
            noise,
            &mut |_| (),
        )
    })
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, jump_length, resampling, documented) in [
        (0.0, 10, 1, [0.0, 0.0, -0.90, 1.12]),
        (0.0, 10, 3, [0.0, 0.0, -0.44, 1.02]),
        (0.0, 10, 10, [0.0, 0.0, -0.17, 0.96]),
        (0.0, 1, 10, [0.0, 0.0, -0.10, 0.94]),
        (0.05, 10, 1, [-0.28, 1.06, -0.82, 1.09]),
        (0.05, 10, 10, [-0.19, 1.06, -0.51, 1.06]),
        (0.05, 1, 10, [-0.09, 1.06, -0.12, 0.95]),
        (0.2, 10, 1, [-0.21, 0.92, -0.34, 0.97]),
        (0.2, 1, 10, [-0.05, 0.91, -0.08, 0.94]),
    ] {
        let law = pair_law(noise_std, 100, config(jump_length, resampling));
        let name = format!("noise {noise_std}, jumps of {jump_length}, {resampling} times");
        pair::assert_departures(&name, law, noise_std, documented);
    }
}

#[test]
fn resampling_brings_the_other_pixel_to_the_posterior() {
    let errors = |jump_length: usize, counts: &[usize]| -> Vec<f64> {
        let of = |&count: &usize| {
            let law = pair_law(0.0, 100, config(jump_length, count));
            pair::departures(law, 0.0)[2].abs()
        };
        counts.iter().map(of).collect()
    };
    let counts = [1, 2, 4, 8, 16];
    let falling = errors(5, &counts);
    for pair in falling.windows(2) {
        assert!(pair[1] < 0.7 * pair[0], "{falling:?}");
    }
    assert!(falling[4] < 0.1, "{falling:?}");
    // Negative control: jumps over nearly all of the run, from one sample of the prior to the next.
    let long = errors(90, &counts[..3]);
    assert!(long[2] > 0.7 * long[0], "{long:?}");
}

fn small(
    config: RepaintConfig,
    noise_std: f64,
    from: f64,
) -> Result<impl PosteriorSampler, SampleError> {
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    let data = pair::measurement(noise_std);
    Repaint::new(schedule(), pair::prior(), data, grid, config)
}

#[test]
fn rows_are_independent() {
    assert_rows_are_independent(&small(config(2, 2), 0.1, 1.0).unwrap(), [1, 1, 2]);
}

#[test]
fn each_step_is_one_evaluation() {
    let evaluations = |noise_std, config| {
        let prior = Counted::new(pair::prior());
        let grid = TimeGrid::uniform(1.0, 0.0, 9).unwrap();
        let data = pair::measurement(noise_std);
        let sampler = Repaint::new(schedule(), &prior, data, grid, config).unwrap();
        sampler
            .sample([2, 1, 1, 2], &mut rng(1), &mut |_| ())
            .unwrap();
        prior.evaluations()
    };
    assert_eq!(evaluations(0.0, config(1, 1)), 9);
    assert_eq!(evaluations(0.0, config(2, 1)), 9);
    // Two whole blocks of three after one of two that is made once, as is the last step.
    assert_eq!(evaluations(0.0, config(3, 4)), 2 + 4 * 6 + 1);
    // The second block goes below the noise of the measurement.
    let noise_std = schedule().sigma(3.0 / 9.0);
    assert_eq!(evaluations(noise_std, config(3, 4)), 2 + 4 * 3 + 3 + 1);
    // The first block ends at that very level, where the known pixels are still the measurement.
    let end = TimeGrid::uniform(1.0, 0.0, 9).unwrap().times()[5];
    let noise_std = schedule().sigma(end);
    assert_eq!(evaluations(noise_std, config(3, 4)), 2 + 4 * 3 + 3 + 1);
    // All levels are below.
    assert_eq!(evaluations(1e9, config(3, 4)), 9);
}

#[test]
fn a_measurement_of_noise_alone_leaves_the_prior() {
    let law = pair_law(1e9, 100, config(10, 3));
    let flat = |law: Law| [&law.mean[..], &law.spread[..]].concat();
    let exact = flat(pair::posterior(1e9));
    // 100 steps of DDPM make the variance too small by an eighth.
    let error = departure(&flat(law), &exact);
    assert!(error < 0.015, "{error}");
    let known = flat(pair_law(0.0, 100, config(10, 3)));
    assert!(departure(&known, &exact) > 0.1);
}

#[test]
fn bad_settings_are_refused() {
    let eta = |eta| RepaintConfig {
        eta,
        ..config(2, 2)
    };
    for (expected, config, noise_std) in [
        ("jump_length", config(0, 2), 0.1),
        ("resampling", config(2, 0), 0.1),
        ("eta", eta(1.1), 0.1),
        ("eta", eta(f64::NAN), 0.1),
        ("noise_std", config(2, 2), f64::INFINITY),
    ] {
        match small(config, noise_std, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } | SampleError::Zero { field: name } => {
                assert_eq!(name, expected);
            }
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    let error = small(config(2, 2), 0.1, 1.5).err().unwrap();
    assert_eq!(error, SampleError::Grid(beyond));
    let sampler = small(config(2, 2), 0.1, 1.0).unwrap();
    let error = sampler
        .sample([2, 1, 1, 4], &mut rng(1), &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, SampleError::Mismatch { .. }), "{error}");
    assert!(serde_json::from_str::<RepaintConfig>(r#"{ "jumps": 1 }"#).is_err());
}
