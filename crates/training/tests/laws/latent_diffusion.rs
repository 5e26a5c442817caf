//! Diffusion of latents: what is learnt, what a checkpoint holds, and what is refused.

use std::{fs, sync::Arc};

use burn::{
    data::dataset::InMemDataset,
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use tempfile::{TempDir, tempdir};
use tweedie_core::{Denoiser, GaussianPrior, NoiseLabel, Parametrisation, Rng, ScheduleConfig};
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{
    AUTOENCODER_FOLDER, Architecture, LatentModel, ModelConfig, ModelError, Network, Pixels,
    Pretrained, PretrainedAutoencoder, UNetConfig,
};
use tweedie_testkit::{device, values};
use tweedie_training::{
    Diffusion, DiffusionConfig, Event, Examples, Flow, LatentDiffusion, LevelDistribution,
    LevelsConfig, ObjectiveConfig, Task, Trainer, TrainingConfig, TrainingError,
};

use crate::{
    autoencoding::autoencoder,
    conditioning::{disturbed, labelled, told},
    support::{config, first_batch, held_out, images, latest, phantoms, small},
};

/// Weights that are all awake.
fn pretrained(seed: u64) -> PretrainedAutoencoder {
    struct Awake(u64, u64);
    impl ModuleMapper for Awake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.1 += 1;
            let mut rng = Rng::seeded(self.0, &device()).starting_at(self.1);
            param.map(|x| {
                let noise = rng.normal([1, x.shape().num_elements()]).reshape(x.dims());
                x + noise.mul_scalar(0.3)
            })
        }
    }
    let model = autoencoder();
    let network = model.architecture.init(seed, &device()).unwrap();
    PretrainedAutoencoder::from_network(model, network.map(&mut Awake(seed, 0))).unwrap()
}

fn scaled(seed: u64) -> PretrainedAutoencoder {
    LatentDiffusion::scaled(pretrained(seed), &images(), &device()).unwrap()
}

/// Noise prediction on latents of 2x4x4.
fn model() -> ModelConfig {
    let unet = UNetConfig {
        channels: 2,
        ..small()
    };
    let mut model = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [4, 4],
    );
    model.pixels = Pixels::Unit;
    model
}

fn task(autoencoder: PretrainedAutoencoder) -> LatentDiffusion {
    LatentDiffusion::new(model(), DiffusionConfig::default(), autoencoder).unwrap()
}

fn trainer(config: TrainingConfig) -> Trainer<LatentDiffusion> {
    Trainer::new(config, task(scaled(1)), images(), held_out(), &device()).unwrap()
}

fn run(trainer: &mut Trainer<LatentDiffusion>, stop: Option<u64>) -> TempDir {
    let folder = tempdir().unwrap();
    run_in(trainer, &folder, stop);
    folder
}

fn run_in(trainer: &mut Trainer<LatentDiffusion>, folder: &TempDir, stop: Option<u64>) {
    let outcome = trainer.run(folder.path(), |event| match event {
        Event::Step(step) if Some(step.step) == stop => Flow::Stop,
        _ => Flow::Continue,
    });
    assert_eq!(outcome.unwrap().finished, stop.is_none());
}

#[test]
fn the_loss_is_that_of_a_diffusion_of_drawn_latents() {
    let (task, autoencoder) = (task(scaled(1)), scaled(1));
    let network = disturbed(task.init(3, &device()).unwrap());
    let levels = task.levels(4, &mut Rng::seeded(1, &device()));
    let rng = || Rng::seeded(2, &device());
    let found = task.losses(&network, first_batch(), &levels, &mut rng());

    let mut rng = rng();
    let latents = autoencoder.encode(first_batch().images).sample(&mut rng);
    let plain = Diffusion::new(model(), DiffusionConfig::default()).unwrap();
    let batch = ExampleBatch::from(latents);
    let expected = plain.losses(&network, batch, &levels, &mut rng);
    assert_eq!(values(&found), values(&expected));
}

/// [`model`] with three classes.
fn told_model() -> ModelConfig {
    let mut model = model();
    model.architecture = Architecture::UNet(UNetConfig {
        channels: 2,
        ..told(0)
    });
    model
}

fn told_task(label_dropout: f64) -> LatentDiffusion {
    let config = DiffusionConfig {
        label_dropout,
        ..DiffusionConfig::default()
    };
    LatentDiffusion::new(told_model(), config, scaled(1)).unwrap()
}

