//! The denoising objective: what the network is shown and told, and what it is asked for.

use std::sync::Mutex;

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Coefficients, Conditioning, Given, NoiseLabel, Parametrisation, Rng, ScheduleConfig,
};
use tweedie_testkit::{assert_close, device, values};
use tweedie_training::{Denoising, Distance, Level, Objective, Prediction, Weighting};

/// Half the gap between 1 and the next single-precision number.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

pub(crate) const PARAMETRISATIONS: [Parametrisation; 8] = [
    Parametrisation::Epsilon,
    Parametrisation::X0,
    Parametrisation::V,
    Parametrisation::Edm { sigma_data: 0.5 },
    Parametrisation::Score,
    Parametrisation::Denoised,
    Parametrisation::Residual,
    Parametrisation::Flow,
];

pub(crate) fn schedules() -> [(ScheduleConfig, NoiseLabel); 6] {
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
    let straight = ScheduleConfig::FlowMatching { sigma_max: 99.0 };
    [
        (ScheduleConfig::DDPM, NoiseLabel::Step { steps: 1000 }),
        (exploding, NoiseLabel::Time { scale: 1.0 }),
        (preserving, NoiseLabel::Time { scale: 999.0 }),
        (cosine.clone(), NoiseLabel::Time { scale: 1.0 }),
        (cosine, NoiseLabel::Step { steps: 4 }),
        (straight, NoiseLabel::Time { scale: 1000.0 }),
    ]
}

const ROWS: usize = 12;
const PIXELS: usize = 6;
const SHAPE: [usize; 4] = [ROWS, 1, 2, 3];

fn pictures(seed: u64, shape: [usize; 4]) -> Tensor<4> {
    Rng::seeded(seed, &device()).uniform(shape) * 2.0 - 1.0
}

/// Levels all over the schedule.
fn levels(prediction: &Prediction) -> Vec<Level> {
    let schedule = &prediction.schedule;
    (1..=ROWS)
        .map(|k| schedule.horizon() * k as f64 / ROWS as f64)
        .map(|time| Level {
            time,
            sigma: schedule.sigma(time),
            weight: 1.0,
        })
        .collect()
}

fn denoising(prediction: &Prediction, distance: Distance) -> Denoising {
    Denoising {
        prediction: prediction.clone(),
        weighting: Weighting::Output,
        distance,
    }
}

fn every_prediction(mut check: impl FnMut(&str, Parametrisation, &Prediction)) {
    for (config, label) in schedules() {
        for parametrisation in PARAMETRISATIONS {
            let name = format!("{parametrisation:?} on {config:?}, {label:?}");
            let schedule = config.build().unwrap();
            check(
                &name,
                parametrisation,
                &Prediction::new(schedule, label, parametrisation),
            );
        }
    }
}

fn coefficients(prediction: &Prediction, level: &Level) -> Coefficients {
    prediction.preconditioning.at(level.sigma)
}

/// Notes what it is shown and told.
#[derive(Default)]
struct Witness(Mutex<Vec<(Vec<f64>, Vec<f64>)>>);

impl Backbone for Witness {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        let noted = (values(&x), values(&conditioning.noise));
        self.0.lock().unwrap().push(noted);
        x
    }
}

#[test]
fn networks_see_noisy_images_and_are_told_their_levels() {
    every_prediction(|name, parametrisation, prediction| {
        let rng = Rng::seeded(3, &device());
        let (clean, noise) = (pictures(4, SHAPE), values(&rng.clone().normal(SHAPE)));
        let levels = levels(prediction);
        let witness = Witness::default();
        denoising(prediction, Distance::L2).losses(
            &witness,
            clean.clone(),
            Given::nothing(),
            &levels,
            &mut rng.clone(),
        );
        let (input, labels) = witness.0.into_inner().unwrap().remove(0);
        let clean = values(&clean);
        for (i, input) in input.iter().enumerate() {
            let level = &levels[i / PIXELS];
            let c = coefficients(prediction, level);
            let expected = c.input * (clean[i] + level.sigma * noise[i]);
            // Each term is rounded three times: weight, product, sum.
            let size = c.input * (clean[i].abs() + level.sigma * noise[i].abs());
            assert_close(name, &[*input], &[expected], 4.0 * ROUNDING * size);
        }
        let expected: Vec<f64> = levels
            .iter()
            .map(|level| match parametrisation {
                Parametrisation::Edm { .. } => 0.25 * level.sigma.ln(),
                Parametrisation::Denoised | Parametrisation::Residual => level.sigma,
                _ => prediction.label.at(level.time),
            })
            .collect();
        let size = expected.iter().fold(0.0_f64, |m, l| m.max(l.abs()));
        assert_close(name, &labels, &expected, 2.0 * ROUNDING * size);
    });
}

/// Knows the clean images: `F = (x_0 - c_skip x)/c_out`, the image times a factor.
struct Oracle<'a> {
    prediction: &'a Prediction,
    levels: &'a [Level],
    clean: Vec<f64>,
    factor: f64,
}

