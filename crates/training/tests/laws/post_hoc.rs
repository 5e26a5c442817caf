//! Averages made after a run, against those that would have been kept in it.

use std::path::Path;

use burn::{
    module::{Module, ModuleMapper, Param},
    nn::{Linear, LinearConfig},
    tensor::Tensor,
};
use tempfile::tempdir;
use tweedie_core::{Denoiser, Rng};
use tweedie_models::{Pretrained, save_weights};
use tweedie_testkit::{assert_close, device, values};
use tweedie_training::{
    PostHocConfig, SNAPSHOTS_FOLDER, Snapshots, TrainingConfig, TrainingError, averaged,
};

use crate::support::{config, model, run, small, stopped_after, task, trainer, weights};

/// The exponents of the paper's section 3.1: 16.97 and 6.94 for the widths 0.05 and 0.10.
const EXPONENTS: [(f64, f64); 2] = [(0.05, 16.97), (0.10, 6.94)];

struct Set(f64);

impl ModuleMapper for Set {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|x| x.full_like(self.0))
    }
}

fn set(value: f64) -> Linear {
    LinearConfig::new(1, 1)
        .with_bias(false)
        .init(&device())
        .map(&mut Set(value))
}

/// A path of weights that curves, in [-1, 1].
fn path(step: u64, steps: u64) -> f64 {
    let t = step as f64 / steps as f64;
    (5.0 * t).sin() * (1.0 - 0.3 * t)
}

/// The mean of the path under the profile of an exponent, by Simpson's rule in `u = t^(gamma + 1)`.
fn mean_of_path(gamma: f64) -> f64 {
    let parts = 100_000;
    let at = |i: usize| {
        path(0, 1) + {
            let t = (i as f64 / parts as f64).powf(1.0 / (gamma + 1.0));
            (5.0 * t).sin() * (1.0 - 0.3 * t)
        }
    };
    let inner: f64 = (1..parts)
        .map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * at(i))
        .sum();
    (at(0) + inner + at(parts)) / (3.0 * parts as f64)
}

/// The average of the path as one decay per step makes it.
fn kept(gamma: f64, steps: u64) -> Vec<f64> {
    let mut average = 0.0;
    (1..=steps)
        .map(|step| {
            let decay = (1.0 - 1.0 / step as f64).powf(gamma + 1.0);
            average = decay * average + (1.0 - decay) * path(step, steps);
            average
        })
        .collect()
}

fn write_snapshots(folder: &Path, steps: u64, every: u64) {
    let place = folder.join(SNAPSHOTS_FOLDER);
    std::fs::create_dir_all(&place).unwrap();
    for (width, gamma) in exact_exponents() {
        for (i, average) in kept(gamma, steps).into_iter().enumerate() {
            let step = i as u64 + 1;
            if step.is_multiple_of(every) {
                let name = format!("step-{step:08}-width-{width}.safetensors");
                save_weights(&set(average), &place.join(name)).unwrap();
            }
        }
    }
}

/// The widths of the snapshots, with the roots of `w^2 (g + 2)^2 (g + 3) = g + 1`, found by Newton's method.
fn exact_exponents() -> [(f64, f64); 2] {
    EXPONENTS.map(|(width, start)| (width, exponent(width, start)))
}

fn exponent(width: f64, start: f64) -> f64 {
    let mut gamma = start;
    for _ in 0..50 {
        let s = width * width;
        let value = s * (gamma + 2.0).powi(2) * (gamma + 3.0) - gamma - 1.0;
        let slope = s * ((gamma + 2.0).powi(2) + 2.0 * (gamma + 2.0) * (gamma + 3.0)) - 1.0;
        gamma -= value / slope;
    }
    gamma
}

#[test]
fn widths_have_the_exponents_of_the_paper() {
    for ((width, gamma), (_, quoted)) in exact_exponents().into_iter().zip(EXPONENTS) {
        assert!((gamma - quoted).abs() < 0.005, "{width}: {gamma}");
    }
}

/// The distance, in the mean square, between the profiles of some widths and the nearest combinations of 20 snapshots of each of
/// the two that are kept; by numpy's `lstsq`.
const DISTANCES: [(f64, f64, f64); 5] = [
    (0.05, 17.0, 0.0),
    (0.1, 7.0, 0.0),
    (0.07, 11.0, 0.0063),
    (0.15, 4.0, 0.0093),
    (0.2, 2.0, 0.0203),
];

/// By Cauchy and Schwarz an average of a path in [-1, 1] is off by that distance at most, and by one update of 2000 and rounding.
#[test]
fn any_width_is_made_afterwards() {
    let folder = tempdir().unwrap();
    let steps = 2000;
    write_snapshots(folder.path(), steps, 100);
    let snapshots = Snapshots::open(folder.path()).unwrap();
    assert_eq!(snapshots.step(), steps);
    for (width, start, distance) in DISTANCES {
        let at = |width: f64| *kept(exponent(width, start), steps).last().unwrap();
        let average = snapshots.average(width, &set(0.0)).unwrap();
        let found = weights(&average)[0][0];
        let bound = distance + 1.0 / steps as f64;
        assert_close(&format!("width {width}"), &[found], &[at(width)], bound);
        // The control: the average of another width is beyond the bound.
        let other = at(1.5 * width);
        assert!(
            (found - other).abs() > bound,
            "width {width}: {found}, {other}"
        );
    }
}

