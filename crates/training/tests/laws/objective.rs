//! The perturbation: levels, inputs, labels and targets.

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{NoiseLabel, Parametrisation, Rng, ScheduleConfig};
use tweedie_models::ModelConfig;
use tweedie_testkit::{assert_close, assert_z, device, values};
use tweedie_training::{DenoisingObjective, Loss, NoisyBatch};

use crate::support::{model, small};

/// Half the gap between 1 and the next single-precision number.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

const PARAMETRISATIONS: [Parametrisation; 4] = [
    Parametrisation::Epsilon,
    Parametrisation::X0,
    Parametrisation::V,
    Parametrisation::Edm { sigma_data: 0.5 },
];

fn schedules() -> [(ScheduleConfig, NoiseLabel); 5] {
    let exploding = ScheduleConfig::VarianceExploding {
        sigma_min: 0.01,
        sigma_max: 50.0,
    };
    let preserving = ScheduleConfig::VariancePreserving {
        beta_min: 0.1,
        beta_max: 20.0,
    };
    let cosine = ScheduleConfig::Cosine {
        offset: 0.008,
        sigma_max: 200.0,
    };
    [
        (ScheduleConfig::DDPM, NoiseLabel::Step { steps: 1000 }),
        (exploding, NoiseLabel::Time { scale: 1.0 }),
        (preserving, NoiseLabel::Time { scale: 999.0 }),
        (cosine.clone(), NoiseLabel::Time { scale: 1.0 }),
        (cosine, NoiseLabel::Step { steps: 4 }),
    ]
}

fn with(
    parametrisation: Parametrisation,
    schedule: &ScheduleConfig,
    label: NoiseLabel,
) -> ModelConfig {
    let mut model = model(small());
    model.parametrisation = parametrisation;
    model.schedule = schedule.clone();
    model.label = label;
    model
}

fn objective(model: &ModelConfig) -> DenoisingObjective {
    DenoisingObjective::new(model, Loss::L2).unwrap()
}

const ROWS: usize = 64;
const PIXELS: usize = 6;
const SHAPE: [usize; 4] = [ROWS, 1, 2, 3];

fn pictures(seed: u64, shape: [usize; 4]) -> Tensor<4> {
    Rng::seeded(seed, &device()).uniform(shape)
}

/// Everything that a perturbation drew, by replaying its generator.
struct Drawn {
    times: Vec<f64>,
    noise: Vec<f64>,
}

fn drawn(objective: &DenoisingObjective, rng: &Rng) -> Drawn {
    let mut rng = rng.clone();
    let uniform = rng.uniform_per_row(ROWS);
    Drawn {
        times: uniform.into_iter().map(|u| objective.time(u)).collect(),
        noise: values(&rng.normal(SHAPE)),
    }
}

fn every_model(mut check: impl FnMut(&str, &ModelConfig)) {
    for (schedule, label) in schedules() {
        for parametrisation in PARAMETRISATIONS {
            let name = format!("{parametrisation:?} on {schedule:?}, {label:?}");
            check(&name, &with(parametrisation, &schedule, label));
        }
    }
}

#[test]
fn targets_undo_the_noise() {
    every_model(|name, model| {
        let objective = objective(model);
        let schedule = model.schedule.build().unwrap();
        let preconditioning = model
            .parametrisation
            .preconditioning(schedule.clone(), model.label);
        let rng = Rng::seeded(3, &device());
        let images = pictures(4, SHAPE);
        let Drawn { times, noise } = drawn(&objective, &rng);
        let batch = objective.perturb(images.clone(), &mut rng.clone());
        let (images, inputs, targets) =
            (values(&images), values(&batch.input), values(&batch.target));
        for (i, input) in inputs.iter().enumerate() {
            let sigma = schedule.sigma(times[i / PIXELS]);
            let c = preconditioning.at(sigma);
            let clean = 2.0 * images[i] - 1.0;
            let noisy = clean + sigma * noise[i];
            // Each term of the input is rounded three times (weight, product, sum), and so is each of the target.
            let size = clean.abs() + sigma * noise[i].abs();
            let tolerance = 4.0 * ROUNDING * c.input * size;
            assert_close(name, &[*input], &[c.input * noisy], tolerance);
            let undone = c.skip * input / c.input + c.out * targets[i];
            let terms = c.skip * size
                + (1.0 - c.skip).abs() * clean.abs()
                + c.skip * sigma * noise[i].abs();
            assert_close(name, &[undone], &[clean], 4.0 * ROUNDING * terms);
        }
    });
}

#[test]
fn labels_are_those_of_the_levels() {
    every_model(|name, model| {
        let objective = objective(model);
        let schedule = model.schedule.build().unwrap();
        let rng = Rng::seeded(5, &device());
        let Drawn { times, .. } = drawn(&objective, &rng);
        let batch = objective.perturb(pictures(4, SHAPE), &mut rng.clone());
        let expected: Vec<f64> = times
            .iter()
            .map(|&t| match model.parametrisation {
                Parametrisation::Edm { .. } => 0.25 * schedule.sigma(t).ln(),
                _ => model.label.at(t),
            })
            .collect();
        let size = expected.iter().fold(0.0_f64, |m, l| m.max(l.abs()));
        // Rounded to single precision; the inverse of the schedule is good to far more digits.
        let found = values(&batch.conditioning.noise);
        assert_close(name, &found, &expected, 2.0 * ROUNDING * size);
    });
}

