//! Importance sampling of noise levels: what is learnt of their losses, and what follows from it.

use tweedie_testkit::{assert_close, assert_z, z_bound};
use tweedie_training::{Level, LevelDistribution, LevelMemory, Levels, Prediction};

use crate::levels::{assert_uniform, continuous, continuous_share, levels, rng, table};

const TABLE: usize = 16;

/// A loss that differs a hundredfold between steps.
fn loss(level: &Level) -> f64 {
    (0.3 * level.time * TABLE as f64).exp()
}

fn taught(prediction: Prediction) -> Levels {
    let mut levels = levels(LevelDistribution::Importance, prediction);
    for step in 0..60 {
        let drawn = levels.draw(64, &mut rng(step));
        let losses: Vec<f64> = drawn.iter().map(loss).collect();
        levels.observe(&drawn, &losses);
    }
    levels
}

#[test]
fn importance_sampling_is_uniform_until_all_steps_have_ten_losses() {
    let mut levels = levels(LevelDistribution::Importance, table(TABLE));
    let uniform =
        crate::levels::levels(LevelDistribution::Uniform, table(TABLE)).draw(64, &mut rng(9));
    let all = |count: usize| -> Vec<Level> {
        (1..=TABLE)
            .flat_map(|k| vec![k as f64 / TABLE as f64; count])
            .map(|time| Level {
                time,
                sigma: 1.0,
                weight: 1.0,
            })
            .collect()
    };
    let mut observe = |drawn: Vec<Level>| {
        let losses: Vec<f64> = drawn.iter().map(loss).collect();
        levels.observe(&drawn, &losses);
        levels.draw(64, &mut rng(9))
    };
    assert_eq!(observe(all(9)), uniform);
    // All but the first.
    assert_eq!(observe(all(1)[1..].to_vec()), uniform);
    assert_ne!(observe(all(1)[..1].to_vec()), uniform);
}

/// Nichol & Dhariwal 2021, eq. (18): for a loss that is always the same at a step, `p_t ~ L_t`.
#[test]
fn weights_are_inverse_to_the_losses() {
    let sum: f64 = (1..=TABLE).map(|k| (0.3 * k as f64).exp()).sum();
    for level in taught(table(TABLE)).draw(500, &mut rng(77)) {
        let share = 0.999 * loss(&level) / sum + 0.001 / TABLE as f64;
        let expected = 1.0 / (TABLE as f64 * share);
        assert_close("weight", &[level.weight], &[expected], 1e-12 * expected);
    }
}

/// The old losses count no more, and it is the root mean square of the last ten that does.
#[test]
fn only_the_last_ten_losses_count() {
    let mut levels = levels(LevelDistribution::Importance, table(2));
    let at = |time: f64| Level {
        time,
        sigma: 1.0,
        weight: 1.0,
    };
    levels.observe(&[at(0.5); 30], &[1e3; 30]);
    levels.observe(
        &[at(0.5); 10],
        &[1.0, 7.0, 1.0, 7.0, 1.0, 7.0, 1.0, 7.0, 1.0, 7.0],
    );
    levels.observe(&[at(1.0); 10], &[1.0; 10]);
    let share = 0.999 * 5.0 / 6.0 + 0.0005;
    let drawn = levels.draw(100, &mut rng(1));
    let first = drawn.iter().find(|level| level.time == 0.5).unwrap();
    assert_close("weight", &[first.weight], &[0.5 / share], 1e-12);
}

fn mean_and_variance(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, variance)
}

/// A loss that is not what was learnt: noise on top, and a slope the other way.
fn other_loss(level: &Level, noise: f64) -> f64 {
    (2.0 - level.time) * noise * noise
}

#[test]
fn importance_sampling_leaves_the_objective_as_it_is() {
    const N: usize = 40_000;
    for prediction in [table(TABLE), continuous()] {
        let levels = taught(prediction.clone());
        let noise: Vec<f64> = rng(6).normal([N]).to_data().iter::<f64>().collect();
        let drawn = levels.draw(N, &mut rng(5));
        let terms = |weighted: bool| -> Vec<f64> {
            let weight = |level: &Level| if weighted { level.weight } else { 1.0 };
            let pairs = drawn.iter().zip(&noise);
            pairs.map(|(l, n)| weight(l) * other_loss(l, *n)).collect()
        };
        let even =
            crate::levels::levels(LevelDistribution::Uniform, prediction).draw(N, &mut rng(8));
        let expected = even.iter().map(|l| other_loss(l, 1.0)).sum::<f64>() / N as f64;
        let (mean, variance) = mean_and_variance(&terms(true));
        // The expectation is over levels of its own: their spread is below 1/3.
        let error = ((variance + 1.0 / 9.0) / N as f64).sqrt();
        assert_z("objective", &[mean], &[expected], &[error]);
        // The control: without the weights.
        let (mean, variance) = mean_and_variance(&terms(false));
        let error = ((variance + 1.0 / 9.0) / N as f64).sqrt();
        let z = (mean - expected) / error;
        assert!(z.abs() > 2.0 * z_bound(1), "{mean}, {expected}, z {z}");
    }
}