#[test]
fn one_decay_per_step_makes_the_profile() {
    let steps = 2000;
    for (width, gamma) in exact_exponents() {
        let found = *kept(gamma, steps).last().unwrap();
        let bound = 10.0 / steps as f64;
        assert_close(&format!("{width}"), &[found], &[mean_of_path(gamma)], bound);
    }
}

fn with_snapshots() -> TrainingConfig {
    TrainingConfig {
        steps: 12,
        post_hoc: Some(PostHocConfig {
            every: 4,
            ..PostHocConfig::default()
        }),
        ..config()
    }
}

/// The run's own averages of the two widths are those of its weights, and come back exactly from their snapshots.
#[test]
fn a_run_keeps_its_snapshots() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        checkpoint_every: 1,
        ..with_snapshots()
    };
    let mut trainer = trainer(config, model(small()));
    let mut expected = trainer.average().clone();
    let mut step = 0;
    trainer
        .run(folder.path(), |event| {
            if let tweedie_training::Event::Checkpoint(checkpoint) = event {
                step += 1;
                let (network, _) = crate::support::networks(&small(), checkpoint);
                let decay = (1.0 - 1.0 / f64::from(step)).powf(exponent(0.05, 17.0) + 1.0);
                let start = expected.clone();
                expected = averaged(expected.clone(), &renamed(network, &start), decay);
            }
            tweedie_training::Flow::Continue
        })
        .unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path().join(SNAPSHOTS_FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let snapshots = Snapshots::open(folder.path()).unwrap();
    assert_eq!(snapshots.step(), 12);
    let found = snapshots.average(0.05, trainer.average()).unwrap();
    // The combination is one times one snapshot and nothing of the others, to the rounding of its coefficients.
    assert_close(
        "width 0.05",
        &weights(&found).concat(),
        &weights(&expected).concat(),
        1e-5,
    );
    assert_ne!(weights(&found), weights(trainer.average()));
}

/// Those of another run in the same folder would pass for later ones.
#[test]
fn snapshots_of_lost_work_are_removed() {
    let folder = tempdir().unwrap();
    run(
        &mut trainer(with_snapshots(), model(small())),
        folder.path(),
        None,
    )
    .unwrap();
    assert_eq!(Snapshots::open(folder.path()).unwrap().step(), 12);
    std::fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
    run(
        &mut trainer(with_snapshots(), model(small())),
        folder.path(),
        Some(5),
    )
    .unwrap();
    assert_eq!(Snapshots::open(folder.path()).unwrap().step(), 4);
}

#[test]
fn an_average_is_written_as_a_model() {
    let folder = tempdir().unwrap();
    let mut trainer = trainer(with_snapshots(), model(small()));
    run(&mut trainer, folder.path(), None).unwrap();
    let snapshots = Snapshots::open(folder.path()).unwrap();
    let average = snapshots.average(0.07, trainer.average()).unwrap();
    let place = folder.path().join("model");
    trainer.save_network(&average, &place).unwrap();
    let opened = Pretrained::open(&place, &device()).unwrap();
    let expected = model(small()).denoiser(average).unwrap();
    let others = model(small()).denoiser(trainer.average().clone()).unwrap();
    let noisy = Rng::seeded(2, &device()).normal([1, 1, 8, 8]);
    let found = values(&opened.denoiser().denoise(noisy.clone(), 0.5));
    assert_eq!(found, values(&expected.denoise(noisy.clone(), 0.5)));
    assert_ne!(found, values(&others.denoise(noisy, 0.5)));
}

/// `network` with the names that the parameters of `names` have.
fn renamed<M: Module>(network: M, names: &M) -> M {
    struct Names(Vec<burn::module::ParamId>);
    impl burn::module::ModuleVisitor for Names {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    impl ModuleMapper for Names {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, value, mapper) = param.consume();
            Param::from_mapped_value(self.0.remove(0), value, mapper)
        }
    }
    let mut found = Names(Vec::new());
    names.visit(&mut found);
    network.map(&mut found)
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = stopped_after(2);
    let error = Snapshots::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, TrainingError::NoSnapshots { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("post_hoc"), "{error}");

    let folder = tempdir().unwrap();
    write_snapshots(folder.path(), 100, 50);
    let snapshots = Snapshots::open(folder.path()).unwrap();
    for width in [0.0, -0.1, 0.3, f64::NAN] {
        let error = snapshots.average(width, &set(0.0)).unwrap_err();
        assert!(
            matches!(error, TrainingError::Setting { field: "width", .. }),
            "{error}"
        );
    }
    let stranger = task(model(small()));
    let network = tweedie_training::Task::init(&stranger, 0, &device()).unwrap();
    assert!(snapshots.average(0.1, &network).is_err());

    for (widths, every) in [
        ([0.1, 0.1], 1),
        ([0.0, 0.1], 1),
        ([0.1, 0.5], 1),
        ([0.1, 0.2], 0),
    ] {
        let config = TrainingConfig {
            post_hoc: Some(PostHocConfig { widths, every }),
            ..config()
        };
        assert!(config.validate().is_err(), "{widths:?}, {every}");
    }
}
