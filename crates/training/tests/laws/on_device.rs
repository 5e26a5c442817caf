//! What must hold on every backend: the same step of training.

use std::path::Path;

use serde::Deserialize;
use tweedie_testkit::{assert_close, golden};
use tweedie_training::TrainingConfig;

use crate::support::{config, first_batch, model, small, trainer, weights};

/// One step, as made on flex.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    loss: f64,
    gradient_norm: f64,
    /// Average of the output layer's weights and biases, after the step.
    output: Vec<f64>,
    /// Loss of that average on the held-out images.
    validation: f64,
}

#[test]
fn one_step_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/step.json");
    let expected: Golden = golden(path);
    let config = TrainingConfig {
        warmup_steps: 0,
        ..config()
    };
    let rate = config.learning_rate;
    let mut trainer = trainer(config, model(small()));
    let before = weights(trainer.average());
    let step = trainer.advance(first_batch()).unwrap();
    let after = weights(trainer.average());
    let hidden = before.len() - 2;
    // Only the output layer is not silent before the first step, so only it has a gradient; the others are averaged with
    // themselves, which rounds.
    assert_close(
        "hidden weights",
        &after[..hidden].concat(),
        &before[..hidden].concat(),
        2.0 * f64::from(f32::EPSILON),
    );
    // Adam's first step is of the length of the learning rate in every weight.
    assert_close(
        "output weights",
        &after[hidden..].concat(),
        &expected.output,
        1e-4 * rate,
    );
    let validation = trainer.validate().unwrap().record.loss;
    // Twenty layers in a row, each with a relative rounding error of a few times 6e-8.
    for (name, found, expected) in [
        ("loss", step.loss, expected.loss),
        ("gradient norm", step.gradient_norm, expected.gradient_norm),
        ("validation", validation, expected.validation),
    ] {
        assert_close(name, &[found], &[expected], 1e-5 * expected);
    }
}
