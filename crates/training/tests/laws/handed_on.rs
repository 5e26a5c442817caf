//! What a configuration says reaches the loss, and what a step learns reaches the next.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use tweedie_core::{Given, NoiseLabel, Parametrisation, Rng, ScheduleConfig};
use tweedie_data::ExampleBatch;
use tweedie_models::{ClassifierConfig, ClassifierModel};
use tweedie_testkit::{assert_close, device, values};
use tweedie_training::{
    Classification, ClassificationConfig, Denoising, Diffusion, DiffusionConfig, Distance, Level,
    LevelDistribution, LevelsConfig, Objective, ObjectiveConfig, Prediction, Task, TrainingError,
    Weighting,
};

use crate::{
    conditioning::{disturbed, told},
    support::{model, small},
};

const ROWS: usize = 8;

fn images() -> Tensor<4> {
    Rng::seeded(3, &device()).uniform([ROWS, 1, 8, 8])
}

fn denoising(weighting: Weighting) -> DiffusionConfig {
    DiffusionConfig {
        objective: ObjectiveConfig::Denoising {
            weighting,
            distance: Distance::L2,
        },
        ..DiffusionConfig::default()
    }
}

#[test]
fn a_weighting_is_that_of_the_configuration() {
    let losses = |weighting| {
        let task = Diffusion::new(model(small()), denoising(weighting)).unwrap();
        let rng = Rng::seeded(5, &device());
        let levels = task.levels(ROWS, &mut rng.fork(0));
        let network = task.init(0, &device()).unwrap();
        let losses = task.losses(&network, images().into(), &levels, &mut rng.fork(1));
        (levels, values(&losses))
    };
    let (levels, plain) = losses(Weighting::Output);
    let (_, weighted) = losses(Weighting::MinSnr { gamma: 5.0 });
    // For the noise the weight is min(1, gamma/SNR).
    let expected: Vec<f64> = levels
        .iter()
        .zip(&plain)
        .map(|(level, loss)| loss * (5.0 * level.sigma.powi(2)).min(1.0))
        .collect();
    assert_close("losses", &weighted, &expected, 1e-5);
    assert_ne!(plain, weighted);
    let wrong = Weighting::P2 { k: 0.0, gamma: 1.0 };
    let error = Diffusion::new(model(small()), denoising(wrong)).err();
    let found = matches!(
        error,
        Some(TrainingError::Setting { field: "weighting.k", found, .. }) if found == 0.0
    );
    assert!(found, "{error:?}");
}

#[test]
fn a_measurement_is_shown_in_the_pixels_of_the_network() {
    let mut unet = told(1);
    unet.classes = 0;
    let task = Diffusion::new(model(unet.clone()), DiffusionConfig::default())
        .unwrap()
        .measuring(Arc::new(|images, _| images));
    let network = disturbed(task.init(0, &device()).unwrap());
    let rng = Rng::seeded(5, &device());
    let levels = task.levels(ROWS, &mut rng.fork(0));
    let found = task.losses(&network, images().into(), &levels, &mut rng.fork(1));
    let shown = |image: Tensor<4>| {
        let denoising = Denoising {
            prediction: Prediction::of(&model(unet.clone())).unwrap(),
            weighting: Weighting::Output,
            distance: Distance::L2,
        };
        let given = Given {
            class: None,
            image: Some(image),
        };
        let clean = images() * 2.0 - 1.0;
        values(&denoising.losses(&network, clean, given, &levels, &mut rng.fork(1)))
    };
    assert_eq!(values(&found), shown(images() * 2.0 - 1.0));
    assert_ne!(values(&found), shown(images()));
}

#[test]
fn losses_teach_the_levels_of_training_and_not_those_of_validation() {
    let config = DiffusionConfig {
        levels: LevelsConfig {
            distribution: LevelDistribution::Importance,
            stratified: false,
        },
        ..DiffusionConfig::default()
    };
    let mut model = model(small());
    model.label = NoiseLabel::Step { steps: 4 };
    let mut task = Diffusion::new(model, config).unwrap();
    let rng = Rng::seeded(5, &device());
    let drawn = |task: &Diffusion| task.levels(ROWS, &mut rng.fork(0));
    let held_out = |task: &Diffusion| task.validation_levels(ROWS, &mut rng.fork(0));
    let (before, fixed) = (drawn(&task), held_out(&task));
    for _ in 0..40 {
        let levels = task.levels(ROWS, &mut rng.fork(1));
        let losses: Vec<f64> = levels.iter().map(|level| level.sigma).collect();
        task.observe(&levels, &losses);
        let others = task.levels(ROWS, &mut rng.fork(2));
        let losses: Vec<f64> = others.iter().map(|level| level.sigma).collect();
        task.observe(&others, &losses);
    }
    let weight = |levels: &[Level]| levels.iter().map(|level| level.weight).collect::<Vec<_>>();
    assert_eq!(weight(&before), [1.0; ROWS]);
    assert_ne!(drawn(&task), before);
    assert_eq!(held_out(&task), fixed);
}

#[test]
fn a_classifier_is_told_its_noise_level() {
    let model = ClassifierModel::new(
        ClassifierConfig {
            classes: 3,
            encoder: small(),
        },
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [8, 8],
    );
    let task = Classification::new(model, ClassificationConfig::default()).unwrap();
    let network = disturbed(task.init(0, &device()).unwrap());
    let rng = Rng::seeded(5, &device());
    let levels = task.levels(ROWS, &mut rng.fork(0));
    let classes: Vec<usize> = (0..ROWS).map(|row| row % 3).collect();
    let batch = ExampleBatch {
        images: images(),
        classes: Some(classes.clone()),
    };
    let found = values(&task.losses(&network, batch, &levels, &mut rng.fork(1)));

    let schedule = ScheduleConfig::DDPM.build().unwrap();
    let label = NoiseLabel::Step { steps: 1000 };
    let epsilon = Parametrisation::Epsilon.preconditioning(schedule, label);
    let column = |of: &dyn Fn(&Level) -> f64| {
        let numbers: Vec<f64> = levels.iter().map(of).collect();
        Tensor::<1>::from_data(numbers.as_slice(), &device())
    };
    let wide = |of: &dyn Fn(&Level) -> f64| column(of).reshape([ROWS, 1, 1, 1]);
    let noise = rng.fork(1).normal([ROWS, 1, 8, 8]);
    let noisy = (images() * 2.0 - 1.0 + noise * wide(&|level| level.sigma))
        * wide(&|level| epsilon.at(level.sigma).input);
    let told = |labels: Tensor<1>| {
        let asked: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
        let asked = Tensor::<1, Int>::from_data(asked.as_slice(), &device());
        let logs = network.forward(noisy.clone(), labels);
        values(
            &logs
                .gather(1, asked.unsqueeze_dim(1))
                .squeeze_dim::<1>(1)
                .neg(),
        )
    };
    let labels = column(&|level| epsilon.at(level.sigma).noise);
    // The inputs are rounded in another order.
    assert_close("losses", &found, &told(labels.clone()), 1e-4);
    let silent = told(labels.zeros_like());
    let largest = found
        .iter()
        .zip(&silent)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(largest > 1e-3, "{largest:e}");
}
