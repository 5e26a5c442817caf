//! What is measured on images held out, the end of patience, and the data that a step waits for.

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use burn::{
    data::dataset::{Dataset, DatasetError},
    tensor::{Device, Tensor},
};
use tempfile::tempdir;
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::Network;
use tweedie_testkit::{assert_close, device};
use tweedie_training::{
    Diffusion, DiffusionConfig, Event, Examples, Flow, Level, LevelDistribution, LevelRecord,
    PostHocConfig, Snapshots, Task, Trainer, TrainingConfig, TrainingError, ValidationRecord,
};

use crate::support::{
    config, held_out, images, latest, model, phantoms, resumed, run, small, task, trainer,
};

fn untrained(held_out: Examples, config: TrainingConfig) -> Trainer<Diffusion> {
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
        .all(|two| two[0].sigma_min < two[0].sigma_max && two[0].sigma_max <= two[1].sigma_min);
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

#[test]
fn one_level_makes_no_classes() {
    let mut model = model(small());
    model.only_sigma = Some(0.3);
    let mut config = DiffusionConfig::default();
    config.levels.distribution = LevelDistribution::One { sigma: 0.3 };
    let task = Diffusion::new(model, config).unwrap();
    let trainer = Trainer::new(
        crate::support::config(),
        task,
        images(),
        held_out(),
        &device(),
    );
    let found = trainer.unwrap().validate().unwrap();
    assert!(found.levels.is_empty(), "{:?}", found.levels);
    assert!(found.record.loss > 0.0);
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

/// Validation `k` weighs all its rows alike, with number `k`.
struct Weighed {
    task: Diffusion,
    weights: Vec<f64>,
    validations: AtomicUsize,
}

impl Task for Weighed {
    type Network = Network;

    fn init(&self, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        self.task.init(seed, device)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        self.task.check(example)
    }

    fn levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        self.task.levels(rows, rng)
    }

    fn validation_levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        let weight = self.weights[self.validations.fetch_add(1, Ordering::Relaxed)];
        let levels = self.task.validation_levels(rows, rng).into_iter();
        levels.map(|level| Level { weight, ..level }).collect()
    }

    fn losses(
        &self,
        network: &Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        self.task.losses(network, batch, levels, rng)
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        self.task.save(folder)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        self.task.is_in(folder)
    }
}

/// Patience is counted anew from each best validation; one that is as good is none.
#[test]
fn progress_restores_patience() {
    let config = TrainingConfig {
        validate_every: 1,
        ..hopeless()
    };
    let task = Weighed {
        task: task(model(small())),
        weights: vec![3.0, 4.0, 2.0, 4.0, 1.0, 1.0, 1.5],
        validations: AtomicUsize::new(0),
    };
    let mut trainer = Trainer::new(config, task, images(), held_out(), &device()).unwrap();
    let folder = tempdir().unwrap();
    let outcome = trainer.run(folder.path(), |_| Flow::Continue).unwrap();
    assert!(outcome.stopped_early);
    assert_eq!(outcome.checkpoint.step(), 7);
    assert_eq!(outcome.best.unwrap().step, 5);
}

#[test]
fn patience_that_ends_with_the_last_step_stops_nothing() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        steps: 6,
        ..hopeless()
    };
    let outcome = run(&mut trainer(config, model(small())), folder.path(), None).unwrap();
    assert!(outcome.finished && !outcome.stopped_early);
}

#[test]
fn a_run_that_stops_early_keeps_its_last_averages() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        post_hoc: Some(PostHocConfig {
            every: 4,
            ..PostHocConfig::default()
        }),
        ..hopeless()
    };
    run(&mut trainer(config, model(small())), folder.path(), None).unwrap();
    assert_eq!(Snapshots::open(folder.path()).unwrap().step(), 6);
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

/// Takes its time for each image, and notes when it was there.
struct Slow {
    each: Duration,
    made: Mutex<Vec<Instant>>,
}

impl Dataset<Example> for Slow {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        thread::sleep(self.each);
        let example = images().get(index);
        self.made.lock().unwrap().push(Instant::now());
        example
    }

    fn len(&self) -> usize {
        images().len()
    }
}

/// The work begins when the data are there, and with the wait it takes no longer than passes between two steps. Four slow images
/// are waited for longer than for one of them: seen in some step, whatever else the machine does.
#[test]
fn a_step_says_how_long_it_waited_for_its_data() {
    let slow = Arc::new(Slow {
        each: Duration::from_millis(10),
        made: Mutex::default(),
    });
    let config = TrainingConfig {
        steps: 50,
        validate_every: 0,
        ..config()
    };
    let task = task(model(small()));
    let mut trainer = Trainer::new(config, task, slow.clone(), held_out(), &device()).unwrap();
    // One was looked at.
    slow.made.lock().unwrap().clear();
    let folder = tempdir().unwrap();
    let mut before = Instant::now();
    let outcome = trainer
        .run(folder.path(), |event| {
            let Event::Step(record) = event else {
                return Flow::Continue;
            };
            let now = Instant::now();
            let (waited, worked) = (record.data_seconds, record.seconds);
            assert!(waited > 0.0 && worked > 0.0, "{record:?}");
            let passed = (now - before).as_secs_f64();
            assert!(waited + worked <= passed, "{record:?} in {passed}");
            let last = slow.made.lock().unwrap()[4 * record.step as usize - 1];
            let since = (now - last).as_secs_f64();
            assert!(worked <= since, "{record:?} within {since}");
            before = now;
            if waited > slow.each.as_secs_f64() {
                Flow::Stop
            } else {
                Flow::Continue
            }
        })
        .unwrap();
    assert!(!outcome.finished, "no step waited for its data");
}

/// Counts the images that were read.
#[derive(Default)]
struct Counted {
    read: Mutex<usize>,
    more: Condvar,
}

impl Dataset<Example> for Counted {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let example = images().get(index);
        *self.read.lock().unwrap() += 1;
        self.more.notify_all();
        example
    }

    fn len(&self) -> usize {
        images().len()
    }
}

impl Counted {
    /// How many were read, as soon as there are so many; a minute says that there never will be.
    fn once(&self, expected: usize) -> usize {
        let minute = Duration::from_secs(60);
        let read = self.read.lock().unwrap();
        let waited = self
            .more
            .wait_timeout_while(read, minute, |read| *read < expected);
        *waited.unwrap().0
    }
}

/// A step is not over before the next batch is read, and never are more than three: two that wait and one in the making.
#[test]
fn data_are_made_while_steps_are() {
    let counted = Arc::new(Counted::default());
    let config = TrainingConfig {
        steps: 24,
        ..config()
    };
    let (steps, rows) = (config.steps as usize, config.batch_size);
    let task = task(model(small()));
    let mut trainer = Trainer::new(config, task, counted.clone(), held_out(), &device()).unwrap();
    // One was looked at.
    *counted.read.lock().unwrap() = 0;
    let folder = tempdir().unwrap();
    trainer
        .run(folder.path(), |event| {
            if let Event::Step(record) = event {
                let step = record.step as usize;
                let next = rows * (step + 1).min(steps);
                let read = counted.once(next);
                assert!(
                    (next..=rows * (step + 3)).contains(&read),
                    "{read} images were read by step {step}"
                );
            }
            Flow::Continue
        })
        .unwrap();
    assert_eq!(counted.once(0), rows * steps);
}
