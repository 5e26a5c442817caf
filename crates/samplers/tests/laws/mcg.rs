//! MCG is its formula, and the projection alone without its gradient.

use tweedie_core::{GaussianPrior, GridError, Karras, Schedule, TimeGrid, VariancePreserving};
use tweedie_physics::ForwardOperator;
use tweedie_samplers::{
    Mcg, McgConfig, Measurement, PosteriorSampler, Projected, ProjectionConfig, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, integrate};
use tweedie_testkit::{assert_close, exact, values};

use crate::{
    pair::{self, Law},
    support::{Diagonal, Replay, assert_rows_are_independent, departure, rng},
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
fn a_step_is_the_formula() {
    let (from, to): (f64, f64) = (2.0, 0.5);
    let s: [f64; 4] = [0.0, 0.3, 1.0, 2.0];
    let shape = [1, 1, 1, 4];
    let mut numbers = rng(1);
    let [y, start, fresh, z] = [(); 4].map(|()| numbers.normal(shape));
    for (noise_std, alpha, eta) in [(0.0, 0.1, 1.0), (0.2, 0.4, 0.6)] {
        let measurement = Measurement {
            operator: Diagonal::new(&s),
            y: y.clone(),
            noise_std,
        };
        let grid = TimeGrid::new(vec![from, to]).unwrap();
        let config = McgConfig { alpha, eta };
        let sampler = Mcg::new(
            Karras::new(from).unwrap(),
            prior(),
            measurement,
            grid,
            config,
        )
        .unwrap();
        let draws = [&start, &fresh, &z].map(values).to_vec();
        let mut replay = Replay(draws.into_iter());
        let got = sampler
            .sample_with(shape, &mut replay, &mut |_| ())
            .unwrap();
        let [y, start, fresh, z] = [&y, &start, &fresh, &z].map(values);
        let expected: Vec<f64> = (0..4)
            .map(|i| {
                let u = from * start[i];
                let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + from * from);
                let denoised = PRIOR_MEAN + gain * (u - PRIOR_MEAN);
                let renewed = eta * eta * (1.0 - (to / from).powi(2));
                let kept = to / from * (1.0 - renewed).sqrt();
                let moved = kept * u + (1.0 - kept) * denoised + to * renewed.sqrt() * fresh[i];
                // d/du (y - s D)^2 = -2 s gain (y - s D).
                let w = moved + alpha * 2.0 * s[i] * gain * (y[i] - s[i] * denoised);
                let damping = (noise_std / to).powi(2);
                let trust = match s[i] {
                    0.0 => 0.0,
                    s => s / (s * s + damping),
                };
                w + trust * (y[i] + to * s[i] * z[i] - s[i] * w)
            })
            .collect();
        assert_close(&format!("alpha {alpha}"), &values(&got), &expected, 1e-12);
    }
}

#[test]
fn without_its_gradient_it_is_the_projection() {
    let grid = || TimeGrid::uniform(1.0, 0.0, 6).unwrap();
    let shape = [3, 1, 1, 2];
    let run = |alpha| {
        let config = McgConfig { alpha, eta: 0.7 };
        let data = pair::measurement(0.1);
        let sampler = Mcg::new(schedule(), pair::prior(), data, grid(), config).unwrap();
        values(&sampler.sample(shape, &mut rng(5), &mut |_| ()).unwrap())
    };
    let config = ProjectionConfig::default();
    let ddim = Ddim::new(0.7).unwrap();
    let solver = Projected::new(ddim, pair::measurement(0.1), shape, config).unwrap();
    let mut noise = rng(5);
    let start = noise.normal(shape);
    let start = start.mul_scalar(schedule().scale(1.0) * schedule().sigma(1.0));
    let process = Reverse::sde(schedule(), pair::prior());
    let sample = integrate(&process, &solver, start, &grid(), &mut noise, |_| ()).unwrap();
    // The unscaled start is divided by a scale of 0.0066, which costs two digits.
    assert_close("image", &run(0.0), &values(&sample), 1e-12);
    // Negative control.
    assert!(departure(&run(0.1), &values(&sample)) > 1e-3);
}

#[test]
fn a_noiseless_measurement_holds() {
    let run = |noise_std| {
        let data = pair::measurement(noise_std);
        let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
        let config = McgConfig::default();
        let sampler = Mcg::new(schedule(), pair::prior(), data.clone(), grid, config).unwrap();
        let sample = sampler
            .sample([4, 1, 1, 2], &mut rng(4), &mut |_| ())
            .unwrap();
        values(&data.operator.forward(sample))
    };
    let y = [pair::Y, 0.0].repeat(4);
    assert_close("measurement", &run(0.0), &y, 1e-15);
    // Negative control.
    assert!(departure(&run(0.1), &y) > 1e-3);
}

fn pair_law(noise_std: f64, alpha: f64, steps: usize) -> Law {
    pair::law(2 * steps + 1, |shape, noise| {
        let config = McgConfig { alpha, eta: 1.0 };
        let data = pair::measurement(noise_std);
        Mcg::new(
            pair::schedule(),
            pair::prior(),
            data,
            pair::grid(steps),
            config,
        )?
        .sample_with(shape, noise, &mut |_| ())
    })
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, alpha, steps, documented) in [
        (0.0, 0.1, 100, [0.0, 0.0, -0.57, 1.03]),
        (0.0, 0.2, 100, [0.0, 0.0, -0.28, 0.95]),
        (0.0, 0.2, 400, [0.0, 0.0, 0.65, 0.75]),
        (0.05, 0.2, 100, [0.28, 0.02, -0.21, 0.93]),
        (0.2, 0.2, 100, [0.94, 0.01, 0.33, 0.76]),
    ] {
        let name = format!("noise {noise_std}, alpha {alpha}, {steps} steps");
        let law = pair_law(noise_std, alpha, steps);
        pair::assert_departures(&name, law, noise_std, documented);
    }
}

fn small(
    config: McgConfig,
    noise_std: f64,
    from: f64,
) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    Mcg::new(schedule(), prior(), measurement, grid, config)
}

#[test]
fn rows_are_independent() {
    let sampler = small(McgConfig::default(), 0.1, 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 3]);
}

#[test]
fn bad_settings_are_refused() {
    let config = |alpha, eta| McgConfig { alpha, eta };
    for (expected, config, noise_std) in [
        ("alpha", config(-0.1, 1.0), 0.1),
        ("alpha", config(f64::INFINITY, 1.0), 0.1),
        ("eta", config(0.1, 1.1), 0.1),
        ("noise_std", config(0.1, 1.0), -0.1),
    ] {
        match small(config, noise_std, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    let error = small(McgConfig::default(), 0.1, 1.5).err().unwrap();
    assert_eq!(error, SampleError::Grid(beyond));
    let sampler = small(McgConfig::default(), 0.1, 1.0).unwrap();
    let error = sampler
        .sample([2, 1, 1, 4], &mut rng(1), &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, SampleError::Mismatch { .. }), "{error}");
    let wild = small(config(1e60, 1.0), 0.1, 1.0).unwrap();
    let error = wild
        .sample([2, 1, 1, 3], &mut rng(1), &mut |_| ())
        .unwrap_err();
    match error {
        SampleError::Diverged { advice, .. } => assert!(advice.contains("alpha")),
        other => panic!("{other}"),
    }
    assert!(serde_json::from_str::<McgConfig>(r#"{ "zeta": 1.0 }"#).is_err());
}