#[test]
fn the_classes_of_images_are_those_of_their_latents() {
    let classes = |classes: [usize; 4], dropout: f64| {
        let task = told_task(dropout);
        let network = disturbed(task.init(3, &device()).unwrap());
        let levels = task.levels(4, &mut Rng::seeded(1, &device()));
        let batch = ExampleBatch {
            classes: Some(classes.to_vec()),
            ..first_batch()
        };
        values(&task.losses(&network, batch, &levels, &mut Rng::seeded(2, &device())))
    };
    let found = classes([0, 1, 2, 0], 0.0);
    let other = classes([0, 2, 2, 0], 0.0);
    let same: Vec<bool> = found.iter().zip(&other).map(|(a, b)| a == b).collect();
    assert_eq!(same, [true, false, true, true]);
    // Told none, all are alike.
    assert_eq!(classes([0, 1, 2, 0], 1.0), classes([2, 0, 1, 1], 1.0));
}

#[test]
fn a_model_of_latents_with_classes_is_trained_and_opened_again() {
    let (images, held_out) = (labelled(0, 22, 3), labelled(1, 8, 3));
    let trainer = Trainer::new(config(), told_task(0.1), images, held_out, &device());
    let mut trainer = trainer.unwrap();
    let folder = run(&mut trainer, None);
    let opened = LatentModel::open(latest(folder.path()).folder(), &device()).unwrap();
    assert_eq!(opened.prior().config(), &told_model());
    let latents = Rng::seeded(1, &device()).normal([2, 2, 4, 4]);
    let clean = |denoiser: &dyn Denoiser| values(&denoiser.denoise(latents.clone(), 0.5));
    let [first, second, none] = [Some([0].as_slice()), Some(&[1]), None]
        .map(|class| clean(&opened.prior().given(class, None).unwrap()));
    assert!(first != second && first != none);
    let kept = Pretrained::from_network(told_model(), trainer.average().clone()).unwrap();
    assert_eq!(clean(&kept.given(Some(&[0]), None).unwrap()), first);
    let both = clean(&opened.prior().given(Some(&[0, 1]), None).unwrap());
    assert_eq!(both, [&first[..32], &second[32..]].concat());
}

#[test]
fn classes_that_cannot_be_told_are_refused() {
    let new =
        |images, held_out| Trainer::new(config(), told_task(0.0), images, held_out, &device());
    let error = new(images(), held_out()).err().unwrap();
    assert!(matches!(error, TrainingError::NoLabels { classes: 3 }));
    let unheard = Trainer::new(
        config(),
        task(scaled(1)),
        labelled(0, 22, 3),
        held_out(),
        &device(),
    );
    assert!(matches!(unheard.err(), Some(TrainingError::UnusedLabels)));
    // Only the first image is looked at beforehand.
    let mut trainer = new(labelled(0, 22, 4), labelled(1, 8, 4)).unwrap();
    let batch = ExampleBatch {
        classes: Some(vec![0, 1, 2, 3]),
        ..first_batch()
    };
    let expected = |error: TrainingError| {
        matches!(
            error,
            TrainingError::Label {
                found: 3,
                classes: 3
            }
        )
    };
    assert!(expected(trainer.advance(batch).unwrap_err()));
    assert!(expected(trainer.validate().unwrap_err()));
}

/// Noise levels and what is learnt of them, dropout and precision.
#[test]
fn all_but_the_images_is_that_of_a_diffusion() {
    let config = DiffusionConfig {
        levels: LevelsConfig {
            distribution: LevelDistribution::Importance,
            stratified: false,
        },
        ..DiffusionConfig::default()
    };
    let mut model = model();
    model.label = NoiseLabel::Step { steps: 2 };
    if let Architecture::UNet(unet) = &mut model.architecture {
        unet.dropout = 0.1;
    }
    let new = || LatentDiffusion::new(model.clone(), config.clone(), scaled(1)).unwrap();
    let (mut latent, mut plain) = (
        new(),
        Diffusion::new(model.clone(), config.clone()).unwrap(),
    );
    let rng = || Rng::seeded(1, &device());
    for _ in 0..10 {
        let levels = latent.levels(8, &mut rng());
        let losses: Vec<f64> = levels.iter().map(|level| level.sigma).collect();
        latent.observe(&levels, &losses);
        plain.observe(&levels, &losses);
    }
    let drawn = |task: &dyn Task<Network = Network>| {
        let validation = task.validation_levels(8, &mut rng());
        (task.levels(8, &mut rng()), validation, task.memory())
    };
    assert_eq!(drawn(&latent), drawn(&plain));
    assert_ne!(drawn(&latent), drawn(&new()));
    let mut other = new();
    other.recall(plain.memory());
    assert_eq!(drawn(&other), drawn(&plain));
    let (levels, validation, _) = drawn(&latent);
    assert_ne!(levels, validation);

    assert!(latent.has_dropout() && !task(scaled(1)).has_dropout());
    assert!(latent.takes_half_precision());
}

