//! DAPS is its formula, solves a problem that is not linear, and is as far from the posterior as documented.

use burn::tensor::Tensor;
use tweedie_core::{
    Counted, GaussianPrior, GridError, Karras, Schedule, TimeGrid, VariancePreserving,
};
use tweedie_fidelity::L2;
use tweedie_physics::{Detection, ForwardOperator, Identity, PhaseRetrieval};
use tweedie_samplers::{
    Daps, DapsConfig, Langevin, LangevinConfig, Measurement, PosteriorSampler, SampleError,
};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::support::{assert_rows_are_independent, laws, rng};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

fn config(ode_steps: usize) -> DapsConfig {
    DapsConfig {
        ode_steps,
        sigma_min: 1e-4,
    }
}

#[test]
fn rounds_are_the_formula() {
    let (from, to, noise_std, y): (f64, f64, f64, f64) = (2.0, 0.5, 0.2, 1.1);
    let grid = TimeGrid::new(vec![from, to, 0.0]).unwrap();
    let states = laws(&[y], 6, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Identity,
            y,
            noise_std,
        };
        let schedule = Karras::new(from).unwrap();
        Daps::new(schedule, prior(), measurement, grid, config(400))?
            .sample_with(shape, noise, observe)
    });
    // The flow of a Gaussian keeps the rank of a state.
    let shrink = |sigma: f64| (PRIOR_VARIANCE / (PRIOR_VARIANCE + sigma * sigma)).sqrt();
    let ratio = |sigma: f64| sigma * sigma / (sigma * sigma + noise_std * noise_std);
    let drawn = |sigma: f64, centre: f64| (1.0 - ratio(sigma)) * centre + ratio(sigma) * y;
    let width = |sigma: f64| ratio(sigma) * noise_std * noise_std;
    let mut mean = 0.0;
    let mut variance = from * from;
    for (state, (sigma, next)) in states.iter().zip([(from, to), (to, 0.0)]) {
        let kept = (1.0 - ratio(sigma)) * shrink(sigma);
        mean = drawn(sigma, PRIOR_MEAN + shrink(sigma) * (mean - PRIOR_MEAN));
        variance = kept * kept * variance + width(sigma) + next * next;
        let got = state[0].given_measurement();
        // What is left of the error of 400 steps of second order.
        assert_close("mean", &[got.mean], &[mean], 1e-5);
        assert_close("variance", &[got.variance], &[variance], 1e-5);
    }
}

/// Error of the mean in posterior standard deviations, and ratio of the standard deviations, after 100 rounds.
fn departure(noise_std: f64) -> [f64; 2] {
    let y = 1.1;
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 99)
        .unwrap()
        .then_zero();
    let states = laws(&[y], 1 + 3 * 100, 1.0, |y, (shape, noise, observe)| {
        let measurement = Measurement {
            operator: Identity,
            y,
            noise_std,
        };
        Daps::new(schedule, prior(), measurement, grid, DapsConfig::default())?
            .sample_with(shape, noise, observe)
    });
    let got = states[99][0].given_measurement();
    let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + noise_std * noise_std);
    let spread = (PRIOR_VARIANCE * (1.0 - gain)).sqrt();
    let mean = PRIOR_MEAN + gain * (y - PRIOR_MEAN);
    [(got.mean - mean) / spread, got.variance.sqrt() / spread]
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.05, [0.12, 1.0]),
        (0.2, [0.39, 1.08]),
        (0.8, [0.25, 1.36]),
    ] {
        let found = departure(noise_std);
        assert_close(&format!("noise {noise_std}"), &found, &documented, 0.005);
    }
}

#[test]
fn a_phase_retrieval_is_solved() {
    let camera = PhaseRetrieval::new(
        [4, 4],
        2,
        Detection::Amplitude,
        (&device(), burn::tensor::DType::F64),
    )
    .unwrap();
    let noise_std = 0.02;
    let mut random = rng(2);
    let truth = random.uniform([1, 1, 4, 4]);
    let clean = camera.forward(truth);
    let y = clean.clone() + random.normal::<4>(clean.dims()).mul_scalar(noise_std);
    let data = L2::new(camera.clone(), y.clone(), noise_std).unwrap();
    let steps = LangevinConfig {
        steps: 40,
        step_size: 1e-4,
        delta: 1.0,
    };
    let schedule = Karras::new(10.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 10.0, 0.02, 7.0, 79)
        .unwrap()
        .then_zero();
    let misfit = |image: Tensor<4>| -> Vec<f64> {
        let rows = image.dims()[0];
        let all = values(&(camera.forward(image) - y.clone()).square());
        let mut found: Vec<f64> = all
            .chunks(all.len() / rows)
            .map(|row| (row.iter().sum::<f64>() / row.len() as f64).sqrt())
            .collect();
        found.sort_by(f64::total_cmp);
        found
    };
    let langevin = Langevin::new(data, steps).unwrap();
    let sampler = Daps::new(schedule, prior(), langevin, grid, DapsConfig::default()).unwrap();
    let found = misfit(
        sampler
            .sample([8, 1, 4, 4], &mut rng(3), &mut |_| ())
            .unwrap(),
    );
    let blind = misfit(exact(&[PRIOR_MEAN; 16], [1, 1, 4, 4]));
    // Half of the runs reach the noise of the measurement; the rest may end in another minimum.
    assert!(found[3] < 1.5 * noise_std, "{found:?}");
    assert!(blind[0] > 3.0 * noise_std, "{blind:?}");
}

#[test]
fn evaluations_are_those_stated() {
    let counted = Counted::new(prior());
    let measurement = Measurement {
        operator: Identity,
        y: exact(&[0.8], [1, 1, 1, 1]),
        noise_std: 0.1,
    };
    // The last round starts at sigma_min.
    let grid = TimeGrid::new(vec![1.0, 0.3, 0.005, 0.0]).unwrap();
    let schedule = Karras::new(1.0).unwrap();
    let sampler = Daps::new(schedule, &counted, measurement, grid, DapsConfig::default()).unwrap();
    sampler
        .sample([1, 1, 1, 1], &mut rng(1), &mut |_| ())
        .unwrap();
    assert_eq!(counted.evaluations(), 5 + 5 + 1);
}

fn small(config: DapsConfig, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let data = L2::new(Identity, exact(&[0.2, 0.8], [1, 1, 1, 2]), 0.2).unwrap();
    let steps = LangevinConfig {
        steps: 3,
        step_size: 1e-3,
        delta: 0.01,
    };
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    Daps::new(schedule, prior(), Langevin::new(data, steps)?, grid, config)
}

#[test]
fn rows_are_independent() {
    let sampler = small(DapsConfig::default(), 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 2]);
}

#[test]
fn bad_settings_are_refused() {
    let good = DapsConfig::default();
    let error = |config, from| small(config, from).err().unwrap();
    let none = DapsConfig {
        ode_steps: 0,
        ..good
    };
    assert_eq!(error(none, 1.0), SampleError::Zero { field: "ode_steps" });
    for sigma_min in [0.0, f64::NAN, f64::INFINITY] {
        match error(DapsConfig { sigma_min, ..good }, 1.0) {
            SampleError::Parameter { name, .. } => assert_eq!(name, "sigma_min"),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: VariancePreserving::new(0.1, 20.0).unwrap().horizon(),
    };
    assert_eq!(error(good, 1.5), SampleError::Grid(beyond));
}