/// Of the parts of an interval some are likelier than others, but within one all times are as likely.
#[test]
fn within_a_part_of_the_interval_times_are_uniform() {
    let drawn = taught(continuous()).draw(20_000, &mut rng(5));
    let share = drawn.iter().map(|level| 100.0 * continuous_share(level));
    let last: Vec<f64> = share
        .map(|share| share - 99.0)
        .filter(|s| *s >= 0.0)
        .collect();
    assert!(last.len() > 600, "{}", last.len());
    assert_uniform("places", &last);
}

/// A loss is remembered for the step or the part in which its time lies, however that was rounded.
#[test]
fn losses_are_remembered_where_they_were_found() {
    const STEPS: usize = 1000;
    let at = |time: f64| Level {
        time,
        sigma: 1.0,
        weight: 1.0,
    };
    let seen = |prediction: Prediction, times: &[f64]| -> Vec<Vec<f64>> {
        let mut levels = levels(LevelDistribution::Importance, prediction);
        let losses: Vec<f64> = (0..times.len()).map(|i| i as f64).collect();
        let drawn: Vec<Level> = times.iter().map(|&time| at(time)).collect();
        levels.observe(&drawn, &losses);
        let memory = serde_json::to_value(levels.memory()).unwrap();
        serde_json::from_value(memory["losses"].clone()).unwrap()
    };
    for rounded in [1.0 - f64::EPSILON, 1.0, 1.0 + f64::EPSILON] {
        let time = |step: usize| step as f64 / STEPS as f64 * rounded;
        let found = seen(table(STEPS), &(1..=STEPS).map(time).collect::<Vec<_>>());
        let alone = |i: usize| vec![i as f64];
        assert_eq!(found, (0..STEPS).map(alone).collect::<Vec<_>>());
    }
    // The middles of the parts, and what lies beyond the ends.
    let mut times: Vec<f64> = (0..100)
        .map(|part| 1e-5 + (1.0 - 1e-5) * (part as f64 + 0.5) / 100.0)
        .collect();
    times.extend([0.0, 1.0]);
    let found = seen(continuous(), &times);
    assert_eq!(found.len(), 100);
    for (part, found) in found.iter().enumerate() {
        let beyond = match part {
            0 => Some(100.0),
            99 => Some(101.0),
            _ => None,
        };
        let expected: Vec<f64> = [part as f64].into_iter().chain(beyond).collect();
        assert_eq!(*found, expected);
    }
}

#[test]
fn importance_sampling_has_less_variance() {
    for prediction in [table(TABLE), continuous()] {
        let terms = |levels: &Levels| -> Vec<f64> {
            let drawn = levels.draw(20_000, &mut rng(5));
            drawn.iter().map(|l| l.weight * loss(l)).collect()
        };
        let (mean, uniform) = mean_and_variance(&terms(&levels(
            LevelDistribution::Uniform,
            prediction.clone(),
        )));
        let (same, important) = mean_and_variance(&terms(&taught(prediction)));
        // On the table each weighted loss is the mean but for the share that stays uniform; parts of time differ within.
        assert!(
            important < 1e-2 * uniform,
            "variance {important}, uniform {uniform}"
        );
        let error = (uniform / 20_000.0).sqrt();
        assert_z("mean", &[mean], &[same], &[error]);
    }
}

#[test]
fn what_was_learnt_survives_a_file() {
    for prediction in [table(TABLE), continuous()] {
        let levels = taught(prediction.clone());
        let text = serde_json::to_string(&levels.memory()).unwrap();
        let memory: LevelMemory = serde_json::from_str(&text).unwrap();
        assert_eq!(memory, levels.memory());
        let mut other = crate::levels::levels(LevelDistribution::Importance, prediction);
        let untaught = other.draw(64, &mut rng(9));
        assert_eq!(levels.draw_untaught(64, &mut rng(9)), untaught);
        other.recall(memory);
        assert_eq!(other.draw(64, &mut rng(9)), levels.draw(64, &mut rng(9)));
        assert_ne!(other.draw(64, &mut rng(9)), untaught);
        // Of another table.
        other.recall(taught(table(TABLE + 1)).memory());
        assert_eq!(other.draw(64, &mut rng(9)), untaught);
        // Of a run that learnt nothing.
        other.recall(serde_json::from_str("{}").unwrap());
        assert_eq!(other.draw(64, &mut rng(9)), untaught);
    }
}

#[test]
fn the_other_distributions_learn_nothing() {
    let mut levels = levels(LevelDistribution::Uniform, table(TABLE));
    let drawn = levels.draw(64, &mut rng(1));
    levels.observe(&drawn, &[1.0; 64]);
    assert_eq!(levels.memory(), LevelMemory::default());
}
