//! Adam beside burn's, at every level: the same numbers to rounding, step after step.

use burn::optim::{AdamW, AdamWConfig, Optimizer};
use burn::tensor::{Tensor, TensorData};
use tweedie_kernels::Level;
use tweedie_kernels::optim::{Adam, adam};

use crate::numbers::{EPSILON, check, uniform, wide};

const LEN: usize = 333;
const STEPS: u64 = 200;

fn tensor(seed: u64) -> Tensor<1> {
    let device = tweedie_testkit::device();
    Tensor::from_data(TensorData::new(uniform(seed, LEN), [LEN]), &device)
}

fn numbers(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}

/// The parameter and its moments after each step of burn's optimiser.
fn steps(optimiser: &AdamW, rate: f64) -> Vec<[Vec<f32>; 3]> {
    let (mut parameter, mut state) = (tensor(0), None);
    let mut all = Vec::new();
    for time in 1..=STEPS {
        (parameter, state) = optimiser.step(rate, parameter, tensor(time), state);
        let momentum = &state.as_ref().unwrap().momentum;
        all.push([&parameter, &momentum.moment_1, &momentum.moment_2].map(numbers));
    }
    all
}

/// A few roundings a step, of numbers of about 1 and steps of about the rate.
fn compare(what: &str, step: usize, found: &[Vec<f32>; 3], expected: &[Vec<f32>; 3]) {
    let bound = (step + 1) as f64 * 4.0 * EPSILON;
    for part in 0..3 {
        let what = format!("{what}, step {}, part {part}", step + 1);
        check(&what, &found[part], &wide(&expected[part]), &[bound; LEN]);
    }
}

#[test]
fn steps_are_burns() {
    let plain = Adam {
        learning_rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-5,
        weight_decay: 0.0,
    };
    let decaying = Adam {
        learning_rate: 2e-3,
        beta_1: 0.8,
        beta_2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.2,
    };
    for settings in [plain, decaying] {
        let Adam {
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
        } = settings;
        let burns = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(weight_decay)
            .build();
        let expected = steps(&burns, learning_rate);
        for &level in Level::available() {
            let mut found = [uniform(0, LEN), vec![0.0; LEN], vec![0.0; LEN]];
            for (step, expected) in expected.iter().enumerate() {
                let gradient = uniform(step as u64 + 1, LEN);
                let [w, m, v] = &mut found;
                adam(level, &settings, step + 1, w, m, v, &gradient);
                compare(&format!("{level:?} {settings:?}"), step, &found, expected);
            }
        }
    }
}
