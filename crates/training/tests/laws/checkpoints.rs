//! What a run leaves on disk.

use std::{fs, path::Path};

use tempfile::tempdir;
use tweedie_core::{Denoiser, Rng};
use tweedie_models::{ModelConfig, Network, Pretrained};
use tweedie_testkit::{device, values};
use tweedie_training::{Checkpoint, Event, Flow, TrainingConfig, TrainingError};

use crate::support::{config, latest, model, resumed, run, small, stopped_after, trainer};

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_has_the_files_it_promises() {
    let folder = tempdir().unwrap();
    run(&mut trainer(config(), model(small())), folder.path(), None).unwrap();
    assert_eq!(
        names(folder.path()),
        ["checkpoints", "levels.csv", "steps.csv", "validation.csv"]
    );
    let checkpoint = latest(folder.path());
    assert_eq!(
        names(checkpoint.folder()),
        [
            "ema.safetensors",
            "model.json",
            "optimizer.bpk",
            "training.json",
            "weights.safetensors"
        ]
    );
    assert_eq!(checkpoint.config().unwrap(), config());
    assert_eq!(
        ModelConfig::open(checkpoint.folder()).unwrap(),
        model(small())
    );
    let head = |file: &str| {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        head("steps.csv"),
        "step,loss,gradient_norm,learning_rate,seconds,data_seconds"
    );
    assert_eq!(head("validation.csv"), "step,loss");
    assert_eq!(head("levels.csv"), "step,sigma_min,sigma_max,rows,loss");
}

#[test]
fn the_two_latest_are_kept() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        steps: 5,
        checkpoint_every: 1,
        ..config()
    };
    run(&mut trainer(config, model(small())), folder.path(), None).unwrap();
    assert_eq!(
        names(&folder.path().join("checkpoints")),
        ["step-00000004", "step-00000005"]
    );
}

#[test]
fn events_come_when_they_are_due() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        steps: 7,
        validate_every: 3,
        sample_every: 2,
        checkpoint_every: 5,
        ..config()
    };
    let (mut steps, mut validations, mut samples, mut checkpoints) =
        (vec![], vec![], vec![], vec![]);
    trainer(config, model(small()))
        .run(folder.path(), |event| {
            match event {
                Event::Step(record) => {
                    steps.push(record.step);
                    let text = fs::read_to_string(folder.path().join("steps.csv")).unwrap();
                    assert_eq!(text.lines().count(), 1 + steps.len(), "not on disk");
                }
                Event::Validation { record, .. } => validations.push(record.step),
                Event::Samples { step, .. } => samples.push(step),
                Event::Checkpoint(checkpoint) => checkpoints.push(checkpoint.step()),
                _ => {}
            }
            Flow::Continue
        })
        .unwrap();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(validations, [3, 6, 7]);
    assert_eq!(samples, [2, 4, 6, 7]);
    assert_eq!(checkpoints, [5, 7]);
}

