//! Particles are resampled without bias, runs are independent, and what cannot work is refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{DType, Tensor};
use tweedie_core::{Counted, Denoiser, GaussianPrior};
use tweedie_physics::{Inpainting, Svd};
use tweedie_samplers::{
    McgDiff, McgDiffConfig, Measurement, Particles, PosteriorSampler, SampleError, Tds, TdsConfig,
    effective_sample_size, systematic,
};
use tweedie_solvers::Step;
use tweedie_testkit::{assert_close, assert_z, device, exact, values, z_bound};

use crate::{
    particles_support::{diagonal, gauss, gaussian_prior, preserving},
    support::{Diagonal, assert_rows_are_independent, rng},
};

#[test]
fn a_measurement_may_have_a_row_for_each_run() {
    let (schedule, grid) = preserving();
    let rows = [0.0, 0.3, 0.9, 0.8, 0.0, 0.1, 0.2, 1.4];
    let run = |y: &[f64], first: u64| {
        let measurement = || Measurement {
            operator: Diagonal::new(&gauss::S),
            y: exact(y, [y.len() / 4, 1, 1, 4]),
            noise_std: 0.3,
        };
        let shape = [y.len() / 4, 1, 1, 4];
        let config = TdsConfig {
            particles: 6,
            ess_threshold: 0.8,
            ..TdsConfig::default()
        };
        let tds = Tds::new(
            schedule,
            gaussian_prior(),
            measurement(),
            grid.clone(),
            config,
        );
        let config = McgDiffConfig {
            particles: 6,
            ..McgDiffConfig::default()
        };
        let mcg = McgDiff::new(
            schedule,
            gaussian_prior(),
            measurement(),
            grid.clone(),
            config,
        );
        let numbers = || rng(9).starting_at(first);
        [
            values(
                &tds.unwrap()
                    .run(shape, &mut numbers(), &mut |_| ())
                    .unwrap()
                    .positions,
            ),
            values(
                &mcg.unwrap()
                    .run(shape, &mut numbers(), &mut |_| ())
                    .unwrap()
                    .positions,
            ),
        ]
    };
    let both = run(&rows, 0);
    let alone = [run(&rows[..4], 0), run(&rows[4..], 1)];
    for method in 0..2 {
        let expected = [alone[0][method].clone(), alone[1][method].clone()].concat();
        assert_eq!(both[method], expected);
    }
}

/// Log-likelihood and positions of one run of MCGDiff.
fn mcg_diff(operator: impl Svd, shape: [usize; 4], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (schedule, grid) = preserving();
    let prior = GaussianPrior::new(Tensor::full([1; 4], 0.2, (&device(), DType::F64)), 0.25);
    let measurement = Measurement {
        operator,
        y: exact(y, shape),
        noise_std: 0.3,
    };
    let config = McgDiffConfig {
        particles: 6,
        ..McgDiffConfig::default()
    };
    let sampler = McgDiff::new(schedule, prior, measurement, grid, config).unwrap();
    let particles = sampler.run(shape, &mut rng(9), &mut |_| ()).unwrap();
    (particles.log_normalizer, values(&particles.positions))
}

#[test]
fn a_mask_of_all_channels_counts_the_measurements_of_each() {
    let y = [0.6, 0.0, -0.4, 0.0];
    let options = (&device(), DType::F64);
    let mask = Tensor::<4>::from_data([[[[1.0, 0.0]]]], options);
    let shared = mcg_diff(Inpainting::new(mask).unwrap(), [1, 2, 1, 2], &y);
    let each = mcg_diff(Diagonal::new(&[1.0, 0.0, 1.0, 0.0]), [1, 1, 1, 4], &y);
    assert_close("log Z", &shared.0, &each.0, 1e-12);
    assert_close("positions", &shared.1, &each.1, 1e-12);
    let one = mcg_diff(Diagonal::new(&[1.0, 0.0, 0.0, 0.0]), [1, 1, 1, 4], &y);
    assert!((one.0[0] - each.0[0]).abs() > 1e-3, "{one:?} {each:?}");
}

#[test]
fn samples_depend_on_their_number_alone() {
    let (schedule, grid) = preserving();
    let config = TdsConfig {
        particles: 7,
        ess_threshold: 0.9,
        ..TdsConfig::default()
    };
    let sampler = Tds::new(
        schedule,
        gaussian_prior(),
        diagonal(0.3),
        grid.clone(),
        config,
    );
    assert_rows_are_independent(&sampler.unwrap(), [1, 1, 4]);
    let config = McgDiffConfig {
        particles: 7,
        ess_threshold: 0.9,
        ..McgDiffConfig::default()
    };
    let sampler = McgDiff::new(schedule, gaussian_prior(), diagonal(0.3), grid, config);
    assert_rows_are_independent(&sampler.unwrap(), [1, 1, 4]);
}

