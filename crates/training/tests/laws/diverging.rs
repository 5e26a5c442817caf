//! A run whose numbers grow out of bounds stops before it spoils what is on disk.

use std::{fs, path::Path};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Device, Tensor},
};
use tempfile::tempdir;
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{Network, save_weights};
use tweedie_testkit::device;
use tweedie_training::{
    Checkpoint, Diffusion, Level, Task, Trainer, TrainingConfig, TrainingError,
};

use crate::support::{
    config, first_batch, held_out, images, latest, model, networks, resumed, run, small,
    stopped_after, task, trainer, weights,
};

fn explosive() -> TrainingConfig {
    TrainingConfig {
        learning_rate: 1e30,
        warmup_steps: 0,
        validate_every: 0,
        checkpoint_every: 1,
        ..config()
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let folder = tempdir().unwrap();
    let mut trainer = trainer(explosive(), model(small()));
    let error = run(&mut trainer, folder.path(), None).unwrap_err();
    assert!(
        matches!(&error, TrainingError::NonFiniteLoss { step: 2, loss, row_loss, sigma, .. }
            if !loss.is_finite() && !row_loss.is_finite() && *sigma > 0.0),
        "{error}"
    );
    let checkpoint = latest(folder.path());
    let message = error.to_string();
    for part in [
        "step 2",
        "noise level",
        checkpoint.folder().to_str().unwrap(),
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(checkpoint.step(), 1);
    let again = resumed(&checkpoint, explosive(), model(small())).unwrap();
    assert_eq!(again.step(), 1);
    assert_eq!(weights(again.average()), weights(trainer.average()));
    assert_eq!(trainer.step(), 1);
    let steps = fs::read_to_string(folder.path().join("steps.csv")).unwrap();
    assert_eq!(steps.lines().count(), 2, "{steps}");
}

/// The weights explode in the very step after which a checkpoint would be written.
#[test]
fn a_validation_that_is_no_number_stops_the_run_before_the_checkpoint() {
    let folder = tempdir().unwrap();
    let config = TrainingConfig {
        validate_every: 1,
        ..explosive()
    };
    let error = run(&mut trainer(config, model(small())), folder.path(), None).unwrap_err();
    assert!(
        matches!(error, TrainingError::NonFiniteValidation { step: 1, loss, row_loss, sigma, checkpoint: None }
            if !loss.is_finite() && !row_loss.is_finite() && sigma > 0.0),
        "{error}"
    );
    assert!(Checkpoint::latest(&folder.path().join("checkpoints")).is_err());
}

/// An answer that is far off, from large activations: the loss is about 1e35, and the gradient of its weights is about 1e20, whose
/// square is no single-precision number.
struct Inflate;

impl ModuleMapper for Inflate {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|x| match x.dims()[..] {
            // The output's bias.
            [1] => x.full_like(4e17),
            // Weights and biases of norms, among others.
            [4] => x.full_like(1e3),
            _ => x,
        })
    }
}

#[test]
fn a_gradient_that_is_no_number_stops_the_run() {
    let folder = stopped_after(3);
    let checkpoint = latest(folder.path());
    let inflated: Network = networks(&small(), &checkpoint).0.map(&mut Inflate);
    save_weights(&inflated, &checkpoint.folder().join("weights.safetensors")).unwrap();
    let mut trainer = resumed(&checkpoint, config(), model(small())).unwrap();
    let error = trainer.advance(first_batch()).unwrap_err();
    assert!(
        matches!(&error, TrainingError::NonFiniteGradient { step: 4, norm, loss, checkpoint: Some(path), .. }
            if !norm.is_finite() && loss.is_finite() && path == checkpoint.folder()),
        "{error}"
    );
    assert_eq!(trainer.step(), 3);
}

/// The usual network, whose rows have these losses at noise levels 1, 2, 3 and 4.
struct Losing(Diffusion, [f32; 4]);

impl Task for Losing {
    type Network = Network;

    fn init(&self, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        self.0.init(seed, device)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        self.0.check(example)
    }

    fn levels(&self, rows: usize, _: &mut Rng) -> Vec<Level> {
        let level = |row| Level {
            sigma: row as f64,
            ..Level::NONE
        };
        (1..=rows).map(level).collect()
    }

    fn losses(
        &self,
        network: &Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let losses = self.0.losses(network, batch, levels, rng);
        let own = Tensor::from_floats(self.1, &losses.device());
        losses.mul_scalar(0.0) + own
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        self.0.save(folder)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        self.0.is_in(folder)
    }
}

/// What is no number is worse than infinity, and that worse than all others, of either sign.
#[test]
fn the_worst_row_is_told() {
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    for (losses, worst) in [
        ([1.0, infinity, 3.0, 2.0], 2),
        ([1.0, 9.0, -infinity, 2.0], 3),
        ([infinity, 9.0, -infinity, nan], 4),
        ([-nan, infinity, 1.0, 2.0], 1),
    ] {
        let task = Losing(task(model(small())), losses);
        let mut trainer = Trainer::new(config(), task, images(), held_out(), &device()).unwrap();
        let error = trainer.advance(first_batch()).unwrap_err();
        let expected = losses[worst - 1];
        assert!(
            matches!(error, TrainingError::NonFiniteLoss { row_loss, sigma, .. }
                if sigma == worst as f64 && (row_loss as f32 == expected || row_loss.is_nan() && expected.is_nan())),
            "{losses:?}: {error}"
        );
    }
}
