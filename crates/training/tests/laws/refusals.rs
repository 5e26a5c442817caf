//! Data and models that cannot be trained are refused before the first step.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use burn::data::dataset::{Dataset, DatasetError};
use tweedie_data::{Example, Phantoms, Unlabelled};
use tweedie_models::ModelError;
use tweedie_testkit::device;
use tweedie_training::{
    Diffusion, DiffusionConfig, Examples, LevelDistribution, Trainer, TrainingConfig, TrainingError,
};

use crate::{
    conditioning::{labelled, told},
    support::{config, held_out, images, model, run, small, task},
};

fn refused(config: TrainingConfig, images: Examples, validation: Examples) -> TrainingError {
    let task = task(model(small()));
    Trainer::new(config, task, images, validation, &device())
        .err()
        .unwrap()
}

fn phantoms(count: usize, height: usize, width: usize) -> Examples {
    Arc::new(Unlabelled(Phantoms::new(0, count, height, width).unwrap()))
}

#[test]
fn images_of_another_shape_are_refused() {
    for (train, valid) in [
        (phantoms(22, 8, 12), held_out()),
        (images(), phantoms(22, 8, 12)),
    ] {
        let error = refused(config(), train, valid);
        assert!(
            matches!(
                error,
                TrainingError::ImageShape {
                    expected: [1, 8, 8],
                    found: [1, 8, 12]
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn too_few_images_are_refused() {
    let error = refused(config(), phantoms(3, 8, 8), held_out());
    assert!(
        matches!(
            error,
            TrainingError::TooFewImages {
                set: "training",
                found: 3,
                batch_size: 4
            }
        ),
        "{error}"
    );
    let error = refused(config(), images(), phantoms(0, 8, 8));
    assert!(
        matches!(
            error,
            TrainingError::TooFewImages {
                set: "validation",
                found: 0,
                ..
            }
        ),
        "{error}"
    );
}

/// Only the first image is looked at beforehand.
#[test]
fn a_class_out_of_range_ends_the_validation() {
    let task = task(model(told(0)));
    let (images, held_out) = (labelled(0, 22, 3), labelled(1, 8, 4));
    let trainer = Trainer::new(config(), task, images, held_out, &device()).unwrap();
    let error = trainer.validate().unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::Label {
                found: 3,
                classes: 3
            }
        ),
        "{error}"
    );
}

#[test]
fn one_batch_of_images_is_enough() {
    let few = phantoms(4, 8, 8);
    let task = task(model(small()));
    let mut trainer = Trainer::new(config(), task, few, phantoms(1, 8, 8), &device()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&mut trainer, folder.path(), None).unwrap().finished);
}

#[test]
fn settings_are_checked() {
    let config = TrainingConfig {
        ema_decays: vec![1.5],
        ..config()
    };
    assert!(matches!(
        refused(config, images(), held_out()),
        TrainingError::Setting {
            field: "ema_decays",
            ..
        }
    ));
}

#[test]
fn sizes_that_the_network_cannot_take_are_refused() {
    let mut model = model(small());
    model.image_size = [8, 9];
    let odd = phantoms(22, 8, 9);
    let error = Trainer::new(config(), task(model), odd.clone(), odd, &device())
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            TrainingError::Model(ModelError::Size {
                multiple: 2,
                height: 8,
                width: 9
            })
        ),
        "{error}"
    );
}

#[test]
fn models_that_cannot_be_are_refused() {
    let mut model = model(small());
    model.label = tweedie_core::NoiseLabel::Step { steps: 0 };
    let error = Diffusion::new(model, DiffusionConfig::default())
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            TrainingError::Model(ModelError::Zero { field: "steps" })
        ),
        "{error}"
    );
}

/// A model of one level is trained at that one, and nothing else is.
#[test]
fn levels_are_those_that_the_model_says() {
    let trained = |only_sigma, distribution| {
        let mut model = model(small());
        model.only_sigma = only_sigma;
        let mut config = DiffusionConfig::default();
        config.levels.distribution = distribution;
        Diffusion::new(model, config).err()
    };
    let one = LevelDistribution::One { sigma: 0.1 };
    let all = LevelDistribution::Uniform;
    assert!(trained(Some(0.1), one).is_none());
    assert!(trained(None, all).is_none());
    for (only_sigma, distribution) in [(Some(0.2), one), (None, one), (Some(0.1), all)] {
        let error = trained(only_sigma, distribution).unwrap();
        assert!(
            matches!(error, TrainingError::OnlyLevel { only, found } if only == only_sigma && found == distribution),
            "{error}"
        );
    }
}

/// Cannot read its last image.
struct Damaged;

impl Dataset<Example> for Damaged {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        if index + 1 == self.len() {
            return Err(DatasetError::new(std::io::Error::other(
                "0021.png is cut short",
            )));
        }
        images().get(index)
    }

    fn len(&self) -> usize {
        20
    }
}

#[test]
fn an_image_that_cannot_be_read_stops_the_run_by_name() {
    let mut trainer = Trainer::new(
        config(),
        task(model(small())),
        Arc::new(Damaged),
        held_out(),
        &device(),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = run(&mut trainer, folder.path(), None).unwrap_err();
    assert!(matches!(error, TrainingError::Data { .. }), "{error}");
    assert!(
        error.to_string().contains("0021.png is cut short"),
        "{error}"
    );
}

/// Its last image has another shape than the first, which alone is looked at beforehand.
struct Uneven;

impl Dataset<Example> for Uneven {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        if index + 1 == self.len() {
            return phantoms(1, 8, 12).get(0);
        }
        images().get(index)
    }

    fn len(&self) -> usize {
        20
    }
}

/// The panic of the thread that makes batches does not pass for the end of the data.
#[test]
fn a_panic_over_a_batch_is_one_of_the_run() {
    let task = task(model(small()));
    let mut trainer =
        Trainer::new(config(), task, Arc::new(Uneven), held_out(), &device()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let found = catch_unwind(AssertUnwindSafe(|| run(&mut trainer, folder.path(), None)));
    assert!(found.is_err());
}