#[test]
fn the_scale_is_that_of_images_from_the_whole_set() {
    let one = images().get(0).unwrap();
    let black = Example {
        image: tweedie_data::Image::new(1, 8, 8, vec![0.0; 64]).unwrap(),
        class: None,
    };
    let set = |black_ones: usize, others: usize| -> Examples {
        let examples = [vec![black.clone(); black_ones], vec![one.clone(); others]];
        Arc::new(InMemDataset::new(examples.concat()))
    };
    let scale = |set: &Examples| {
        let scaled = LatentDiffusion::scaled(pretrained(1), set, &device()).unwrap();
        scaled.model().scale
    };
    // 600 images are more than are measured.
    let (whole, few) = (scale(&set(300, 300)), scale(&set(1, 1)));
    assert!((whole / few - 1.0).abs() < 1e-5, "{whole} {few}");
    let black = scale(&set(2, 0));
    assert!((black / few - 1.0).abs() > 0.01);
    // The last of 256 is measured too.
    assert!((scale(&set(255, 1)) / black - 1.0).abs() > 1e-4);
}

#[test]
fn a_checkpoint_draws_latents_and_decodes_them() {
    let mut trainer = trainer(config());
    let folder = run(&mut trainer, None);
    let checkpoint = latest(folder.path());
    let opened = LatentModel::open(checkpoint.folder(), &device()).unwrap();
    assert_eq!(opened.prior().config(), &model());
    let autoencoder = scaled(1);
    assert!(
        autoencoder
            .is_in(&checkpoint.folder().join(AUTOENCODER_FOLDER))
            .unwrap()
    );
    let latents = Rng::seeded(1, &device()).normal([2, 2, 4, 4]);
    let clean = |denoiser: &dyn Denoiser| values(&denoiser.denoise(latents.clone(), 0.5));
    let average = model().denoiser(trainer.average()).unwrap();
    assert_eq!(clean(opened.prior().denoiser()), clean(&average));
    let decoded = opened.autoencoder().decode(latents.clone());
    assert_eq!(values(&decoded), values(&autoencoder.decode(latents)));
}

#[test]
fn resumed_equals_uninterrupted() {
    let expected = run(&mut trainer(config()), None);
    let folder = run(&mut trainer(config()), Some(7));
    let checkpoint = latest(folder.path());
    let place = checkpoint.folder().join(AUTOENCODER_FOLDER);
    let autoencoder = PretrainedAutoencoder::open(&place, &device()).unwrap();
    let mut resumed = Trainer::resume(
        &checkpoint,
        config(),
        task(autoencoder),
        images(),
        held_out(),
        &device(),
    )
    .unwrap();
    run_in(&mut resumed, &folder, None);
    for file in [
        "weights.safetensors",
        "ema.safetensors",
        "training.json",
        "model.json",
        "autoencoder/autoencoder.json",
        "autoencoder/ema.safetensors",
    ] {
        let read = |run: &TempDir| fs::read(latest(run.path()).folder().join(file)).unwrap();
        assert!(read(&folder) == read(&expected), "{file} differs");
    }
}

#[test]
fn a_run_with_another_network_or_autoencoder_is_not_resumed() {
    let folder = run(&mut trainer(config()), Some(3));
    let resume = |model, autoencoder| {
        let task = LatentDiffusion::new(model, DiffusionConfig::default(), autoencoder);
        Trainer::resume(
            &latest(folder.path()),
            config(),
            task.unwrap(),
            images(),
            held_out(),
            &device(),
        )
    };
    let mut shorter = model();
    shorter.label = NoiseLabel::Step { steps: 500 };
    resume(model(), scaled(1)).unwrap();
    for (model, autoencoder) in [
        (model(), scaled(2)),
        (model(), pretrained(1)),
        (shorter, scaled(1)),
    ] {
        let error = resume(model, autoencoder).err().unwrap();
        assert!(matches!(error, TrainingError::OtherModel { .. }), "{error}");
    }
}

