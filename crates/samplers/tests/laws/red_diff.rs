//! RED-diff is its formula, and a point whose distance from the posterior is as documented.

use burn::tensor::Tensor;
use tweedie_core::{GaussianPrior, GridError, Karras, TimeGrid, VariancePreserving};
use tweedie_fidelity::L2;
use tweedie_physics::{Identity, Saturation};
use tweedie_samplers::{PosteriorSampler, RedDiff, RedDiffConfig, SampleError};
use tweedie_testkit::{assert_close, exact, values};

use crate::support::{Diagonal, Replay, assert_rows_are_independent, departure, rng};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;
const Y: f64 = 1.1;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

fn data() -> L2<Identity> {
    L2::new(Identity, exact(&[Y], [1, 1, 1, 1]), 0.5f64.sqrt()).unwrap()
}

#[test]
fn steps_are_the_formula() {
    let (times, draws) = ([2.0, 0.5, 0.1, 0.0], [0.3, -1.2, 0.7, 0.4]);
    let config = RedDiffConfig {
        lambda: 0.5,
        learning_rate: 0.1,
        beta_1: 0.8,
        beta_2: 0.95,
    };
    let grid = TimeGrid::new(times.into()).unwrap();
    let sampler = RedDiff::new(Karras::new(2.0).unwrap(), prior(), data(), grid, config).unwrap();
    let mut noise = Replay(draws.map(|draw| vec![draw]).to_vec().into_iter());
    let mut got = Vec::new();
    let mut observe = |step: tweedie_solvers::Step<'_>| got.extend(values(step.state));
    sampler
        .sample_with([1, 1, 1, 1], &mut noise, &mut observe)
        .unwrap();

    // As the papers write them, with the predicted noise (u - D)/sigma and the weight 1/SNR = sigma.
    let denoised = |u: f64, sigma: f64| {
        PRIOR_MEAN + PRIOR_VARIANCE / (PRIOR_VARIANCE + sigma * sigma) * (u - PRIOR_MEAN)
    };
    let mut mu = denoised(times[0] * draws[0], times[0]);
    let (mut m, mut v) = (0.0, 0.0);
    for step in 0..3 {
        let (sigma, n) = (times[step], draws[step + 1]);
        let u = mu + sigma * n;
        let predicted = (u - denoised(u, sigma)) / sigma;
        let gradient = 2.0 * (mu - Y) + 0.5 * sigma * (predicted - n);
        m = 0.8 * m + 0.2 * gradient;
        v = 0.95 * v + 0.05 * gradient * gradient;
        let k = step as i32 + 1;
        let (m_hat, v_hat): (f64, f64) = (m / (1.0 - 0.8f64.powi(k)), v / (1.0 - 0.95f64.powi(k)));
        mu -= 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
        assert_close(&format!("step {step}"), &[got[step]], &[mu], 1e-13);
    }
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::uniform(1.0, 0.0, 1000).unwrap();
    let sampler = RedDiff::new(schedule, prior(), data(), grid, RedDiffConfig::default()).unwrap();
    let samples = 500;
    let run = sampler.sample([samples, 1, 1, 1], &mut rng(4), &mut |_| ());
    let got = values(&run.unwrap());
    let n = samples as f64;
    let mean = got.iter().sum::<f64>() / n;
    let variance = got.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    for (noise_std, documented) in [
        (0.05, [0.27, 0.13]),
        (0.2, [0.92, 0.04]),
        (0.8, [1.56, 0.02]),
    ] {
        let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + noise_std * noise_std);
        let spread = (PRIOR_VARIANCE * (1.0 - gain)).sqrt();
        let found = [
            (mean - PRIOR_MEAN - gain * (Y - PRIOR_MEAN)) / spread,
            variance.sqrt() / spread,
        ];
        assert_close(&format!("noise {noise_std}"), &found, &documented, 0.005);
    }
}

/// Mean of the results for a pixel behind `A = 0.1`, measured one `noise_std` of 0.1 above what its mean gives.
fn behind_a_weak_operator(data_std: f64, grid: TimeGrid) -> f64 {
    let data = L2::new(
        Diagonal::new(&[0.1]),
        exact(&[0.16], [1, 1, 1, 1]),
        data_std,
    )
    .unwrap();
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let sampler = RedDiff::new(schedule, prior(), data, grid, RedDiffConfig::default()).unwrap();
    let run = sampler.sample([500, 1, 1, 1], &mut rng(4), &mut |_| ());
    values(&run.unwrap()).iter().sum::<f64>() / 500.0
}

