//! Interrupted and resumed equals uninterrupted, bit for bit.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use burn::{
    module::Param,
    nn::{DropoutConfig, Linear, LinearConfig},
    store::{BurnpackStore, ModuleStore},
    tensor::{Bytes, Device, Tensor},
};
use tempfile::{TempDir, tempdir};
use tweedie_core::{NoiseLabel, Rng};
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{ModelConfig, UNetConfig};
use tweedie_testkit::device;
use tweedie_training::{
    Checkpoint, Diffusion, DiffusionConfig, LearningRateDecay, Level, LevelDistribution,
    LevelsConfig, PostHocConfig, StepRecord, Task, Trainer, TrainingConfig, TrainingError,
};

use crate::support::{
    config, first_batch, held_out, images, latest, model, resumed, run, small, trainer,
};

/// The moments by name: in what order they lie in the file is no property of the run.
fn moments(checkpoint: &Checkpoint) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(checkpoint.folder().join("optimizer.bpk")).unwrap();
    let mut store = BurnpackStore::from_bytes(Some(Bytes::from_bytes_vec(bytes)));
    let tensors = store.get_all_tensors().unwrap();
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.clone().into_bytes().unwrap().to_vec()))
        .collect()
}

/// All steps, without the columns that are no functions of the seed.
fn steps(run: &Path) -> Vec<StepRecord> {
    let mut reader = csv::Reader::from_path(run.join("steps.csv")).unwrap();
    let rows = reader.deserialize().map(|row| StepRecord {
        seconds: 0.0,
        data_seconds: 0.0,
        ..row.unwrap()
    });
    rows.collect()
}

fn assert_same(found: &Path, expected: &Path) {
    let (here, there) = (latest(found), latest(expected));
    assert_eq!(here.step(), there.step());
    let names = |checkpoint: &Checkpoint| {
        let entries = fs::read_dir(checkpoint.folder()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&here), names(&there));
    for file in names(&here) {
        let read = |checkpoint: &Checkpoint| fs::read(checkpoint.folder().join(&file)).unwrap();
        // Its parameters are in no fixed order.
        let is_optimiser = file == "optimizer.bpk";
        assert!(
            is_optimiser || read(&here) == read(&there),
            "{file:?} differs"
        );
    }
    let (here, there) = (moments(&here), moments(&there));
    assert!(!here.is_empty());
    assert!(here == there, "the moments differ");
    assert_eq!(steps(found), steps(expected));
    for file in ["validation.csv", "levels.csv"] {
        let read = |run: &Path| fs::read_to_string(run.join(file)).unwrap();
        assert_eq!(read(found), read(expected), "{file}");
    }
}

fn whole(config: &TrainingConfig, model: &ModelConfig) -> TempDir {
    let folder = tempdir().unwrap();
    let outcome = run(
        &mut trainer(config.clone(), model.clone()),
        folder.path(),
        None,
    )
    .unwrap();
    assert!(outcome.finished);
    assert_eq!(steps(folder.path()).len() as u64, config.steps);
    folder
}

fn interrupted(config: &TrainingConfig, model: &ModelConfig, after: u64) -> TempDir {
    let folder = tempdir().unwrap();
    let outcome = run(
        &mut trainer(config.clone(), model.clone()),
        folder.path(),
        Some(after),
    )
    .unwrap();
    assert!(!outcome.finished);
    assert_eq!(outcome.checkpoint.step(), after);
    assert_eq!(outcome.checkpoint, latest(folder.path()));
    folder
}

fn finish(config: &TrainingConfig, model: &ModelConfig, folder: &Path) {
    let mut trainer = resumed(&latest(folder), config.clone(), model.clone()).unwrap();
    assert_eq!(trainer.step(), latest(folder).step());
    assert!(run(&mut trainer, folder, None).unwrap().finished);
}

