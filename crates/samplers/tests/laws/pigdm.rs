//! The published PiGDM is its formula, with the distance from the posterior that its documentation states.

use tweedie_core::{GaussianPrior, GridError, Karras, TimeGrid, VariancePreserving};
use tweedie_physics::Identity;
use tweedie_samplers::{
    DiffusionSampler, Measurement, PigdmConfig, PigdmSampler, PosteriorSampler, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::Ddim;
use tweedie_testkit::{assert_close, exact, values};

use crate::support::{
    Diagonal, assert_departure, assert_rows_are_independent, departure, laws, rng,
};

const MEAN: f64 = 0.6;
const VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[MEAN], [1, 1, 1, 1]), VARIANCE)
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

#[test]
fn a_step_is_the_formula() {
    let (from, to): (f64, f64) = (2.0, 0.5);
    let (s, y) = ([0.0, 0.4, 1.7], [0.0, 0.3, 0.9]);
    for noise_std in [0.0, 0.2] {
        let config = PigdmConfig {
            eta: 0.8,
            prior_variance: 0.3,
        };
        let grid = TimeGrid::new(vec![from, to]).unwrap();
        let laws = laws(&y, 2, 1.0, |y, (shape, noise, observe)| {
            let measurement = Measurement {
                operator: Diagonal::new(&s),
                y,
                noise_std,
            };
            PigdmSampler::new(
                Karras::new(from).unwrap(),
                prior(),
                measurement,
                grid,
                config,
            )?
            .sample_with(shape, noise, observe)
        });
        let fresh = 0.64 * (1.0 - 0.0625);
        let kept = 0.25 * f64::sqrt(1.0 - fresh);
        let jacobian = VARIANCE / (VARIANCE + from * from);
        let denoised = MEAN - jacobian * MEAN;
        let uncertainty = 0.3 * from * from / (0.3 + from * from);
        for (index, law) in laws[0].iter().enumerate() {
            let total = uncertainty * s[index] * s[index] + noise_std * noise_std;
            let weight = match total {
                0.0 => 0.0,
                total => uncertainty * jacobian * s[index] / total,
            };
            let pull = weight * (y[index] - s[index] * denoised);
            let of_start = kept + (1.0 - kept - weight * s[index]) * jacobian;
            let got = [law.offset, law.noises[0], law.noises[1]];
            let expected = [
                (1.0 - kept) * denoised + pull,
                of_start * from,
                to * fresh.sqrt(),
            ];
            assert_close(
                &format!("entry {index}, noise {noise_std}"),
                &got,
                &expected,
                1e-12,
            );
            // Negative control.
            assert!(index == 0 || pull.abs() > 1e-3);
        }
    }
}

#[test]
fn without_a_measurement_it_is_ddim() {
    let grid = || TimeGrid::uniform(1.0, 0.0, 9).unwrap();
    let shape = [3, 1, 1, 2];
    let run = |s: f64, eta| {
        let measurement = Measurement {
            operator: Diagonal::new(&[s, s]),
            y: exact(&[0.0, 0.0], [1, 1, 1, 2]),
            noise_std: 0.1,
        };
        let config = PigdmConfig {
            eta,
            ..PigdmConfig::default()
        };
        let sampler = PigdmSampler::new(schedule(), prior(), measurement, grid(), config).unwrap();
        values(&sampler.sample(shape, &mut rng(3), &mut |_| ()).unwrap())
    };
    for eta in [0.0, 1.0] {
        let process = Reverse::flow(schedule(), prior());
        let ddim = DiffusionSampler::new(process, Ddim::new(eta).unwrap(), grid());
        let expected = values(&ddim.sample(shape, &mut rng(3), &mut |_| ()).unwrap());
        // The unscaled start is divided by a scale of 0.0066, which costs two digits.
        assert!(departure(&run(0.0, eta), &expected) < 1e-12);
        assert!(departure(&run(1.0, eta), &expected) > 1e-2);
    }
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.05, [0.27, 0.38]),
        (0.2, [0.78, 0.45]),
        (0.8, [0.22, 0.84]),
    ] {
        assert_departure(noise_std, documented, |case, (shape, noise, observe)| {
            let measurement = Measurement {
                operator: Identity,
                y: case.y,
                noise_std,
            };
            let config = PigdmConfig {
                prior_variance: 0.09,
                ..PigdmConfig::default()
            };
            PigdmSampler::new(case.schedule, case.prior, measurement, case.grid, config)?
                .sample_with(shape, noise, observe)
        });
    }
}

fn small(
    config: PigdmConfig,
    noise_std: f64,
    from: f64,
) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    PigdmSampler::new(schedule(), prior(), measurement, grid, config)
}

#[test]
fn rows_are_independent() {
    let sampler = small(PigdmConfig::default(), 0.1, 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 3]);
}

#[test]
fn bad_settings_are_refused() {
    for (expected, eta, prior_variance, noise_std) in [
        ("eta", 1.1, 0.25, 0.1),
        ("eta", f64::NAN, 0.25, 0.1),
        ("prior_variance", 1.0, 0.0, 0.1),
        ("prior_variance", 1.0, f64::INFINITY, 0.1),
        ("noise_std", 1.0, 0.25, -0.1),
    ] {
        let config = PigdmConfig {
            eta,
            prior_variance,
        };
        match small(config, noise_std, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    let error = small(PigdmConfig::default(), 0.1, 1.5).err();
    assert_eq!(error, Some(SampleError::Grid(beyond)));
    let sampler = small(PigdmConfig::default(), 0.1, 1.0).unwrap();
    let error = sampler.sample([1, 1, 1, 4], &mut rng(1), &mut |_| ());
    assert!(matches!(error, Err(SampleError::Mismatch { .. })));
}