#[test]
fn a_weak_prior_leaves_the_noise_of_the_measurement() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let equal = || TimeGrid::uniform(1.0, 0.0, 1000).unwrap();
    let karras = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 999).unwrap();
    let paper = 0.5f64.sqrt();
    let found = [
        behind_a_weak_operator(paper, equal()),
        behind_a_weak_operator(0.1, equal()),
        behind_a_weak_operator(paper, karras.then_zero()),
    ];
    assert_close("means", &found, &[1.19, 1.60, 1.60], 0.005);
}

#[test]
fn a_common_factor_of_data_and_prior_changes_nothing() {
    let run = |data_std: f64, lambda| {
        let data = L2::new(Identity, exact(&[Y], [1, 1, 1, 1]), data_std).unwrap();
        let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
        let config = RedDiffConfig {
            lambda,
            ..RedDiffConfig::default()
        };
        let grid = TimeGrid::uniform(1.0, 0.0, 20).unwrap();
        let sampler = RedDiff::new(schedule, prior(), data, grid, config).unwrap();
        let images = sampler.sample([3, 1, 1, 1], &mut rng(4), &mut |_| ());
        values(&images.unwrap())
    };
    let expected = run(0.5f64.sqrt(), 0.25);
    // Adam's epsilon of 1e-8 beside roots above 0.01, in 20 steps of up to 0.05.
    assert_close("run", &run(0.1, 12.5), &expected, 1e-6);
    // Negative control.
    assert!(departure(&run(0.1, 0.25), &expected) > 1e-3);
}

#[test]
fn a_saturated_image_is_fitted() {
    let operator = Saturation::smooth(2.0, 1.0, 8.0).unwrap();
    let y = exact(&[0.3, 0.8], [1, 1, 1, 2]);
    let data = L2::new(operator, y.clone(), 0.5f64.sqrt()).unwrap();
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::uniform(1.0, 0.0, 1000).unwrap();
    let sampler = RedDiff::new(schedule, prior(), data, grid, RedDiffConfig::default()).unwrap();
    let got = sampler
        .sample([1, 1, 1, 2], &mut rng(5), &mut |_| ())
        .unwrap();
    let misfit = values(&(tweedie_physics::ForwardOperator::forward(&operator, got) - y));
    assert!(misfit.iter().all(|error| error.abs() < 0.02), "{misfit:?}");
}

fn small(config: RedDiffConfig, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    RedDiff::new(
        schedule,
        prior(),
        data(),
        TimeGrid::uniform(from, 0.0, 5)?,
        config,
    )
}

#[test]
fn rows_are_independent() {
    let sampler = small(RedDiffConfig::default(), 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 1]);
}

#[test]
fn a_run_that_is_not_finite_says_where() {
    struct Broken;
    impl tweedie_core::Denoiser for Broken {
        fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
            if sigma < 0.2 { noisy / 0.0 } else { noisy }
        }
    }
    let grid = TimeGrid::new(vec![1.0, 0.3, 0.1, 0.0]).unwrap();
    let schedule = Karras::new(1.0).unwrap();
    let sampler = RedDiff::new(schedule, Broken, data(), grid, RedDiffConfig::default()).unwrap();
    match sampler.sample([1, 1, 1, 1], &mut rng(1), &mut |_| ()) {
        Err(SampleError::Diverged {
            step: 3,
            steps: 3,
            sigma,
            ..
        }) => assert_eq!(sigma, 0.1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_settings_are_refused() {
    let good = RedDiffConfig::default();
    for (expected, config) in [
        (
            "lambda",
            RedDiffConfig {
                lambda: -1.0,
                ..good
            },
        ),
        (
            "learning_rate",
            RedDiffConfig {
                learning_rate: 0.0,
                ..good
            },
        ),
        (
            "beta_1",
            RedDiffConfig {
                beta_1: 1.0,
                ..good
            },
        ),
        (
            "beta_2",
            RedDiffConfig {
                beta_2: f64::NAN,
                ..good
            },
        ),
    ] {
        match small(config, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(small(good, 1.5).err().unwrap(), SampleError::Grid(beyond));
}
