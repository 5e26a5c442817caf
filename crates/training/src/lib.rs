//! Training of diffusion models: the objective, weight averaging, checkpoints and the loop.
//!
//! A [`Trainer`] owns the network, its moving average and the optimiser, and walks through a data set step by step. Every
//! random number of step `k` is a function of the seed and of `k`, so a run that is stopped and resumed from a
//! [`Checkpoint`] equals one that was never stopped, bit for bit on one device.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
//! use tweedie_data::{Phantoms, Unlabelled};
//! use tweedie_models::{Architecture, ModelConfig, UNetConfig};
//! use tweedie_training::{Diffusion, DiffusionConfig, Event, Flow, Trainer, TrainingConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = ModelConfig::new(
//!     Architecture::UNet(UNetConfig::preset("tiny")?),
//!     Parametrisation::Epsilon,
//!     ScheduleConfig::DDPM,
//!     NoiseLabel::Step { steps: 1000 },
//!     [32, 32],
//! );
//! let config = TrainingConfig { steps: 500, ..TrainingConfig::default() };
//! let images = Arc::new(Unlabelled(Phantoms::new(0, 50_000, 32, 32)?));
//! let held_out = Arc::new(Unlabelled(Phantoms::new(1, 64, 32, 32)?));
//! let task = Diffusion::new(model, DiffusionConfig::default())?;
//! let mut trainer = Trainer::new(config, task, images, held_out, &Device::flex())?;
//! trainer.run("runs/phantoms".as_ref(), |event| {
//!     if let Event::Step(step) = event {
//!         println!("{}: {}", step.step, step.loss);
//!     }
//!     Flow::Continue
//! })?;
//! # Ok(())
//! # }
//! ```

mod averages;
mod bound;
mod chain;
mod checkpoint;
mod clipping;
mod config;
mod decoder;
mod ema;
mod error;
mod gradients;
mod levels;
mod log;
mod moments;
mod objective;
mod order;
mod patience;
mod post_hoc;
mod prefetch;
mod rates;
mod task;
mod trainer;
mod validation;

pub use bound::{Bound, DenoisingTerm, Estimate, ReverseVariance, VariationalBound};
pub use checkpoint::{CHECKPOINTS_FOLDER, Checkpoint};
pub use config::TrainingConfig;
pub use ema::{averaged, decay_at};
pub use error::TrainingError;
pub use levels::{Level, LevelDistribution, LevelMemory, Levels, LevelsConfig};
pub use log::{LevelRecord, StepRecord, ValidationRecord};
pub use objective::{
    Denoising, Distance, Hybrid, Implicit, Objective, ObjectiveConfig, Prediction, Sliced,
    Weighting,
};
pub use order::Examples;
pub use post_hoc::{PostHocConfig, SNAPSHOTS_FOLDER, Snapshots};
pub use rates::LearningRateDecay;
pub use task::{
    Autoencoding, AutoencodingConfig, Classification, ClassificationConfig, Diffusion,
    DiffusionConfig, LatentDiffusion, Measure, Memory, Task,
};
pub use trainer::{Event, Flow, Outcome, Trainer};
pub use validation::Validation;
