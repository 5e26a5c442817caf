//! A run that leaves the finite numbers says at which step, and what may help.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, GaussianPrior, Karras, TimeGrid};
use tweedie_fidelity::L2;
use tweedie_physics::Identity;
use tweedie_samplers::{
    DdnmConfig, DdnmPlus, DiffPir, DiffPirConfig, DiffusionSampler, DpsConfig, DpsSampler,
    Measurement, PosteriorSampler, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddpm, SolveError};
use tweedie_testkit::exact;

use crate::support::{Diagonal, rng};

const SHAPE: [usize; 4] = [2, 1, 1, 2];
const LEVELS: [f64; 6] = [4.0, 2.0, 1.0, 0.4, 0.1, 0.0];

/// Not a number below a noise level.
struct Broken {
    below: f64,
}

impl Denoiser for Broken {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        match sigma < self.below {
            true => noisy * f64::NAN,
            false => noisy * 0.5,
        }
    }
}

fn grid() -> TimeGrid {
    TimeGrid::new(LEVELS.to_vec()).unwrap()
}

fn schedule() -> Karras {
    Karras::new(4.0).unwrap()
}

fn y() -> Tensor<4> {
    exact(&[0.2, 0.7], [1, 1, 1, 2])
}

fn run(sampler: Result<impl PosteriorSampler, SampleError>) -> Result<Tensor<4>, SampleError> {
    sampler?.sample(SHAPE, &mut rng(1), &mut |_| ())
}

fn ddnm(below: f64, travel_repeat: usize) -> Result<Tensor<4>, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[1.0, 0.0]),
        y: y(),
        noise_std: 0.0,
    };
    let config = DdnmConfig {
        travel_length: 2,
        travel_repeat,
        ..DdnmConfig::default()
    };
    run(DdnmPlus::new(
        schedule(),
        Broken { below },
        measurement,
        grid(),
        config,
    ))
}

#[test]
fn the_first_bad_step_is_named() {
    let config = DiffPirConfig::default();
    let data = L2::new(Identity, y(), 0.1).unwrap();
    let diffpir = |below| {
        run(DiffPir::new(
            schedule(),
            Broken { below },
            data.clone(),
            grid(),
            config,
        ))
    };
    for result in [diffpir(0.5), ddnm(0.5, 1)] {
        let SampleError::Diverged {
            step,
            steps,
            sigma,
            advice,
        } = result.unwrap_err()
        else {
            panic!("another error");
        };
        assert_eq!((step, steps, sigma), (4, 5, 0.4));
        assert!(advice.contains("weights"), "{advice}");
    }
    // Negative control.
    assert!(diffpir(0.0).is_ok() && ddnm(0.0, 1).is_ok());
    // Blocks 4, 2 to 1 and 1, 0.4 to 0.1 are made three times each: steps 1 to 6, then 7 and 8.
    let error = ddnm(0.5, 3).unwrap_err();
    let SampleError::Diverged {
        step, steps, sigma, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((step, steps, sigma), (8, 13, 0.4));
}

#[test]
fn dps_with_too_long_steps_advises_a_smaller_zeta() {
    let prior = GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05);
    let dps = |zeta| {
        let config = DpsConfig { zeta, eta: 1.0 };
        run(DpsSampler::new(
            schedule(),
            &prior,
            Identity,
            y(),
            grid(),
            config,
        ))
    };
    let error = dps(1e200).unwrap_err();
    let text = error.to_string();
    let SampleError::Diverged {
        step, steps, sigma, ..
    } = error
    else {
        panic!("{error}");
    };
    // The first step is finite, the square of its misfit is not.
    assert_eq!((step, steps, sigma), (2, 5, 2.0));
    assert!(
        text.contains("step 2 of 5") && text.contains("smaller zeta"),
        "{text}"
    );
    // Negative control.
    assert!(dps(1.0).is_ok());
}

#[test]
fn a_diffusion_advises_too() {
    let process = Reverse::sde(schedule(), Broken { below: 0.5 });
    let error = run(Ok(DiffusionSampler::new(process, Ddpm, grid()))).unwrap_err();
    let diverged = SolveError::Diverged {
        step: 4,
        steps: 5,
        time: 0.1,
    };
    assert_eq!(error, SampleError::Solve(diverged));
    let text = error.to_string();
    assert!(
        text.contains("step 4 of 5") && text.contains("weaker guidance"),
        "{text}"
    );
}