/// Whatever the observer was told when it says so, the run stops there and its work is kept; no validation is made that the
/// uninterrupted run would not have.
#[test]
fn stop_writes_a_checkpoint() {
    type Pick = fn(&Event<'_, Network>) -> bool;
    let cases: [(Pick, u64, usize); 4] = [
        (|e| matches!(e, Event::Step(step) if step.step == 2), 2, 0),
        (|e| matches!(e, Event::Validation { .. }), 4, 1),
        (|e| matches!(e, Event::Samples { .. }), 3, 0),
        (|e| matches!(e, Event::Checkpoint(_)), 5, 1),
    ];
    for (stops_at, step, validations) in cases {
        let folder = tempdir().unwrap();
        let config = TrainingConfig {
            sample_every: if step == 3 { 3 } else { 0 },
            ..config()
        };
        let mut trainer = trainer(config, model(small()));
        let mut validated = 0;
        let outcome = trainer
            .run(folder.path(), |event| {
                validated += usize::from(matches!(event, Event::Validation { .. }));
                if stops_at(&event) {
                    Flow::Stop
                } else {
                    Flow::Continue
                }
            })
            .unwrap();
        assert!(!outcome.finished, "step {step}");
        assert_eq!(outcome.checkpoint.step(), step);
        assert_eq!(latest(folder.path()), outcome.checkpoint);
        assert_eq!(trainer.step(), step);
        assert_eq!(validated, validations, "step {step}");
    }
}

#[test]
fn drafts_and_strangers_are_no_checkpoints() {
    let folder = stopped_after(2);
    let checkpoints = folder.path().join("checkpoints");
    for name in [
        ".draft-x1Y2z3",
        "step-",
        "step-00000009.old",
        "steps-00000009",
        "notes",
    ] {
        fs::create_dir(checkpoints.join(name)).unwrap();
    }
    assert_eq!(Checkpoint::latest(&checkpoints).unwrap().step(), 2);
}

/// A draft is what is there when the program was killed while it wrote its first checkpoint.
#[test]
fn a_folder_with_a_draft_alone_takes_a_new_run() {
    let folder = tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    fs::create_dir_all(checkpoints.join(".draft-x1Y2z3")).unwrap();
    let outcome = run(
        &mut trainer(config(), model(small())),
        folder.path(),
        Some(1),
    )
    .unwrap();
    assert_eq!(outcome.checkpoint.step(), 1);
    assert_eq!(names(&checkpoints), ["step-00000001"]);
}

/// Others may read a checkpoint if they may read the folder that it is in.
#[cfg(unix)]
#[test]
fn a_checkpoint_is_as_readable_as_its_parent() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    fs::create_dir(&checkpoints).unwrap();
    fs::set_permissions(&checkpoints, fs::Permissions::from_mode(0o751)).unwrap();
    run(
        &mut trainer(config(), model(small())),
        folder.path(),
        Some(1),
    )
    .unwrap();
    let permissions = fs::metadata(latest(folder.path()).folder())
        .unwrap()
        .permissions();
    assert_eq!(permissions.mode() & 0o777, 0o751);
}

#[test]
fn a_checkpoint_is_a_model_folder() {
    let folder = tempdir().unwrap();
    let mut trainer = trainer(config(), model(small()));
    run(&mut trainer, folder.path(), Some(3)).unwrap();
    let opened = Pretrained::open(latest(folder.path()).folder(), &device()).unwrap();
    // What samples is the average, not the last weights.
    let average = trainer.average().clone();
    let expected = model(small()).denoiser(average).unwrap();
    let noisy = Rng::seeded(2, &device()).normal([1, 1, 8, 8]);
    assert_eq!(
        values(&opened.denoiser().denoise(noisy.clone(), 0.5)),
        values(&expected.denoise(noisy, 0.5))
    );
}

