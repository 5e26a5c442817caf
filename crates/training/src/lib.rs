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
//! use tweedie_data::Phantoms;
//! use tweedie_models::{Architecture, ModelConfig, UNetConfig};
//! use tweedie_training::{Event, Flow, Trainer, TrainingConfig};
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
//! let images = Arc::new(Phantoms::new(0, 50_000, 32, 32)?);
//! let held_out = Arc::new(Phantoms::new(1, 64, 32, 32)?);
//! let mut trainer = Trainer::new(config, model, images, held_out, &Device::flex())?;
//! trainer.run("runs/phantoms".as_ref(), |event| {
//!     if let Event::Step(step) = event {
//!         println!("{}: {}", step.step, step.loss);
//!     }
//!     Flow::Continue
//! })?;
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod clipping;
mod config;
mod ema;
mod error;
mod log;
mod moments;
mod objective;
mod order;
mod trainer;

pub use checkpoint::{CHECKPOINTS_FOLDER, Checkpoint};
pub use config::{Loss, TrainingConfig};
pub use ema::{averaged, decay_at};
pub use error::TrainingError;
pub use log::{StepRecord, ValidationRecord};
pub use objective::{DenoisingObjective, NoisyBatch};
pub use trainer::{Event, Flow, Outcome, Trainer};
