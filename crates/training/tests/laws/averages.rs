//! The moving average of the weights.

use burn::{
    module::{Module, ModuleMapper, Param},
    nn::{Linear, LinearConfig},
    tensor::Tensor,
};
use tweedie_testkit::{assert_close, device};
use tweedie_training::{Event, Flow, TrainingConfig, averaged, decay_at};

use crate::support::{config, model, networks, small, trainer, weights};

#[test]
fn decay_warms_up_to_its_limit() {
    let decays = [1, 2, 10, 98].map(|step| decay_at(0.9999, step));
    assert_eq!(decays, [2.0 / 11.0, 3.0 / 12.0, 11.0 / 20.0, 99.0 / 108.0]);
    assert_eq!(decay_at(0.5, 8), 0.5);
    assert_eq!(decay_at(0.5, 7), 8.0 / 17.0);
    assert_eq!(decay_at(0.0, 1), 0.0);
    assert_eq!(decay_at(0.9999, 1_000_000), 0.9999);
}

struct Set(f64);

impl ModuleMapper for Set {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Another number for each parameter, so that two that are mixed up are found out.
        self.0 += 1.0;
        param.map(|x| x.full_like(self.0))
    }
}

fn set(module: &Linear, value: f64) -> Linear {
    module.clone().map(&mut Set(value))
}

#[test]
fn average_is_the_geometric_sum() {
    let module: Linear = LinearConfig::new(3, 2).init(&device());
    let decay = 0.75;
    let past = [5.0, -2.0, 0.5, 8.0];
    let mut average = set(&module, 1.0);
    for value in past {
        average = averaged(average, &set(&module, value), decay);
    }
    let updates = past.len();
    let expected = |shift: f64| {
        let start = decay.powi(updates as i32) * (1.0 + shift);
        let terms = past.iter().enumerate().map(|(k, value)| {
            (1.0 - decay) * decay.powi((updates - 1 - k) as i32) * (value + shift)
        });
        start + terms.sum::<f64>()
    };
    let found = weights(&average);
    // Four updates of three roundings on numbers below 10.
    let tolerance = 12.0 * f64::from(f32::EPSILON) * 10.0;
    assert_close("weight", &found[0], &[expected(1.0); 6], tolerance);
    assert_close("bias", &found[1], &[expected(2.0); 2], tolerance);
}

#[test]
fn averaging_leaves_the_weights_alone() {
    let module: Linear = LinearConfig::new(3, 2).init(&device().autodiff());
    let before = weights(&module);
    let average = averaged(set(&module.valid(), 3.0), &module, 0.5);
    assert_eq!(weights(&module), before);
    assert_ne!(weights(&average), before);
}

#[test]
fn without_decay_the_average_is_the_network() {
    let module: Linear = LinearConfig::new(3, 2).init(&device());
    let average = averaged(set(&module, 3.0), &module, 0.0);
    assert_eq!(weights(&average), weights(&module));
}

/// Each checkpoint's average follows from the one before it and from the checkpoint's weights.
#[test]
fn trainer_averages_after_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainingConfig {
        steps: 4,
        ema_decays: vec![0.3],
        checkpoint_every: 1,
        ..config()
    };
    let mut trainer = trainer(config.clone(), model(small()));
    let mut expected = weights(trainer.average());
    let mut steps = 0;
    trainer
        .run(folder.path(), |event| {
            if let Event::Checkpoint(checkpoint) = event {
                steps += 1;
                let (network, average) = networks(&small(), checkpoint);
                let decay = decay_at(config.ema_decays[0], steps);
                for ((expected, now), found) in expected
                    .iter_mut()
                    .zip(weights(&network))
                    .zip(weights(&average))
                {
                    for (expected, now) in expected.iter_mut().zip(now) {
                        *expected = decay * *expected + (1.0 - decay) * now;
                    }
                    // Three roundings of numbers of size 1, forgotten at the rate of the decay.
                    assert_close("average", &found, expected, 5.0 * f64::from(f32::EPSILON));
                }
                assert_ne!(weights(&network), weights(&average));
            }
            Flow::Continue
        })
        .unwrap();
    assert_eq!(steps, 4);
}