/// One image: its latents are normal and independent, so the best denoiser of them is known.
#[test]
fn the_latents_of_one_image_are_learnt() {
    let one = images().get(0).unwrap();
    let set: Examples = Arc::new(InMemDataset::new(vec![one.clone(); 64]));
    let autoencoder = LatentDiffusion::scaled(pretrained(1), &set, &device()).unwrap();
    let encoded = autoencoder.encode(one.image.to_tensor(&device()));
    let prior = GaussianPrior::diagonal(encoded.mean, encoded.log_variance.exp()).unwrap();
    let config = TrainingConfig {
        steps: 400,
        batch_size: 64,
        learning_rate: 1e-2,
        ema_decays: vec![0.98],
        validate_every: 0,
        checkpoint_every: 0,
        ..config()
    };
    let mut model = model();
    if let Architecture::UNet(unet) = &mut model.architecture {
        (unet.base_channels, unet.groups) = (16, 4);
    }
    let task = LatentDiffusion::new(model.clone(), DiffusionConfig::default(), autoencoder);
    let mut trainer = Trainer::new(config, task.unwrap(), set.clone(), set, &device()).unwrap();
    // Relative to what a denoiser changes, over levels around the size of the latents.
    let departure = |trainer: &Trainer<LatentDiffusion>| {
        let network = model.denoiser(trainer.average()).unwrap();
        let mut rng = Rng::seeded(9, &device());
        let errors = [0.3, 1.0, 3.0].map(|sigma| {
            let clean = prior.coloured(rng.normal([64, 2, 4, 4]));
            let noisy = clean + rng.normal([64, 2, 4, 4]).mul_scalar(sigma);
            let best = prior.denoise(noisy.clone(), sigma);
            let error = network.denoise(noisy.clone(), sigma) - best.clone();
            let change = best - noisy;
            values(&error.square().mean())[0] / values(&change.square().mean())[0]
        });
        errors.iter().sum::<f64>() / 3.0
    };
    let before = departure(&trainer);
    let folder = tempdir().unwrap();
    trainer.run(folder.path(), |_| Flow::Continue).unwrap();
    let after = departure(&trainer);
    // A fresh network predicts no noise: it changes nothing.
    assert!((before - 1.0).abs() < 1e-6, "{before}");
    assert!(after < 0.05, "{after}");
}

#[test]
fn what_is_no_model_of_the_latents_is_refused() {
    let refused = |change: fn(&mut ModelConfig)| {
        let mut model = model();
        change(&mut model);
        LatentDiffusion::new(model, DiffusionConfig::default(), scaled(1))
            .err()
            .unwrap()
    };
    assert!(matches!(
        refused(|model| model.image_size = [8, 8]),
        TrainingError::Model(ModelError::Latents {
            expected: [2, 4, 4],
            found: [2, 8, 8]
        })
    ));
    assert!(matches!(
        refused(|model| model.pixels = Pixels::Symmetric),
        TrainingError::Model(ModelError::LatentPixels {
            found: Pixels::Symmetric
        })
    ));
    let deep = refused(|model| {
        if let Architecture::UNet(unet) = &mut model.architecture {
            unet.channel_multipliers = vec![1, 2, 2, 2];
        }
    });
    assert!(matches!(
        deep,
        TrainingError::Model(ModelError::Size {
            multiple: 8,
            height: 4,
            width: 4
        })
    ));
    let hybrid = DiffusionConfig {
        objective: ObjectiveConfig::Hybrid {},
        ..DiffusionConfig::default()
    };
    assert!(matches!(
        LatentDiffusion::new(model(), hybrid, scaled(1)).err(),
        Some(TrainingError::HybridLatents)
    ));
    let none: Examples = Arc::new(InMemDataset::new(Vec::new()));
    let scale = |set: &Examples| LatentDiffusion::scaled(pretrained(1), set, &device());
    assert!(matches!(
        scale(&none),
        Err(TrainingError::TooFewImages { found: 0, .. })
    ));
    for wrong in [
        scale(&phantoms(0, 3, 16)).err(),
        Trainer::new(
            config(),
            task(scaled(1)),
            phantoms(0, 22, 16),
            held_out(),
            &device(),
        )
        .err(),
    ] {
        assert!(matches!(
            wrong,
            Some(TrainingError::ImageShape {
                expected: [1, 8, 8],
                found: [1, 16, 16]
            })
        ));
    }
}