#[test]
fn latest_is_by_number_and_not_by_name() {
    let folder = tempdir().unwrap();
    for name in ["step-00000009", "step-100000000", "step-99999999"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let latest = Checkpoint::latest(folder.path()).unwrap();
    assert_eq!(latest.step(), 100_000_000);
    assert!(latest.folder().ends_with("step-100000000"));
}

#[test]
fn an_empty_folder_has_no_checkpoint() {
    let folder = tempdir().unwrap();
    for place in [folder.path().to_owned(), folder.path().join("nowhere")] {
        let error = Checkpoint::latest(&place).unwrap_err();
        assert!(
            matches!(&error, TrainingError::NoCheckpoint { folder } if *folder == place),
            "{error}"
        );
        assert!(error.to_string().contains(place.to_str().unwrap()));
    }
}

#[test]
fn a_new_run_does_not_overwrite_another() {
    let folder = stopped_after(2);
    let before = fs::read(folder.path().join("steps.csv")).unwrap();
    let error = run(&mut trainer(config(), model(small())), folder.path(), None).unwrap_err();
    assert!(
        matches!(&error, TrainingError::Occupied { folder: found } if found == folder.path()),
        "{error}"
    );
    assert_eq!(fs::read(folder.path().join("steps.csv")).unwrap(), before);
    assert_eq!(latest(folder.path()).step(), 2);
}

#[test]
fn another_model_is_refused() {
    let folder = stopped_after(2);
    let checkpoint = latest(folder.path());
    let mut other = model(small());
    other.label = tweedie_core::NoiseLabel::Step { steps: 999 };
    let error = resumed(&checkpoint, config(), other).err().unwrap();
    assert!(
        matches!(&error, TrainingError::OtherModel { path } if path == checkpoint.folder()),
        "{error}"
    );
}

/// What a damaged file must lead to, and which file must be named.
fn refusal(damage: impl Fn(&Path), file: &str) -> TrainingError {
    let folder = stopped_after(2);
    let checkpoint = latest(folder.path());
    damage(&checkpoint.folder().join(file));
    let error = resumed(&checkpoint, config(), model(small())).err();
    let error = error.unwrap_or_else(|| panic!("{file} was accepted"));
    assert!(error.to_string().contains(file), "{file}: {error}");
    error
}

/// Keeps `share` of a file, in thousandths; all but the last two bytes at most, as one of them may be the end of a line.
fn cut(path: &Path, share: usize) {
    let bytes = fs::read(path).unwrap();
    let kept = (bytes.len() * share / 1000).min(bytes.len() - 2);
    fs::write(path, &bytes[..kept]).unwrap();
}

#[test]
fn files_cut_short_are_refused_by_name() {
    for share in [0, 1, 10, 100, 500, 900, 1000] {
        let error = refusal(|path| cut(path, share), "training.json");
        assert!(matches!(error, TrainingError::Json { .. }), "{error}");
        for file in ["weights.safetensors", "ema.safetensors"] {
            let error = refusal(|path| cut(path, share), file);
            assert!(matches!(error, TrainingError::Model(_)), "{error}");
        }
        let error = refusal(|path| cut(path, share), "optimizer.bpk");
        assert!(matches!(error, TrainingError::Optimiser { .. }), "{error}");
    }
}

#[test]
fn files_that_are_missing_are_refused_by_name() {
    for file in [
        "training.json",
        "weights.safetensors",
        "ema.safetensors",
        "optimizer.bpk",
        "model.json",
    ] {
        refusal(|path| fs::remove_file(path).unwrap(), file);
    }
}

#[test]
fn another_form_of_the_state_is_refused() {
    let replace = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    for (from, to, word) in [
        ("\"step\": 2", "\"step\": -2", "-2"),
        ("\"step\": 2", "\"step\": 2, \"stop\": 3", "stop"),
        ("\"seed\"", "\"sed\"", "sed"),
        // As a former version named it.
        ("\"ema_decays\"", "\"ema_decay\"", "`ema_decay`"),
    ] {
        let error = refusal(replace(from, to), "training.json");
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// The optimiser's state of a network with as many parameters, of other shapes.
#[test]
fn moments_of_another_network_are_refused() {
    let wider = tempdir().unwrap();
    let mut unet = small();
    unet.base_channels = 8;
    run(&mut trainer(config(), model(unet)), wider.path(), Some(1)).unwrap();
    let other = latest(wider.path()).folder().join("optimizer.bpk");
    let error = refusal(
        |path| {
            fs::copy(&other, path).unwrap();
        },
        "optimizer.bpk",
    );
    assert!(matches!(error, TrainingError::Optimiser { .. }), "{error}");
}

/// burn by itself would take these for an optimiser that has not started.
#[test]
fn moments_that_are_missing_are_refused() {
    use burn::optim::AdamWConfig;
    let empty = AdamWConfig::new().init().into_bytes().unwrap();
    let error = refusal(|path| fs::write(path, &empty[..]).unwrap(), "optimizer.bpk");
    assert!(matches!(error, TrainingError::Optimiser { .. }), "{error}");
}

/// Whatever happens to the file's table of contents, there is no panic, neither on loading nor in the next step.
#[test]
fn damaged_tables_of_moments_never_panic() {
    let folder = stopped_after(1);
    let checkpoint = latest(folder.path());
    let path = checkpoint.folder().join("optimizer.bpk");
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for position in (0..2000).step_by(37) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x15;
        fs::write(&path, bytes).unwrap();
        match resumed(&checkpoint, config(), model(small())) {
            Ok(mut trainer) => {
                // Other numbers are possible, for instance another count of steps.
                let next = tempdir().unwrap();
                let _ = run(&mut trainer, next.path(), Some(2));
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error, TrainingError::Optimiser { .. }), "{error}");
            }
        }
    }
    assert!(refused > 0);
}