/// Counts evaluations whose argument is on a tape.
struct Taped<P> {
    prior: P,
    evaluations: AtomicUsize,
}

impl<P: Denoiser> Denoiser for Taped<P> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        if noisy.is_tracked() {
            self.evaluations.fetch_add(1, Ordering::Relaxed);
        }
        self.prior.denoise(noisy, sigma)
    }
}

#[test]
fn a_step_is_one_evaluation() {
    let (schedule, grid) = preserving();
    let taped = || Taped {
        prior: gaussian_prior(),
        evaluations: AtomicUsize::new(0),
    };
    let (for_tds, for_mcg) = (taped(), taped());
    let (tds, mcg) = (Counted::new(&for_tds), Counted::new(&for_mcg));
    let mut states = 0;
    let mut observe = |step: Step<'_>| {
        assert_eq!(step.state.dims(), [2 * 64, 1, 1, 4]);
        states += 1;
    };
    let shape = [2, 1, 1, 4];
    Tds::new(
        schedule,
        &tds,
        diagonal(0.3),
        grid.clone(),
        TdsConfig::default(),
    )
    .unwrap()
    .sample(shape, &mut rng(1), &mut observe)
    .unwrap();
    McgDiff::new(
        schedule,
        &mcg,
        diagonal(0.3),
        grid,
        McgDiffConfig::default(),
    )
    .unwrap()
    .sample(shape, &mut rng(1), &mut observe)
    .unwrap();
    assert_eq!(states, 2 * gauss::STEPS);
    assert_eq!([tds.evaluations(), mcg.evaluations()], [gauss::STEPS; 2]);
    let backward = [for_tds, for_mcg].map(|prior| prior.evaluations.into_inner());
    assert_eq!(backward, [gauss::STEPS, 0]);
}

#[test]
fn systematic_resampling_is_unbiased_and_leaves_the_least_room() {
    let weights = [0.31, 0.0, 0.07, 0.22, 0.005, 0.395, 0.0];
    let (offspring, lattice) = (9, 20_000);
    let mut totals = [0.0; 7];
    for k in 0..lattice {
        let uniform = (f64::from(k) + 0.5) / f64::from(lattice);
        let parents = systematic(&weights, offspring, uniform);
        assert_eq!(parents, systematic(&weights, offspring, uniform));
        assert_eq!(parents.len(), offspring);
        assert!(parents.is_sorted());
        for (index, weight) in weights.iter().enumerate() {
            let count = parents.iter().filter(|parent| **parent == index).count() as f64;
            let expected = offspring as f64 * weight;
            assert!(
                count == expected.floor() || count == expected.ceil(),
                "{index}: {count}"
            );
            totals[index] += count / f64::from(lattice);
        }
    }
    // The count jumps at most twice as the uniform number goes from 0 to 1.
    let expected = weights.map(|weight| offspring as f64 * weight);
    assert_close("offspring", &totals, &expected, 2.0 / f64::from(lattice));
    // Negative control: independent offspring leave more room.
    let uniforms = rng(1).uniform_per_row(400);
    let independent: Vec<usize> = uniforms
        .iter()
        .map(|u| systematic(&weights, 1, *u)[0])
        .collect();
    let strays = independent.chunks(9).filter(|parents| {
        let count = parents.iter().filter(|parent| **parent == 5).count();
        count != 3 && count != 4
    });
    assert!(strays.count() > 5);
    // The largest number below 1 does not run off the end, and a weight may be tiny.
    let edge = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(systematic(&[0.5, 0.5, 0.0], 2000, edge)[1999], 1);
    assert_eq!(systematic(&[1e-300, 0.0], 2, 0.9), [0, 0]);
    assert_close(
        "ess",
        &[effective_sample_size(&[2.0, 1.0, 1.0])],
        &[16.0 / 6.0],
        1e-15,
    );
}

