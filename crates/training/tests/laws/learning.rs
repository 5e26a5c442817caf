//! Training makes the loss smaller, and visits the images in the order that it should.

use std::sync::{Arc, Mutex};

use burn::data::dataset::{Dataset, DatasetError};
use tweedie_data::Example;
use tweedie_testkit::device;
use tweedie_training::{
    Diffusion, DiffusionConfig, Distance, Event, Examples, Flow, ObjectiveConfig, Trainer,
    TrainingConfig, Weighting,
};

use crate::support::{config, held_out, images, model, phantoms, run, small, task, trainer};

fn longer() -> TrainingConfig {
    TrainingConfig {
        steps: 80,
        batch_size: 16,
        learning_rate: 1e-2,
        warmup_steps: 5,
        ema_decays: vec![0.9],
        ..config()
    }
}

/// The same noise levels and noise before and after, so the two numbers are paired: an untrained network answers zero, and its
/// loss is that of the noise itself, `1 +- sqrt(2/N)`.
#[test]
fn loss_falls_well_below_that_of_the_untrained_network() {
    let pixels = 64.0 * 64.0;
    let mut trainer = Trainer::new(
        longer(),
        task(model(small())),
        images(),
        phantoms(1, 64, 8),
        &device(),
    )
    .unwrap();
    let before = trainer.validate().unwrap().record;
    let error = (2.0_f64 / pixels).sqrt();
    assert!((before.loss - 1.0).abs() < 4.9 * error, "{before:?}");
    let folder = tempfile::tempdir().unwrap();
    run(&mut trainer, folder.path(), None).unwrap();
    let after = trainer.validate().unwrap().record;
    assert_eq!((before.step, after.step), (0, 80));
    assert!(
        after.loss < before.loss - 10.0 * error,
        "before {}, after {}, standard error {error}",
        before.loss,
        after.loss
    );
}

/// Losses of the first steps, exactly.
fn history(config: TrainingConfig) -> Vec<u64> {
    history_of(trainer(config, model(small())))
}

fn history_of(mut trainer: Trainer<Diffusion>) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    trainer
        .run(folder.path(), |event| {
            if let Event::Step(step) = event {
                losses.push(step.loss.to_bits());
            }
            Flow::Continue
        })
        .unwrap();
    losses
}

#[test]
fn a_run_depends_on_its_seed_and_on_nothing_else() {
    let other = TrainingConfig {
        seed: 8,
        ..config()
    };
    assert_eq!(history(config()), history(config()));
    assert_ne!(history(config()), history(other));
}

#[test]
fn every_distance_has_losses_of_its_own() {
    let histories = [Distance::L2, Distance::L1, Distance::Huber].map(|distance| {
        let diffusion = DiffusionConfig {
            objective: ObjectiveConfig::Denoising {
                weighting: Weighting::default(),
                distance,
            },
            ..DiffusionConfig::default()
        };
        let task = Diffusion::new(model(small()), diffusion).unwrap();
        let config = TrainingConfig {
            steps: 3,
            ..config()
        };
        history_of(Trainer::new(config, task, images(), held_out(), &device()).unwrap())
    });
    assert_ne!(histories[0], histories[1]);
    assert_ne!(histories[0], histories[2]);
    assert_ne!(histories[1], histories[2]);
}

#[test]
fn validation_does_not_disturb_the_run() {
    let often = TrainingConfig {
        validate_every: 1,
        ..config()
    };
    let never = TrainingConfig {
        validate_every: 0,
        ..config()
    };
    assert_eq!(history(often), history(never));
}

/// A learning rate that no weight can feel, so that nothing but the numbers drawn could change.
#[test]
fn validation_draws_the_same_numbers_each_time() {
    let config = TrainingConfig {
        learning_rate: 1e-30,
        ema_decays: vec![0.0],
        validate_every: 3,
        ..config()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    trainer(config, model(small()))
        .run(folder.path(), |event| {
            if let Event::Validation { record, .. } = event {
                losses.push(record.loss.to_bits());
            }
            Flow::Continue
        })
        .unwrap();
    assert_eq!(losses, [losses[0]; 4]);
}

/// Notes which images are read.
struct Recorded {
    images: Examples,
    read: Mutex<Vec<usize>>,
}

impl Dataset<Example> for Recorded {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        self.read.lock().unwrap().push(index);
        self.images.get(index)
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

/// The images of each epoch, in the order in which they were read.
fn epochs(seed: u64) -> Vec<Vec<usize>> {
    let recorded = Arc::new(Recorded {
        images: images(),
        read: Mutex::new(Vec::new()),
    });
    let config = TrainingConfig {
        steps: 15,
        seed,
        ..config()
    };
    let mut trainer = Trainer::new(
        config,
        task(model(small())),
        recorded.clone(),
        held_out(),
        &device(),
    )
    .unwrap();
    recorded.read.lock().unwrap().clear();
    let folder = tempfile::tempdir().unwrap();
    run(&mut trainer, folder.path(), None).unwrap();
    let read = recorded.read.lock().unwrap();
    read.chunks(20).map(<[usize]>::to_vec).collect()
}

#[test]
fn an_epoch_shows_every_image_once_but_those_left_over() {
    let epochs = epochs(7);
    assert_eq!(epochs.len(), 3);
    for epoch in &epochs {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 20, "{epoch:?}");
        assert!(*sorted.last().unwrap() < 22);
        assert_ne!(&sorted, epoch, "not shuffled");
    }
    assert_ne!(epochs[0], epochs[1]);
    assert_ne!(epochs[1], epochs[2]);
    assert_ne!(epochs, self::epochs(8));
}
