//! The gradient's norm, its bound, and the step that is made with it, against independent computations.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
use tweedie_core::Rng;
use tweedie_models::{Architecture, Network, load_weights};
use tweedie_testkit::{assert_close, device, values};
use tweedie_training::{Task, TrainingConfig};

use crate::support::{
    config, first_batch, latest, model, networks, resumed, run, small, stopped_after, task,
    trainer, weights,
};

struct Read<'a> {
    gradients: &'a GradientsParams,
    found: Vec<Vec<f64>>,
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id).unwrap();
        self.found.push(values(&gradient));
    }
}

/// The gradient of step `step` at the weights of `network`, tensor by tensor.
#[expect(
    clippy::disallowed_methods,
    reason = "the gradient of weights, which the loop under test takes too"
)]
fn gradient(network: &Network, step: u64) -> Vec<Vec<f64>> {
    let config = config();
    let task = task(model(small()));
    let batch = first_batch();
    // Purpose 0 of the seed's generators is training.
    let mut rng = Rng::seeded(config.seed, &device()).fork(0).fork(step);
    let levels = task.levels(
        batch.len(),
        &mut rng.fork(u64::from_be_bytes(*b"levels\0\0")),
    );
    let loss = task.losses(network, batch, &levels, &mut rng).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    let mut read = Read {
        gradients: &gradients,
        found: Vec::new(),
    };
    network.visit(&mut read);
    read.found
}

fn norm(gradient: &[Vec<f64>]) -> f64 {
    let squares = gradient.iter().flatten().map(|g| g * g);
    squares.sum::<f64>().sqrt()
}

fn untrained() -> Network {
    let autodiff = device().autodiff();
    Architecture::UNet(small())
        .init(config().seed, &autodiff)
        .unwrap()
}

/// After three steps no layer is silent any more, so all gradients count.
#[test]
fn reported_norm_is_that_of_all_gradients_together() {
    let folder = stopped_after(3);
    let checkpoint = latest(folder.path());
    let mut network = untrained();
    load_weights(
        &mut network,
        &checkpoint.folder().join("weights.safetensors"),
    )
    .unwrap();
    let gradient = gradient(&network, 4);
    assert!(gradient.iter().all(|g| g.iter().any(|g| *g != 0.0)));
    let mut trainer = resumed(&checkpoint, config(), model(small())).unwrap();
    let found = trainer.advance(first_batch()).unwrap().gradient_norm;
    // Sums of some thousand squares in single precision: the same gradients, added in another order.
    let expected = norm(&gradient);
    assert_close("norm", &[found], &[expected], 1e-5 * expected);
}

/// Adam's first step is `-rate g/(|g| + 1e-8)`: it shows the size of `g` where `g` is about 1e-8.
fn assert_first_step(config: TrainingConfig, factor: impl Fn(f64) -> f64) {
    let network = untrained();
    let gradient = gradient(&network, 1);
    let factor = factor(norm(&gradient));
    let mut trainer = trainer(config.clone(), model(small()));
    trainer.advance(first_batch()).unwrap();
    let rate = config.learning_rate_at(1);
    // The average is started at the first weights, which are known.
    let decay = 2.0 / 11.0;
    for ((before, after), gradient) in weights(&network)
        .iter()
        .zip(weights(trainer.average()))
        .zip(&gradient)
    {
        let expected: Vec<f64> = before
            .iter()
            .zip(gradient)
            .map(|(w, g)| {
                let g = g * factor;
                let next = w * (1.0 - rate * config.weight_decay) - rate * g / (g.abs() + 1e-8);
                decay * w + (1.0 - decay) * next
            })
            .collect();
        // Rounding of the weights, of size 1, and of the update.
        let tolerance = 4.0 * f64::from(f32::EPSILON) + 1e-5 * rate;
        assert_close("weights", &after, &expected, tolerance);
    }
}

#[test]
fn a_long_gradient_is_scaled_to_the_bound() {
    let config = TrainingConfig {
        clip_norm: 1e-7,
        ..config()
    };
    assert_first_step(config, |norm| 1e-7 / norm);
}

#[test]
fn a_short_gradient_is_left_alone() {
    let config = TrainingConfig {
        clip_norm: 1e6,
        ..config()
    };
    assert_first_step(config, |_| 1.0);
}

#[test]
fn bound_zero_is_no_bound() {
    let config = TrainingConfig {
        clip_norm: 0.0,
        ..config()
    };
    assert_first_step(config, |_| 1.0);
}

#[test]
fn weight_decay_is_decoupled_from_the_gradient() {
    let config = TrainingConfig {
        clip_norm: 0.0,
        weight_decay: 10.0,
        ..config()
    };
    assert_first_step(config, |_| 1.0);
}

#[test]
fn reported_norm_is_that_before_clipping() {
    let norms = [0.0, 1e-7].map(|clip_norm| {
        let config = TrainingConfig {
            clip_norm,
            ..config()
        };
        let mut trainer = trainer(config, model(small()));
        trainer.advance(first_batch()).unwrap().gradient_norm
    });
    assert_eq!(norms[0], norms[1]);
}

#[test]
fn checkpoints_hold_the_network_that_was_stepped() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(config(), model(small()));
    run(&mut trainer, folder.path(), Some(1)).unwrap();
    let (network, average) = networks(&small(), &latest(folder.path()));
    assert_eq!(weights(&average), weights(trainer.average()));
    assert_ne!(weights(&network), weights(&untrained()));
}