#[test]
fn particles_are_drawn_by_their_weights() {
    let each = [0.1, 0.6, 0.3];
    let runs = 4000;
    let particles = Particles::<2> {
        positions: exact(&[1.0, 2.0, 4.0].repeat(runs), [3 * runs, 1]),
        log_weights: each.map(f64::ln).repeat(runs),
        log_normalizer: vec![0.0; runs],
        ess: Vec::new(),
    };
    let mean = 0.1 + 1.2 + 1.2;
    let error = |count: f64| ((0.1 + 2.4 + 4.8 - mean * mean) / count).sqrt();
    let average = |images: Tensor<2>| images.mean().into_scalar::<f64>();
    let drawn = particles.draw(&mut rng(2));
    assert_eq!(drawn.dims(), [runs, 1]);
    assert_z("draws", &[average(drawn)], &[mean], &[error(runs as f64)]);
    let many = particles.resample(5, &mut rng(2));
    assert_eq!(many.dims(), [5 * runs, 1]);
    // Systematic, so the error is no more than that of independent draws.
    assert_z(
        "particles",
        &[average(many)],
        &[mean],
        &[error(5.0 * runs as f64)],
    );
    // Negative control: equal weights.
    let equal = (7.0 / 3.0 - mean) / error(runs as f64);
    assert!(equal.abs() > 1.5 * z_bound(1));
}

#[test]
fn bad_settings_are_refused() {
    let tds = |config, noise_std| {
        let (schedule, grid) = preserving();
        Tds::new(
            schedule,
            gaussian_prior(),
            diagonal(noise_std),
            grid,
            config,
        )
    };
    let mcg = |config, noise_std| {
        let (schedule, grid) = preserving();
        McgDiff::new(
            schedule,
            gaussian_prior(),
            diagonal(noise_std),
            grid,
            config,
        )
    };
    let name = |error: SampleError| match error {
        SampleError::Parameter { name, .. } => name,
        SampleError::Zero { field } => field,
        other => panic!("{other}"),
    };
    let default = TdsConfig::default();
    for (expected, config, noise_std) in [
        (
            "particles",
            TdsConfig {
                particles: 0,
                ..default
            },
            0.1,
        ),
        (
            "ess_threshold",
            TdsConfig {
                ess_threshold: 1.1,
                ..default
            },
            0.1,
        ),
        (
            "eta",
            TdsConfig {
                eta: 0.0,
                ..default
            },
            0.1,
        ),
        (
            "eta",
            TdsConfig {
                eta: f64::NAN,
                ..default
            },
            0.1,
        ),
        (
            "prior_variance",
            TdsConfig {
                prior_variance: 0.0,
                ..default
            },
            0.1,
        ),
        ("noise_std", default, 0.0),
        ("noise_std", default, f64::NAN),
    ] {
        assert_eq!(name(tds(config, noise_std).err().unwrap()), expected);
    }
    let default = McgDiffConfig::default();
    for (expected, config, noise_std) in [
        (
            "particles",
            McgDiffConfig {
                particles: 0,
                ..default
            },
            0.1,
        ),
        (
            "ess_threshold",
            McgDiffConfig {
                ess_threshold: -0.1,
                ..default
            },
            0.1,
        ),
        (
            "eta",
            McgDiffConfig {
                eta: 1.1,
                ..default
            },
            0.1,
        ),
        (
            "kappa",
            McgDiffConfig {
                kappa: -1e-3,
                ..default
            },
            0.1,
        ),
        ("noise_std", default, -0.1),
    ] {
        assert_eq!(name(mcg(config, noise_std).err().unwrap()), expected);
    }
    assert!(serde_json::from_str::<TdsConfig>(r#"{ "kappa": 1.0 }"#).is_err());
    assert!(serde_json::from_str::<McgDiffConfig>(r#"{ "prior_variance": 1.0 }"#).is_err());
    let mismatch = SampleError::Mismatch {
        image: vec![2, 1, 1, 3],
        measurement: vec![1, 1, 1, 4],
    };
    let sampler = mcg(default, 0.1).unwrap();
    let error = sampler.run([2, 1, 1, 3], &mut rng(1), &mut |_| ()).err();
    assert_eq!(error, Some(mismatch));
}

#[test]
fn weights_that_are_not_finite_end_the_run() {
    let (schedule, grid) = preserving();
    let measurement = || Measurement {
        y: exact(&[0.0, 0.3, f64::NAN, 0.8], [1, 1, 1, 4]),
        ..diagonal(0.3)
    };
    let tds = Tds::new(
        schedule,
        gaussian_prior(),
        measurement(),
        grid.clone(),
        TdsConfig::default(),
    );
    let mcg = McgDiff::new(
        schedule,
        gaussian_prior(),
        measurement(),
        grid,
        McgDiffConfig::default(),
    );
    let shape = [2, 1, 1, 4];
    for error in [
        tds.unwrap().run(shape, &mut rng(1), &mut |_| ()).err(),
        mcg.unwrap().run(shape, &mut rng(1), &mut |_| ()).err(),
    ] {
        assert!(
            matches!(error, Some(SampleError::Diverged { step: 1, .. })),
            "{error:?}"
        );
    }
}