/// Step 5 ends the first epoch; step 7 lies within the second; a validation is due after 4 and 8.
#[test]
fn resumed_equals_uninterrupted() {
    let (config, model) = (config(), model(small()));
    let expected = whole(&config, &model);
    for after in [1, 5, 7, 8, 11] {
        let folder = interrupted(&config, &model, after);
        finish(&config, &model, folder.path());
        assert_same(folder.path(), expected.path());
    }
}

#[test]
fn resumed_twice_equals_uninterrupted() {
    let (config, model) = (config(), model(small()));
    let expected = whole(&config, &model);
    let folder = interrupted(&config, &model, 3);
    let mut trainer = resumed(&latest(folder.path()), config.clone(), model.clone()).unwrap();
    run(&mut trainer, folder.path(), Some(9)).unwrap();
    finish(&config, &model, folder.path());
    assert_same(folder.path(), expected.path());
}

/// A crash leaves metrics of steps that no checkpoint has: they are made again.
#[test]
fn work_lost_in_a_crash_is_done_again() {
    let (config, model) = (config(), model(small()));
    let expected = whole(&config, &model);
    let folder = interrupted(&config, &model, 9);
    fs::remove_dir_all(latest(folder.path()).folder()).unwrap();
    assert_eq!(latest(folder.path()).step(), 5);
    assert_eq!(steps(folder.path()).len(), 9);
    // The disk was full in the middle of a line.
    let path = folder.path().join("steps.csv");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "10,0.4").unwrap();
    finish(&config, &model, folder.path());
    assert_same(folder.path(), expected.path());
}

#[test]
fn all_settings_of_the_optimiser_survive() {
    let config = TrainingConfig {
        weight_decay: 0.1,
        clip_norm: 0.05,
        ema_decays: vec![0.5],
        ..config()
    };
    let model = model(small());
    let expected = whole(&config, &model);
    let folder = interrupted(&config, &model, 6);
    finish(&config, &model, folder.path());
    assert_same(folder.path(), expected.path());
}

/// Accumulation, two devices, importance of noise levels, several averages, snapshots, a falling learning rate, patience.
#[test]
fn all_that_a_run_keeps_survives() {
    let config = TrainingConfig {
        steps: 30,
        accumulate: 2,
        ema_decays: vec![0.9, 0.5],
        patience: 100,
        learning_rate_decay: LearningRateDecay::Cosine { floor: 1e-5 },
        post_hoc: Some(PostHocConfig {
            every: 7,
            ..PostHocConfig::default()
        }),
        ..config()
    };
    // A table short enough for its losses to be known after a few steps.
    let mut model = model(small());
    model.label = NoiseLabel::Step { steps: 2 };
    let make = |checkpoint: Option<&Checkpoint>| {
        let diffusion = DiffusionConfig {
            levels: LevelsConfig {
                distribution: LevelDistribution::Importance,
                ..LevelsConfig::default()
            },
            ..DiffusionConfig::default()
        };
        let task = Diffusion::new(model.clone(), diffusion).unwrap();
        let trainer = match checkpoint {
            None => Trainer::new(config.clone(), task, images(), held_out(), &device()),
            Some(checkpoint) => {
                let config = config.clone();
                Trainer::resume(checkpoint, config, task, images(), held_out(), &device())
            }
        };
        trainer.unwrap().with_devices(&[device()]).unwrap()
    };
    let expected = tempdir().unwrap();
    run(&mut make(None), expected.path(), None).unwrap();
    // After step 7 there is a snapshot of that very step.
    for after in [7, 23] {
        let folder = tempdir().unwrap();
        run(&mut make(None), folder.path(), Some(after)).unwrap();
        let mut trainer = make(Some(&latest(folder.path())));
        assert!(run(&mut trainer, folder.path(), None).unwrap().finished);
        assert_same(folder.path(), expected.path());
        let snapshots = |run: &Path| {
            let entries = fs::read_dir(run.join("averages")).unwrap();
            let mut files: Vec<_> = entries
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (
                        path.file_name().unwrap().to_owned(),
                        fs::read(path).unwrap(),
                    )
                })
                .collect();
            files.sort();
            files
        };
        assert_eq!(snapshots(folder.path()).len(), 10);
        assert!(snapshots(folder.path()) == snapshots(expected.path()));
    }
}

