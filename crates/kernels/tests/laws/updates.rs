//! Updates of parameters: burn's, in memory that nothing else holds.

use burn::optim::{AdamWConfig, AdamWState, Optimizer};
use burn::tensor::Tensor;
use tweedie_kernels::{AdamW, blended};
use tweedie_testkit::values;

use crate::layers::{assert_close, normal, odd};

const SETTINGS: [f32; 4] = [0.8, 0.99, 1e-5, 0.3];

fn ours() -> AdamW {
    let [beta_1, beta_2, epsilon, decay] = SETTINGS;
    AdamW::new(beta_1, beta_2, epsilon, decay)
}

fn burns() -> burn::optim::AdamW {
    let [beta_1, beta_2, epsilon, decay] = SETTINGS;
    AdamWConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(beta_2)
        .with_epsilon(epsilon)
        .with_weight_decay(decay)
        .build()
}

/// A parameter and its state.
type Trained = (Tensor<4>, Option<AdamWState<4>>);

/// A step at a rate that changes, on a gradient whose memory is odd.
fn step<O: Optimizer<State<4> = AdamWState<4>>>(
    optimiser: &O,
    (parameter, state): Trained,
    time: usize,
) -> Trained {
    let gradient = odd(parameter.dims(), time, 20 + time as u64);
    optimiser.step(0.02 / (1 + time) as f64, parameter, gradient, state)
}

fn moments(state: &Option<AdamWState<4>>) -> [Tensor<4>; 2] {
    let momentum = &state.as_ref().unwrap().momentum;
    [momentum.moment_1.clone(), momentum.moment_2.clone()]
}

#[test]
fn steps_are_burns_and_either_continues_the_others() {
    for kind in 0..4 {
        let start: Trained = (odd([3, 4, 5, 7], kind, 1), None);
        let (mut own, mut expected, mut turns) = (start.clone(), start.clone(), start);
        for time in 0..8 {
            own = step(&ours(), own, time);
            expected = step(&burns(), expected, time);
            turns = match time % 3 {
                0 => step(&burns(), turns, time),
                _ => step(&ours(), turns, time),
            };
            for (parameter, state) in [&own, &turns] {
                let what = format!("memory {kind}, step {time}");
                assert_close(parameter.clone(), expected.0.clone(), &what);
                let all = moments(state).into_iter().zip(moments(&expected.1));
                all.for_each(|(found, expected)| assert_close(found, expected, &what));
                assert_eq!(state.as_ref().unwrap().momentum.time, time + 1);
            }
        }
    }
}

/// What somebody else holds, the parameter before or the state, is as it was.
#[test]
fn a_step_leaves_alone_what_others_hold() {
    for kind in 0..4 {
        let trained = step(&ours(), (odd([3, 4, 5, 7], kind, 2), None), 0);
        let held = trained.clone();
        let all = |(parameter, state): &Trained| {
            let [first, second] = moments(state);
            [parameter.clone(), first, second].map(|tensor| values(&tensor))
        };
        let before = all(&held);
        let after = step(&ours(), trained, 1);
        assert_eq!(all(&held), before);
        for (before, after) in before.iter().zip(all(&after)) {
            assert_ne!(*before, after);
        }
    }
}

#[test]
fn averages_are_their_definition_and_leave_alone_what_others_hold() {
    for kind in 0..4 {
        let (average, weights) = (odd([3, 4, 5, 7], kind, 3), odd([3, 4, 5, 7], kind / 2, 4));
        let held = [average.clone(), weights.clone()];
        let before = held.clone().map(|tensor| values(&tensor));
        let found = blended(average.clone(), weights.clone(), 0.9);
        assert_eq!(held.map(|tensor| values(&tensor)), before);
        let expected = average.mul_scalar(0.9) + weights.mul_scalar(0.1);
        assert_close(found, expected, &format!("memory {kind}"));
    }
}

/// Of other shapes, and on a tape, by burn's operations.
#[test]
fn averages_of_other_tensors_are_burns() {
    let (average, weights) = (normal([3, 4, 5, 7], 5), normal([1, 4, 1, 7], 6));
    let expected = average.clone().mul_scalar(0.9) + weights.clone().mul_scalar(0.1);
    assert_close(
        blended(average.clone(), weights.clone(), 0.9),
        expected.clone(),
        "of two shapes",
    );
    let taped = blended(average.autodiff(), weights.autodiff(), 0.9);
    assert_close(taped.without_autodiff(), expected, "on a tape");
    let (average, weights) = (normal([3, 4, 5, 7], 7), normal([3, 4, 5, 7], 8));
    let expected = average.clone().mul_scalar(0.9) + weights.clone().mul_scalar(0.1);
    let taped = blended(average.autodiff(), weights.autodiff(), 0.9);
    assert_close(taped.without_autodiff(), expected, "on a tape");
}