impl Backbone for Oracle<'_> {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        let answers: Vec<f64> = values(&x)
            .into_iter()
            .enumerate()
            .map(|(i, input)| {
                let c = coefficients(self.prediction, &self.levels[i / PIXELS]);
                (self.factor * self.clean[i] - c.skip * input / c.input) / c.out
            })
            .collect();
        Tensor::<1>::from_data(answers.as_slice(), &x.device()).reshape(x.dims())
    }
}

fn oracle_losses(prediction: &Prediction, factor: f64) -> Vec<f64> {
    let levels = levels(prediction);
    let clean = pictures(4, SHAPE);
    let oracle = Oracle {
        prediction,
        levels: &levels,
        clean: values(&clean),
        factor,
    };
    values(&denoising(prediction, Distance::L1).losses(
        &oracle,
        clean,
        Given::nothing(),
        &levels,
        &mut Rng::seeded(3, &device()),
    ))
}

#[test]
fn who_knows_the_image_has_no_loss() {
    every_prediction(|name, _, prediction| {
        let losses = oracle_losses(prediction, 1.0);
        for (loss, level) in losses.iter().zip(levels(prediction)) {
            let c = coefficients(prediction, &level);
            // Pixels are at most 1 and noises at most 5; each of a few terms is rounded a few times.
            let terms = 1.0 + c.skip * (1.0 + 5.0 * level.sigma);
            let tolerance = 8.0 * ROUNDING * terms / c.out.abs();
            assert!(*loss <= tolerance, "{name}: {loss:e} > {tolerance:e}");
        }
    });
}

/// The control: half the image.
#[test]
fn who_knows_half_the_image_has_a_loss() {
    every_prediction(|name, _, prediction| {
        let losses = oracle_losses(prediction, 0.5);
        let clean = values(&pictures(4, SHAPE));
        for (row, level) in levels(prediction).iter().enumerate() {
            let pixels = &clean[row * PIXELS..(row + 1) * PIXELS];
            let size = pixels.iter().map(|v| v.abs()).sum::<f64>() / PIXELS as f64;
            let c = coefficients(prediction, level);
            let expected = 0.5 * size / c.out.abs();
            let terms = 1.0 + c.skip * (1.0 + 5.0 * level.sigma);
            let tolerance = 8.0 * ROUNDING * terms / c.out.abs();
            assert_close(name, &[losses[row]], &[expected], tolerance);
        }
    });
}

/// Answers numbers that it was given.
struct Says(Tensor<4>);

impl Backbone for Says {
    fn forward(&self, _: Tensor<4>, _: Conditioning) -> Tensor<4> {
        self.0.clone()
    }
}

#[test]
fn noise_prediction_aims_at_the_very_noise() {
    for (config, label) in schedules() {
        let schedule = config.build().unwrap();
        let prediction = Prediction::new(schedule, label, Parametrisation::Epsilon);
        let rng = Rng::seeded(3, &device());
        let losses = denoising(&prediction, Distance::L2).losses(
            &Says(rng.clone().normal(SHAPE)),
            pictures(4, SHAPE),
            Given::nothing(),
            &levels(&prediction),
            &mut rng.clone(),
        );
        assert_eq!(values(&losses), [0.0; ROWS]);
    }
}

#[test]
fn flow_matching_aims_at_the_velocity_of_the_straight_path() {
    let schedule = ScheduleConfig::FlowMatching { sigma_max: 99.0 };
    let label = NoiseLabel::Time { scale: 1.0 };
    let prediction = Prediction::new(schedule.build().unwrap(), label, Parametrisation::Flow);
    let rng = Rng::seeded(3, &device());
    let (clean, noise) = (pictures(4, SHAPE), rng.clone().normal(SHAPE));
    let losses = denoising(&prediction, Distance::L1).losses(
        &Says(noise - clean.clone()),
        clean,
        Given::nothing(),
        &levels(&prediction),
        &mut rng.clone(),
    );
    // Weights near 1, sums of a noise of at most 5 and a pixel.
    assert_close(
        "velocity",
        &values(&losses),
        &[0.0; ROWS],
        6.0 * 4.0 * ROUNDING,
    );
}

#[test]
fn rows_do_not_see_each_other() {
    every_prediction(|name, _, prediction| {
        let objective = denoising(prediction, Distance::L2);
        let rng = Rng::seeded(9, &device());
        let image = pictures(4, [1, 1, 2, 3]);
        let joined = Tensor::cat(vec![pictures(5, [3, 1, 2, 3]), image.clone()], 0);
        let levels = levels(prediction);
        let losses = |clean, levels: &[Level], mut rng: Rng| {
            let given = Given::nothing();
            values(&objective.losses(&Witness::default(), clean, given, levels, &mut rng))
        };
        let among = losses(joined, &levels[..4], rng.clone());
        let alone = losses(image, &levels[3..4], rng.clone().starting_at(3));
        assert_eq!(among[3..], alone, "{name}");
        assert_ne!(among[2..3], alone, "{name}");
    });
}
