//! Updates of parameters against their definitions in `f64`.

use tweedie_kernels::Level;
use tweedie_kernels::optim::{Adam, adam, average};

use crate::numbers::{EPSILON, bits, check, on_threads, uniform, wide, worst};

fn settings(weight_decay: f32) -> Adam {
    Adam {
        learning_rate: 0.01,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-6,
        weight_decay,
    }
}

/// Parameter, first and second moment.
type State = [Vec<f32>; 3];

fn start(len: usize) -> State {
    [uniform(1, len), vec![0.0; len], vec![0.0; len]]
}

fn step(level: Level, settings: &Adam, time: usize, [w, m, v]: &mut State, gradient: &[f32]) {
    adam(level, settings, time, w, m, v, gradient);
}

/// One step of the definition from a state in `f32`, and the bounds of its results.
fn reference(settings: &Adam, time: i32, state: &State, gradient: &[f32]) -> [[Vec<f64>; 2]; 3] {
    let [b1, b2] = [settings.beta_1, settings.beta_2].map(f64::from);
    let mut found: [[Vec<f64>; 2]; 3] = Default::default();
    for (at, gradient) in gradient.iter().enumerate() {
        let [w, m, v] = [0, 1, 2].map(|i| f64::from(state[i][at]));
        let g = f64::from(*gradient);
        let (m, m_size) = (b1 * m + (1.0 - b1) * g, b1 * m.abs() + (1.0 - b1) * g.abs());
        let v = b2 * v + (1.0 - b2) * g * g;
        let corrected = (v / (1.0 - b2.powi(time))).sqrt();
        let factor = settings.learning_rate / (1.0 - b1.powi(time));
        let scale = factor / (corrected + f64::from(settings.epsilon));
        let decay = settings.learning_rate * f64::from(settings.weight_decay);
        let new = w * (1.0 - decay) - scale * m;
        // The powers of beta are rounded once a squaring and amplified by 1/(1 - beta^t).
        let powers = 4.0 + 3.0 * f64::from(time) + 2.0 / (1.0 - b2.powi(time));
        let bounds = [
            EPSILON * (w.abs() + new.abs() + powers * scale * (m_size + m.abs() * (1.0 + g.abs()))),
            4.0 * EPSILON * m_size,
            4.0 * EPSILON * v,
        ];
        for (part, (value, bound)) in [new, m, v].into_iter().zip(bounds).enumerate() {
            found[part][0].push(value);
            found[part][1].push(bound + f64::from(f32::MIN_POSITIVE));
        }
    }
    found
}

#[test]
fn steps_of_adam_are_their_definition() {
    for &level in Level::available() {
        for decay in [0.0, 0.3] {
            for len in [0, 1, 15, 33, 1000, 70_001] {
                let settings = settings(decay);
                let mut state = start(len);
                for time in 1..=5 {
                    let gradient = uniform(10 + time as u64, len);
                    let expected = reference(&settings, time, &state, &gradient);
                    step(level, &settings, time as usize, &mut state, &gradient);
                    for (part, [expected, bounds]) in expected.iter().enumerate() {
                        let what = format!("{level:?} decay {decay} step {time} part {part}");
                        check(&what, &state[part], expected, bounds);
                    }
                }
            }
        }
    }
}

/// A right first step has the learning rate's size whatever the gradient; without bias corrections it has not.
#[test]
fn the_bounds_tell_definitions_apart() {
    let settings = settings(0.3);
    let (state, gradient) = (start(500), uniform(2, 500));
    let mut found = state.clone();
    step(Level::best(), &settings, 3, &mut found, &gradient);
    let [[right, bounds], ..] = reference(&settings, 3, &state, &gradient);
    assert!(worst(&found[0], &right, &bounds) <= 1.0);
    let wrong = [
        (settings, 4),
        (
            Adam {
                weight_decay: 0.31,
                ..settings
            },
            3,
        ),
        (
            Adam {
                beta_2: 0.991,
                ..settings
            },
            3,
        ),
        (
            Adam {
                epsilon: 1e-4,
                ..settings
            },
            3,
        ),
    ];
    for (wrong, time) in wrong {
        let [[expected, _], ..] = reference(&wrong, time, &state, &gradient);
        assert!(
            worst(&found[0], &expected, &bounds) > 10.0,
            "{wrong:?} step {time}"
        );
    }
}

#[test]
fn averages_are_their_definition() {
    for &level in Level::available() {
        for len in [0, 7, 16, 1001, 70_001] {
            let (mut found, weights) = (uniform(3, len), uniform(4, len));
            let pairs = wide(&found).into_iter().zip(wide(&weights));
            let (expected, bounds): (Vec<_>, Vec<_>) = pairs
                .map(|(a, w)| {
                    let (a, w) = (0.999 * a, 0.001 * w);
                    (a + w, 2.0 * EPSILON * (a.abs() + w.abs()))
                })
                .unzip();
            average(level, 0.999, &mut found, &weights);
            check(&format!("average, {level:?}"), &found, &expected, &bounds);
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for &level in Level::available() {
        for at in [0, 20] {
            let mut state = start(21);
            let mut gradient = uniform(7, 21);
            gradient[at] = f32::NAN;
            step(level, &settings(0.0), 1, &mut state, &gradient);
            for part in &state {
                assert_eq!(part.iter().position(|x| x.is_nan()), Some(at), "{level:?}");
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    for &level in Level::available() {
        let run = |threads| {
            on_threads(threads, || {
                let mut state = start(150_000);
                step(level, &settings(0.3), 1, &mut state, &uniform(8, 150_000));
                state.map(|part| bits(&part))
            })
        };
        assert_eq!(run(1), run(3));
    }
}

#[test]
#[should_panic(expected = "steps are counted from 1")]
fn there_is_no_step_zero() {
    step(Level::best(), &settings(0.0), 0, &mut start(1), &[1.0]);
}
