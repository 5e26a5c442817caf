//! A step that is cut over micro-batches, devices and precisions is the step in one piece, up to rounding.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{Network, Precision};
use tweedie_testkit::{assert_close, device};
use tweedie_training::{
    Diffusion, Level, StepRecord, Task, Trainer, TrainingConfig, TrainingError,
};

use crate::support::{
    config, first_batch, held_out, images, model, run, small, task, trainer, weights,
};

/// What a first step gives: its record, and the weights after it, as their average shows them.
fn step(accumulate: usize, devices: usize, precision: Precision) -> (StepRecord, Vec<f64>) {
    let config = TrainingConfig {
        accumulate,
        precision,
        warmup_steps: 0,
        ..config()
    };
    let others = vec![device(); devices - 1];
    let mut trainer = trainer(config, model(small()))
        .with_devices(&others)
        .unwrap();
    let record = trainer.advance(first_batch()).unwrap();
    (record, weights(trainer.average()).concat())
}

/// Parts of one, two and four rows, and of unequal numbers of them.
const CUTS: [(usize, usize); 6] = [(2, 1), (3, 1), (4, 1), (1, 2), (2, 2), (1, 3)];

/// Losses are means of the same numbers, gradients sums of the same numbers in another order.
#[test]
fn a_step_in_parts_is_the_step_in_one_piece() {
    let (whole, expected) = step(1, 1, Precision::F32);
    for (accumulate, devices) in CUTS {
        let (record, found) = step(accumulate, devices, Precision::F32);
        let near = |name: &str, found: f64, expected: f64| {
            let bound = 1e-5 * expected.abs();
            assert_close(
                &format!("{name} of {accumulate} x {devices}"),
                &[found],
                &[expected],
                bound,
            );
        };
        near("loss", record.loss, whole.loss);
        near("norm", record.gradient_norm, whole.gradient_norm);
        // Adam's first step has the length of the learning rate, whatever the gradient's size is.
        let bound = 1e-4 * config().learning_rate;
        assert_close("weights", &found, &expected, bound);
    }
}

/// The usual task with other weights of its levels.
struct Weighted(Diffusion, [f64; 4]);

impl Task for Weighted {
    type Network = Network;

    fn init(&self, seed: u64, device: &Device) -> Result<Network, TrainingError> {
        self.0.init(seed, device)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        self.0.check(example)
    }

    fn levels(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        let levels = self.0.levels(4, rng).into_iter().zip(self.1);
        levels
            .map(|(level, weight)| Level { weight, ..level })
            .take(rows)
            .collect()
    }

    fn losses(
        &self,
        network: &Network,
        batch: ExampleBatch,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        self.0.losses(network, batch, levels, rng)
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        self.0.save(folder)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        self.0.is_in(folder)
    }
}

/// `sum_i w_i L_i / B`, of which one row is left where the others weigh nothing.
#[test]
fn each_row_has_the_weight_of_its_level() {
    let weighted = |weights: [f64; 4], rows: usize, accumulate: usize, devices: usize| {
        let config = TrainingConfig {
            accumulate,
            ..config()
        };
        let task = Weighted(task(model(small())), weights);
        let mut trainer = Trainer::new(config, task, images(), held_out(), &device())
            .and_then(|trainer| trainer.with_devices(&vec![device(); devices - 1]))
            .unwrap();
        trainer.advance(first_batch().part(0, rows)).unwrap()
    };
    let near = |found: f64, expected: f64| {
        assert_close("weighted", &[found], &[expected], 1e-5 * expected);
    };
    let alone = weighted([1.0, 0.0, 0.0, 0.0], 1, 1, 1);
    let first = weighted([4.0, 0.0, 0.0, 0.0], 4, 1, 1);
    near(first.loss, alone.loss);
    near(first.gradient_norm, alone.gradient_norm);

    let weights = [1.0, 2.0, 4.0, 8.0];
    let parts = (0..4).map(|row| {
        let mut one = [0.0; 4];
        one[row] = weights[row];
        weighted(one, 4, 1, 1).loss
    });
    let expected = parts.sum();
    let whole = weighted(weights, 4, 1, 1);
    near(whole.loss, expected);
    for (accumulate, devices) in CUTS {
        let found = weighted(weights, 4, accumulate, devices);
        near(found.loss, expected);
        near(found.gradient_norm, whole.gradient_norm);
    }
}

/// A gradient of about 1e-8 shows its size in Adam's first step: a bound above its norm does not lengthen it.
#[test]
fn a_bound_never_lengthens_a_gradient() {
    let after = |clip_norm: f64, weight: f64| {
        let config = TrainingConfig {
            clip_norm,
            ..config()
        };
        let task = Weighted(task(model(small())), [weight; 4]);
        let mut trainer = Trainer::new(config, task, images(), held_out(), &device()).unwrap();
        trainer.advance(first_batch()).unwrap();
        weights(trainer.average())
    };
    assert_eq!(after(1.0, 1e-8), after(0.0, 1e-8));
    // The control: the size is seen.
    assert_ne!(after(0.0, 1e-8), after(0.0, 1.0));
}

