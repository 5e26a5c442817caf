//! What is measured on images held out, the end of patience, and the data that a step waits for.

use std::{sync::Arc, thread, time::Duration};

use burn::data::dataset::{Dataset, DatasetError};
use tempfile::tempdir;
use tweedie_data::Example;
use tweedie_testkit::{assert_close, device};
use tweedie_training::{
    Event, Examples, Flow, LevelRecord, StepRecord, Trainer, TrainingConfig, ValidationRecord,
};

use crate::support::{
    config, held_out, images, latest, model, phantoms, resumed, run, small, task, trainer,
};

fn untrained(held_out: Examples, config: TrainingConfig) -> Trainer<tweedie_training::Diffusion> {
    Trainer::new(config, task(model(small())), images(), held_out, &device()).unwrap()
}

/// An untrained network answers zero, so the loss of a row is the mean square of its noise: `1 +- sqrt(2/pixels)`, in every class.
#[test]
fn classes_of_noise_levels_share_the_validation() {
    let found = untrained(phantoms(1, 203, 8), config()).validate().unwrap();
    let rows: Vec<usize> = found.levels.iter().map(|class| class.rows).collect();
    assert_eq!(rows.iter().sum::<usize>(), 203);
    assert!(
        rows.iter().all(|&rows| rows == 25 || rows == 26),
        "{rows:?}"
    );
    let ordered = found
        .levels
        .windows(2)
        .all(|two| two[0].sigma_min <= two[0].sigma_max && two[0].sigma_max <= two[1].sigma_min);
    assert!(ordered, "{:?}", found.levels);
    for LevelRecord { rows, loss, .. } in &found.levels {
        let bound = 4.9 * (2.0 / (64 * rows) as f64).sqrt();
        assert_close("class", &[*loss], &[1.0], bound);
    }
    let mean = found
        .levels
        .iter()
        .map(|class| class.loss * class.rows as f64);
    assert_close(
        "mean",
        &[mean.sum::<f64>() / 203.0],
        &[found.record.loss],
        1e-12,
    );
}

#[test]
fn few_images_make_few_classes() {
    let found = untrained(phantoms(1, 3, 8), config()).validate().unwrap();
    assert_eq!(found.levels.len(), 3);
}

/// The numbers of a row are its own, whatever batch it is in.
#[test]
fn a_validation_does_not_depend_on_its_batches() {
    let loss = |batch_size: usize, accumulate: usize| {
        let config = TrainingConfig {
            batch_size,
            accumulate,
            ..config()
        };
        untrained(phantoms(1, 13, 8), config)
            .validate()
            .unwrap()
            .record
            .loss
    };
    let whole = loss(16, 1);
    for (batch_size, accumulate) in [(4, 1), (5, 1), (16, 5), (16, 16)] {
        assert_close("loss", &[loss(batch_size, accumulate)], &[whole], 1e-6);
    }
}

/// Nothing is learnt, so no validation is better than the first.
fn hopeless() -> TrainingConfig {
    TrainingConfig {
        learning_rate: 1e-30,
        ema_decays: vec![0.0],
        validate_every: 2,
        patience: 2,
        ..config()
    }
}

#[test]
fn patience_ends() {
    let folder = tempdir().unwrap();
    let mut trainer = trainer(hopeless(), model(small()));
    let outcome = run(&mut trainer, folder.path(), None).unwrap();
    assert!(outcome.stopped_early && !outcome.finished);
    // The first validation is the best, and two more came to nothing.
    assert_eq!(outcome.checkpoint.step(), 6);
    let best: ValidationRecord = outcome.best.unwrap();
    assert_eq!(best.step, 2);
    assert_eq!(best.loss, trainer.validate().unwrap().record.loss);

    let mut again = resumed(&latest(folder.path()), hopeless(), model(small())).unwrap();
    let outcome = run(&mut again, folder.path(), None).unwrap();
    assert!(outcome.stopped_early);
    assert_eq!(again.step(), 6);
}

#[test]
fn patience_survives_an_interruption() {
    let folder = tempdir().unwrap();
    run(
        &mut trainer(hopeless(), model(small())),
        folder.path(),
        Some(5),
    )
    .unwrap();
    let mut again = resumed(&latest(folder.path()), hopeless(), model(small())).unwrap();
    let outcome = run(&mut again, folder.path(), None).unwrap();
    assert!(outcome.stopped_early);
    assert_eq!(again.step(), 6);
}

#[test]
fn without_patience_or_with_progress_a_run_is_finished() {
    let endless = TrainingConfig {
        patience: 0,
        ..hopeless()
    };
    let learning = TrainingConfig {
        patience: 2,
        ..config()
    };
    for config in [endless, learning] {
        let folder = tempdir().unwrap();
        let outcome = run(&mut trainer(config, model(small())), folder.path(), None).unwrap();
        assert!(outcome.finished && !outcome.stopped_early);
    }
}

/// Takes its time for each image.
struct Slow(Duration);

impl Dataset<Example> for Slow {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        thread::sleep(self.0);
        images().get(index)
    }

    fn len(&self) -> usize {
        images().len()
    }
}

fn waits(each: Duration) -> Vec<StepRecord> {
    let examples = Arc::new(Slow(each));
    let config = TrainingConfig {
        steps: 5,
        validate_every: 0,
        ..config()
    };
    let task = task(model(small()));
    let mut trainer = Trainer::new(config, task, examples, held_out(), &device()).unwrap();
    let folder = tempdir().unwrap();
    let mut records = Vec::new();
    trainer
        .run(folder.path(), |event| {
            if let Event::Step(record) = event {
                records.push(record);
            }
            Flow::Continue
        })
        .unwrap();
    records
}

/// Five steps of four images, made one after the other by one thread while the steps are made by another.
#[test]
fn a_step_says_how_long_it_waited_for_its_data() {
    let each = Duration::from_millis(15);
    let records = waits(each);
    // The thread starts just before the clock does.
    assert!(records[0].data_seconds > 2.0 * each.as_secs_f64());
    let waited: f64 = records.iter().map(|record| record.data_seconds).sum();
    let worked: f64 = records[..4].iter().map(|record| record.seconds).sum();
    let needed = 20.0 * each.as_secs_f64();
    assert!(
        waited + worked > 0.8 * needed,
        "{waited} + {worked}, {needed}"
    );
}

/// A step that takes longer than its data finds them there: the first wait is the only long one.
#[test]
fn data_are_made_while_steps_are() {
    let mut trainer = untrained(
        held_out(),
        TrainingConfig {
            steps: 6,
            ..config()
        },
    );
    let folder = tempdir().unwrap();
    let mut waited = Vec::new();
    trainer
        .run(folder.path(), |event| {
            if let Event::Step(record) = event {
                waited.push(record.data_seconds);
                // The rest of a step.
                thread::sleep(Duration::from_millis(30));
            }
            Flow::Continue
        })
        .unwrap();
    // Of four small images; a thread that is not run for half of that time is the machine's doing.
    assert!(
        waited[1..].iter().all(|&seconds| seconds < 0.015),
        "{waited:?}"
    );
}
