//! Where is the lesion? What has to change in an image for it to be a healthy one.
//!
//! `cargo xtask example anomaly -- RUN` takes the network of `cargo xtask train --preset lesions --out RUN`. Without an argument a smaller one
//! is trained first, for less than a minute.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{error::Error, path::Path, sync::Arc};

use tweedie::{
    core::{ClassifierFree, NoiseLabel, Parametrisation, ScheduleConfig},
    data::LesionPhantoms,
    metrics::{auroc, best_dice},
    models::{Architecture, ModelConfig, UNetConfig},
    prelude::*,
    samplers::{Ascent, Counterfactual, anomaly_map},
    training::{
        Checkpoint, Diffusion, DiffusionConfig, Flow, LearningRateDecay, LevelDistribution,
        LevelsConfig, Trainer, TrainingConfig,
    },
};

const SIZE: usize = 32;
const HEALTHY: usize = 0;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let model = match std::env::args().nth(1) {
        Some(run) => {
            let newest = Checkpoint::latest(&Path::new(&run).join("checkpoints"))?;
            Pretrained::open(newest.folder(), &device)?
        }
        None => trained(&device)?,
    };

    // Phantoms of another seed than those of the training, and where their lesions are.
    let phantoms = LesionPhantoms::new(7, 0, SIZE, SIZE)?;
    let (ill, masks): (Vec<Image>, Vec<Image>) = (0..100)
        .map(|index| phantoms.planted(index))
        .map(|planted| (planted.image, planted.mask))
        .unzip();
    let images = Image::batch(&ill, &device)?;

    // Up as an image of any class, down as a healthy one.
    let schedule = model.schedule();
    let grid = TimeGrid::uniform(schedule.horizon(), schedule.time_at(1.0 / 255.0), 100)?;
    let path = Counterfactual::new(schedule, &grid, 25, Ascent::Encoded)?;
    let any = model.given(None, None)?;
    let healthy = ClassifierFree::new(model.given(Some(&[HEALTHY]), None)?, any.clone(), 2.0);
    let mut rng = Rng::seeded(0, &device);
    let counterfactuals = path.run(images.clone(), &any, &healthy, &mut rng, &mut |_| ())?;
    let map = anomaly_map(images, counterfactuals);

    let scores: Vec<f64> = map.try_to_vec_as()?;
    let truth: Vec<bool> = masks
        .iter()
        .flat_map(Image::pixels)
        .map(|pixel| *pixel > 0.5)
        .collect();
    let best = best_dice(&scores, &truth);
    println!("pixel-wise AUROC {:.3}", auroc(&scores, &truth));
    println!(
        "Dice {:.3} at the best threshold, {:.3}",
        best.dice, best.threshold
    );
    Ok(())
}

/// A small network that is told whether a head is healthy.
fn trained(device: &Device) -> Result<Pretrained, Box<dyn Error>> {
    let unet = UNetConfig {
        base_channels: 8,
        channel_multipliers: vec![1, 2, 4],
        classes: LesionPhantoms::CLASSES,
        ..UNetConfig::preset("tiny")?
    };
    let model = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Edm { sigma_data: 0.5 },
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [SIZE, SIZE],
    );
    let learning = DiffusionConfig {
        levels: LevelsConfig {
            distribution: LevelDistribution::LogNormal {
                mean: -1.6,
                std: 1.3,
            },
            ..LevelsConfig::default()
        },
        label_dropout: 0.1,
        ..DiffusionConfig::default()
    };
    let config = TrainingConfig {
        steps: 1500,
        learning_rate: 3e-3,
        learning_rate_decay: LearningRateDecay::Cosine { floor: 0.0 },
        ema_decays: vec![0.98],
        ..TrainingConfig::default()
    };
    let learnt = Arc::new(LesionPhantoms::new(1, 100_000, SIZE, SIZE)?);
    let held_out = Arc::new(LesionPhantoms::new(2, 64, SIZE, SIZE)?);
    let task = Diffusion::new(model.clone(), learning)?;
    let mut trainer = Trainer::new(config, task, learnt, held_out, device)?;
    println!("training a small network");
    let folder = std::env::temp_dir().join("tweedie-lesions");
    std::fs::remove_dir_all(&folder).ok();
    trainer.run(&folder, |_| Flow::Continue)?;
    Ok(Pretrained::from_network(model, trainer.average().clone())?)
}