#[test]
fn a_finished_run_can_be_made_longer() {
    let model = model(small());
    let short = TrainingConfig {
        steps: 8,
        ..config()
    };
    let folder = whole(&short, &model);
    finish(&config(), &model, folder.path());
    assert_same(folder.path(), whole(&config(), &model).path());
}

#[test]
fn nothing_is_left_to_do_after_the_last_step() {
    let (config, model) = (config(), model(small()));
    let folder = whole(&config, &model);
    let before = steps(folder.path());
    finish(&config, &model, folder.path());
    assert_eq!(latest(folder.path()).step(), 12);
    assert_eq!(steps(folder.path()), before);
}

/// burn's dropout layers share one generator of the process. This is the only test that has such layers: it would be disturbed
/// by another one.
#[test]
fn resumed_equals_uninterrupted_with_dropout() {
    let unet = UNetConfig {
        dropout: 0.4,
        ..small()
    };
    let (config, with, without) = (config(), model(unet), model(small()));
    let expected = whole(&config, &with);
    assert_ne!(
        steps(expected.path()),
        steps(whole(&config, &without).path()),
        "dropout does nothing"
    );
    for after in [5, 7] {
        let folder = interrupted(&config, &with, after);
        // Something else reads the generator in between.
        tweedie_core::seed_dropout(&device(), 12345);
        finish(&config, &with, folder.path());
        assert_same(folder.path(), expected.path());
    }
    each_step_and_device_drops_others();
}

/// Two rows, each on a device of its own, in two steps at the same weights.
fn each_step_and_device_drops_others() {
    let task = Dropped::default();
    let seen = task.seen.clone();
    let config = TrainingConfig {
        learning_rate: 1e-30,
        ..config()
    };
    let mut trainer = Trainer::new(config, task, images(), held_out(), &device())
        .and_then(|trainer| trainer.with_devices(&[device()]))
        .unwrap();
    for _ in 0..2 {
        trainer.advance(first_batch().part(0, 2)).unwrap();
    }
    let seen = seen.lock().unwrap();
    let [first, second] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_ne!(first[0], first[1]);
    assert_ne!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

/// The loss of a row is the mean of the weights that are not dropped.
#[derive(Default)]
struct Dropped {
    seen: Arc<Mutex<Vec<Vec<f64>>>>,
}

impl Task for Dropped {
    type Network = Linear;

    fn init(&self, _: u64, device: &Device) -> Result<Linear, TrainingError> {
        let weights: Vec<f32> = (1..=64).map(|i| (i as f32).sqrt()).collect();
        let weights = Tensor::<1>::from_floats(weights.as_slice(), device);
        let mut linear = LinearConfig::new(64, 1).with_bias(false).init(device);
        linear.weight = Param::from_tensor(weights.reshape([64, 1]));
        Ok(linear)
    }

    fn check(&self, _: &Example) -> Result<(), TrainingError> {
        Ok(())
    }

    fn has_dropout(&self) -> bool {
        true
    }

    fn losses(&self, network: &Linear, batch: ExampleBatch, _: &[Level], _: &mut Rng) -> Tensor<1> {
        let weights = network.weight.val().reshape([1, 64]);
        let rows = weights.repeat_dim(0, batch.len());
        let kept = DropoutConfig::new(0.5).init().forward(rows);
        kept.mean_dim(1).reshape([batch.len()])
    }

    fn observe(&mut self, _: &[Level], losses: &[f64]) {
        self.seen.lock().unwrap().push(losses.to_vec());
    }

    fn save(&self, _: &Path) -> Result<(), TrainingError> {
        Ok(())
    }

    fn is_in(&self, _: &Path) -> Result<bool, TrainingError> {
        Ok(true)
    }
}