#[test]
fn noise_prediction_aims_at_the_very_noise() {
    for (schedule, label) in schedules() {
        let objective = objective(&with(Parametrisation::Epsilon, &schedule, label));
        let rng = Rng::seeded(3, &device());
        let batch = objective.perturb(pictures(4, SHAPE), &mut rng.clone());
        assert_eq!(values(&batch.target), drawn(&objective, &rng).noise);
    }
}

#[test]
fn every_row_has_a_level_of_its_own() {
    for (schedule, label) in schedules() {
        let objective = objective(&with(Parametrisation::V, &schedule, label));
        let batch = objective.perturb(pictures(4, SHAPE), &mut Rng::seeded(3, &device()));
        let mut labels = values(&batch.conditioning.noise);
        labels.sort_by(f64::total_cmp);
        labels.dedup();
        match label {
            NoiseLabel::Step { steps: 4 } => assert_eq!(labels.len(), 4),
            // A thousand levels and 64 rows: about 2 rows share one.
            NoiseLabel::Step { .. } => assert!(labels.len() > ROWS / 2, "{}", labels.len()),
            _ => assert_eq!(labels.len(), ROWS),
        }
    }
}

fn row(batch: &NoisyBatch, row: usize) -> [Vec<f64>; 3] {
    [
        values(&batch.input.clone().narrow(0, row, 1)),
        values(&batch.target.clone().narrow(0, row, 1)),
        values(&batch.conditioning.noise.clone().narrow(0, row, 1)),
    ]
}

#[test]
fn rows_do_not_see_each_other() {
    every_model(|name, model| {
        let objective = objective(model);
        let rng = Rng::seeded(9, &device());
        let image = pictures(4, [1, 1, 2, 3]);
        let joined = Tensor::cat(vec![pictures(5, [3, 1, 2, 3]), image.clone()], 0);
        let among = objective.perturb(joined, &mut rng.clone());
        let alone = objective.perturb(image, &mut rng.starting_at(3));
        assert_eq!(row(&among, 3), row(&alone, 0), "{name}");
        assert_ne!(row(&among, 2), row(&alone, 0), "{name}");
    });
}

#[test]
fn steps_of_a_table_are_equally_likely() {
    const STEPS: usize = 1000;
    let objective = objective(&model(small()));
    // Ten points in each of the equal parts of [0, 1).
    let mut counts = [0; STEPS];
    for i in 0..10 * STEPS {
        let time = objective.time((i as f64 + 0.5) / (10 * STEPS) as f64);
        let step = (time * STEPS as f64).round();
        assert!((time - step / STEPS as f64).abs() < f64::EPSILON, "{time}");
        counts[step as usize - 1] += 1;
    }
    assert_eq!(counts, [10; STEPS]);
    assert_eq!(objective.time(0.0), 0.001);
    assert_eq!(objective.time(1.0 - f64::EPSILON / 2.0), 1.0);
}

#[test]
fn levels_of_a_batch_are_uniform_on_the_table() {
    const STEPS: usize = 8;
    const N: usize = 40_000;
    let mut model = model(small());
    model.label = NoiseLabel::Step { steps: STEPS };
    let objective = objective(&model);
    let images = Tensor::from_data(TensorData::new(vec![0.5_f32; N], [N, 1, 1, 1]), &device());
    let batch = objective.perturb(images, &mut Rng::seeded(1, &device()));
    let mut counts = [0.0; STEPS];
    for label in values(&batch.conditioning.noise) {
        counts[label.round() as usize] += 1.0;
    }
    let (n, p) = (N as f64, 1.0 / STEPS as f64);
    let error = (n * p * (1.0 - p)).sqrt();
    assert_z("counts", &counts, &[n * p; STEPS], &[error; STEPS]);
}

#[test]
fn times_are_uniform_up_to_the_horizon() {
    for (schedule, label) in schedules() {
        let horizon = schedule.build().unwrap().horizon();
        let objective = objective(&with(Parametrisation::Epsilon, &schedule, label));
        let n = 10_000;
        let times: Vec<f64> = (0..n)
            .map(|i| objective.time(f64::from(i) / f64::from(n)))
            .collect();
        for pair in times.windows(2) {
            assert!(pair[0] <= pair[1], "{pair:?}");
        }
        assert!(times[0] > 0.0);
        assert!(objective.time(1.0 - f64::EPSILON / 2.0) <= horizon);
        if let NoiseLabel::Time { .. } = label {
            let middle = objective.time(0.5);
            assert!((middle - 0.5 * horizon).abs() < 1e-5, "{middle}");
            assert!(objective.time(1.0 - f64::EPSILON / 2.0) > horizon * (1.0 - 1e-12));
            assert!(times[0] <= 1e-5, "{}", times[0]);
        }
    }
}
