//! Interrupted and resumed equals uninterrupted, bit for bit.

use std::{fs, path::Path};

use burn::{
    store::{BurnpackStore, ModuleStore},
    tensor::Bytes,
};
use tempfile::{TempDir, tempdir};
use tweedie_models::{ModelConfig, UNetConfig};
use tweedie_training::{Checkpoint, StepRecord, TrainingConfig};

use crate::support::{config, latest, model, resumed, run, small, trainer};

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

/// All steps, without the one column that is not a function of the seed.
fn steps(run: &Path) -> Vec<StepRecord> {
    let mut reader = csv::Reader::from_path(run.join("steps.csv")).unwrap();
    let rows = reader.deserialize().map(|row| StepRecord {
        seconds: 0.0,
        ..row.unwrap()
    });
    rows.collect()
}

fn assert_same(found: &Path, expected: &Path) {
    let (here, there) = (latest(found), latest(expected));
    assert_eq!(here.step(), there.step());
    for file in [
        "weights.safetensors",
        "ema.safetensors",
        "training.json",
        "model.json",
    ] {
        let read = |checkpoint: &Checkpoint| fs::read(checkpoint.folder().join(file)).unwrap();
        assert!(read(&here) == read(&there), "{file} differs");
    }
    let (here, there) = (moments(&here), moments(&there));
    assert!(!here.is_empty());
    assert!(here == there, "the moments differ");
    assert_eq!(steps(found), steps(expected));
    let validations = |run: &Path| fs::read_to_string(run.join("validation.csv")).unwrap();
    assert_eq!(validations(found), validations(expected));
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
    finish(&config, &model, folder.path());
    assert_same(folder.path(), expected.path());
}

#[test]
fn all_settings_of_the_optimiser_survive() {
    let config = TrainingConfig {
        weight_decay: 0.1,
        clip_norm: 0.05,
        ema_decay: 0.5,
        ..config()
    };
    let model = model(small());
    let expected = whole(&config, &model);
    let folder = interrupted(&config, &model, 6);
    finish(&config, &model, folder.path());
    assert_same(folder.path(), expected.path());
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
        tweedie_core::seed_dropout(&tweedie_testkit::device(), 12345);
        finish(&config, &with, folder.path());
        assert_same(folder.path(), expected.path());
    }
}
