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
    AUTOENCODER_FOLDER, Architecture, LatentModel, ModelConfig, ModelError, Pixels,
    PretrainedAutoencoder, UNetConfig,
};
use tweedie_testkit::{device, values};
use tweedie_training::{
    Diffusion, DiffusionConfig, Event, Examples, Flow, LatentDiffusion, ObjectiveConfig, Task,
    Trainer, TrainingConfig, TrainingError,
};

use crate::{
    autoencoding::autoencoder,
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
    let network = task.init(3, &device()).unwrap();
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
    assert!((scale(&set(2, 0)) / few - 1.0).abs() > 0.01);
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
fn a_run_with_another_autoencoder_is_not_resumed() {
    let folder = run(&mut trainer(config()), Some(3));
    let resume = |autoencoder| {
        Trainer::resume(
            &latest(folder.path()),
            config(),
            task(autoencoder),
            images(),
            held_out(),
            &device(),
        )
    };
    resume(scaled(1)).unwrap();
    for other in [scaled(2), pretrained(1)] {
        let error = resume(other).err().unwrap();
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
