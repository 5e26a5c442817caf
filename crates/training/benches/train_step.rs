//! One step of the optimiser on the `tiny` preset, data on the device: `cargo bench -p tweedie-training`.

use std::sync::Arc;

use burn::data::dataset::Dataset;
use divan::Bencher;
use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie_data::{Image, Phantoms, Unlabelled};
use tweedie_models::{Architecture, ModelConfig, UNetConfig};
use tweedie_testkit::device;
use tweedie_training::{Diffusion, DiffusionConfig, Trainer, TrainingConfig};

fn main() {
    divan::main();
}

/// Batch size, and height and width.
const CASES: &[(usize, usize)] = &[(16, 32), (64, 28)];

#[divan::bench(args = CASES, sample_count = 10, sample_size = 1)]
fn tiny(bencher: Bencher, (batch_size, size): (usize, usize)) {
    let config = TrainingConfig {
        batch_size,
        ..TrainingConfig::default()
    };
    let model = ModelConfig::new(
        Architecture::UNet(UNetConfig::preset("tiny").expect("it is a preset")),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [size, size],
    );
    let phantoms = Arc::new(Phantoms::new(0, batch_size, size, size).expect("the size is not 0"));
    let images: Vec<Image> = (0..batch_size)
        .map(|i| phantoms.get(i).expect("phantoms are made, not read"))
        .collect();
    let batch = Image::batch(&images, &device()).expect("phantoms have one shape");
    let task = Diffusion::new(model, DiffusionConfig::default()).expect("the model is valid");
    let examples = Arc::new(Unlabelled(phantoms));
    let mut trainer = Trainer::new(config, task, examples.clone(), examples, &device())
        .expect("the settings are valid");
    bencher.bench_local(|| {
        trainer
            .advance(batch.clone().into())
            .expect("the loss is finite")
    });
}
