//! Small networks, small images, and what is read back from them.

use std::{path::Path, sync::Arc};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use tempfile::{TempDir, tempdir};
use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie_data::{ExampleBatch, Image, Phantoms, Unlabelled};
use tweedie_models::{
    Architecture, EMA_FILE, ModelConfig, Network, TimeInjection, UNetConfig, WEIGHTS_FILE,
    load_weights,
};
use tweedie_testkit::{device, values};
use tweedie_training::{
    Checkpoint, Diffusion, DiffusionConfig, Event, Examples, Flow, Outcome, Trainer,
    TrainingConfig, TrainingError,
};

/// Two levels, attention at the bottom.
pub(crate) fn small() -> UNetConfig {
    UNetConfig {
        channels: 1,
        base_channels: 4,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 1,
        attention_levels: vec![],
        heads: 1,
        groups: 2,
        dropout: 0.0,
        time_injection: TimeInjection::ScaleShift,
        ..UNetConfig::default()
    }
}

/// Noise prediction on 8x8 images.
pub(crate) fn model(unet: UNetConfig) -> ModelConfig {
    ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [8, 8],
    )
}

/// Five steps are an epoch of [`images`], with two images left over.
pub(crate) fn config() -> TrainingConfig {
    TrainingConfig {
        steps: 12,
        batch_size: 4,
        learning_rate: 3e-3,
        warmup_steps: 3,
        seed: 7,
        validate_every: 4,
        sample_every: 0,
        checkpoint_every: 5,
        ..TrainingConfig::default()
    }
}

pub(crate) fn phantoms(seed: u64, count: usize, size: usize) -> Examples {
    Arc::new(Unlabelled(Phantoms::new(seed, count, size, size).unwrap()))
}

pub(crate) fn images() -> Examples {
    phantoms(0, 22, 8)
}

pub(crate) fn held_out() -> Examples {
    phantoms(1, 8, 8)
}

/// The first four of [`images`], in their own order.
pub(crate) fn first_batch() -> ExampleBatch {
    let images: Vec<Image> = (0..4).map(|i| images().get(i).unwrap().image).collect();
    Image::batch(&images, &device()).unwrap().into()
}

/// The usual objective of a model.
pub(crate) fn task(model: ModelConfig) -> Diffusion {
    Diffusion::new(model, DiffusionConfig::default()).unwrap()
}

pub(crate) fn trainer(config: TrainingConfig, model: ModelConfig) -> Trainer<Diffusion> {
    Trainer::new(config, task(model), images(), held_out(), &device()).unwrap()
}

pub(crate) fn resumed(
    checkpoint: &Checkpoint,
    config: TrainingConfig,
    model: ModelConfig,
) -> Result<Trainer<Diffusion>, TrainingError> {
    Trainer::resume(
        checkpoint,
        config,
        task(model),
        images(),
        held_out(),
        &device(),
    )
}

/// Runs to the end, or up to the step after which it is told to stop.
pub(crate) fn run(
    trainer: &mut Trainer<Diffusion>,
    folder: &Path,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainingError> {
    trainer.run(folder, |event| match event {
        Event::Step(step) if Some(step.step) == stop_after => Flow::Stop,
        _ => Flow::Continue,
    })
}

/// The folder of a usual run that was told to stop after a step.
pub(crate) fn stopped_after(step: u64) -> TempDir {
    let folder = tempdir().unwrap();
    run(
        &mut trainer(config(), model(small())),
        folder.path(),
        Some(step),
    )
    .unwrap();
    folder
}

pub(crate) fn latest(run: &Path) -> Checkpoint {
    Checkpoint::latest(&run.join("checkpoints")).unwrap()
}

fn loaded(unet: &UNetConfig, path: &Path) -> Network {
    let architecture = Architecture::UNet(unet.clone());
    let mut network = architecture.init(0, &device()).unwrap();
    load_weights(&mut network, path).unwrap();
    network
}

/// The network and its average in a checkpoint.
pub(crate) fn networks(unet: &UNetConfig, checkpoint: &Checkpoint) -> (Network, Network) {
    (
        loaded(unet, &checkpoint.folder().join(WEIGHTS_FILE)),
        loaded(unet, &checkpoint.folder().join(EMA_FILE)),
    )
}

#[derive(Default)]
struct Collect(Vec<Vec<f64>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(values(&param.val()));
    }
}

/// All weights, tensor by tensor.
pub(crate) fn weights<M: Module>(module: &M) -> Vec<Vec<f64>> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.0
}