/// The control: one row less is another step by far.
#[test]
fn a_step_without_one_row_is_another() {
    let (whole, _) = step(1, 1, Precision::F32);
    let mut trainer = trainer(config(), model(small()));
    let record = trainer.advance(first_batch().part(0, 3)).unwrap();
    assert!((record.loss - whole.loss).abs() > 1e-3 * whole.loss);
    assert!((record.gradient_norm - whole.gradient_norm).abs() > 1e-3 * whole.gradient_norm);
}

#[test]
fn threads_do_not_change_the_result() {
    let once = step(1, 2, Precision::F32);
    for _ in 0..5 {
        let again = step(1, 2, Precision::F32);
        assert_eq!(again.0.loss.to_bits(), once.0.loss.to_bits());
        assert_eq!(again.1, once.1);
    }
}

/// A whole run, whose later gradients come from all layers.
#[test]
fn a_run_on_two_devices_is_the_run_on_one() {
    let losses = |devices: usize| {
        let mut trainer = trainer(config(), model(small()))
            .with_devices(&vec![device(); devices - 1])
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(run(&mut trainer, folder.path(), None).unwrap().finished);
        trainer.validate().unwrap().record.loss
    };
    let (one, two) = (losses(1), losses(2));
    // Rounding is amplified by Adam where a gradient is nearly nothing: twelve steps of it, on a loss of about 1.
    assert_close("loss", &[two], &[one], 1e-3);
    assert_ne!(one, 0.0);
}

/// bf16 has 8 bits: each number of the two passes is off by 2^-8 of itself at most, the output's weights by less on average.
#[test]
fn half_precision_is_near_and_its_master_weights_are_single() {
    let (single, expected) = step(1, 1, Precision::F32);
    let (half, found) = step(1, 1, Precision::Bf16);
    assert_ne!(half.gradient_norm, single.gradient_norm);
    assert_close(
        "loss",
        &[half.loss],
        &[single.loss],
        2.0_f64.powi(-8) * single.loss,
    );
    let bound = 4.0 * 2.0_f64.powi(-8) * single.gradient_norm;
    assert_close(
        "norm",
        &[half.gradient_norm],
        &[single.gradient_norm],
        bound,
    );
    // Adam's first step is the learning rate with the gradient's sign; weights rounded to bf16 would be off by 2^-9 of them.
    let rate = config().learning_rate;
    let other_sign = found
        .iter()
        .zip(&expected)
        .filter(|(found, expected)| (*found - *expected).abs() > 1e-3 * rate)
        .count();
    assert!(
        other_sign * 50 < found.len(),
        "{other_sign} of {}",
        found.len()
    );
}

#[test]
fn half_precision_learns() {
    let config = TrainingConfig {
        precision: Precision::Bf16,
        accumulate: 2,
        ..config()
    };
    let mut trainer = trainer(config, model(small()));
    let before = trainer.validate().unwrap().record.loss;
    let folder = tempfile::tempdir().unwrap();
    run(&mut trainer, folder.path(), None).unwrap();
    assert!(trainer.validate().unwrap().record.loss < before);
}

#[test]
fn eleven_bits_without_scaled_losses_are_refused() {
    let config = TrainingConfig {
        precision: Precision::F16,
        ..config()
    };
    let error = config.validate().unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::Precision {
                found: Precision::F16
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("expected f32"), "{error}");
}

#[test]
fn more_parts_than_images_are_refused() {
    let parts = |accumulate: usize, devices: usize| {
        let config = TrainingConfig {
            accumulate,
            ..config()
        };
        let task = task(model(small()));
        Trainer::new(config, task, images(), held_out(), &device())
            .and_then(|trainer| trainer.with_devices(&vec![device(); devices - 1]))
            .err()
    };
    for (accumulate, devices) in [(0, 1), (5, 1), (3, 2), (1, 5)] {
        let error = parts(accumulate, devices).unwrap();
        assert!(
            matches!(
                error,
                TrainingError::Setting {
                    field: "accumulate",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(parts(2, 2).is_none());
}

/// Devices that are named again take the place of those before: a batch of four has eight parts on none of them.
#[test]
fn devices_are_replaced_by_the_next() {
    let config = TrainingConfig {
        accumulate: 2,
        ..config()
    };
    let record = |counts: &[usize]| {
        let mut trainer = trainer(config.clone(), model(small()));
        for &count in counts {
            trainer = trainer.with_devices(&vec![device(); count - 1]).unwrap();
        }
        let record = trainer.advance(first_batch()).unwrap();
        (record.loss, record.gradient_norm)
    };
    assert_eq!(record(&[2, 2, 1]), record(&[]));
    assert_eq!(record(&[2, 2]), record(&[2]));
}
