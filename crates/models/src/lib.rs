//! Networks for diffusion models, and how their weights are stored.
//!
//! [`UNet`] is the network, described by a [`UNetConfig`]; it is a [`Backbone`](tweedie_core::Backbone) over images in
//! [-1, 1]. [`Drunet`], described by a [`DrunetConfig`], denoises images in [0, 1] by itself. A *model folder* is what training
//! writes and inference reads; it holds a [`UNet`]:
//!
//! | file | content |
//! |---|---|
//! | [`MODEL_FILE`] | a [`ModelConfig`]: architecture, parametrisation, schedule, noise label, image size |
//! | [`WEIGHTS_FILE`] | the weights |
//! | [`EMA_FILE`] | their moving average, preferred for inference when present |
//!
//! A [`LatentModel`] is such a folder with the folder of an [`Autoencoder`] in it.
//!
//! [`Pretrained::open`] makes such a folder into a [`Denoiser`](tweedie_core::Denoiser) of images in [0, 1] of any size.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{Denoiser, NoiseLabel, Parametrisation, ScheduleConfig};
//! use tweedie_models::{Architecture, ModelConfig, UNetConfig};
//!
//! # fn main() -> Result<(), tweedie_models::ModelError> {
//! let device = Device::flex();
//! let unet = UNetConfig {
//!     base_channels: 8,
//!     groups: 4,
//!     ..UNetConfig::preset("tiny")?
//! };
//! let network = unet.init(0, &device)?;
//! let config = ModelConfig::new(
//!     Architecture::UNet(unet),
//!     Parametrisation::Epsilon,
//!     ScheduleConfig::DDPM,
//!     NoiseLabel::Step { steps: 1000 },
//!     [28, 28],
//! );
//! let denoiser = config.denoiser(network)?;
//! let clean = denoiser.denoise(Tensor::zeros([1, 1, 30, 17], &device), 0.5);
//! assert_eq!(clean.dims(), [1, 1, 30, 17]);
//! # Ok(())
//! # }
//! ```

mod autoencoder;
mod checks;
mod config;
mod dncnn;
mod drunet;
mod error;
mod folder;
mod import;
mod init;
mod layers;
mod mnist_ddpm;
mod ncsnpp;
mod network;
mod noisy_classifier;
mod plain_unet;
mod precision;
mod pretrained;
mod simple_unet;
mod unet;
mod weights;

pub use autoencoder::{
    AUTOENCODER_FILE, AUTOENCODER_FOLDER, Autoencoder, AutoencoderConfig, AutoencoderModel,
    Encoded, LatentModel, PretrainedAutoencoder,
};
pub use config::{ImageDenoiser, MODEL_FILE, ModelConfig, Pixels};
pub use dncnn::{Dncnn, DncnnConfig};
pub use drunet::{Drunet, DrunetConfig};
pub use error::{CheckpointProblem, Mismatch, ModelError};
pub use import::{Imported, import, import_names};
pub use mnist_ddpm::{MnistDdpm, MnistDdpmConfig};
pub use ncsnpp::{Ncsnpp, NcsnppConfig, NcsnppKind};
pub use network::{Architecture, Network};
pub use noisy_classifier::{
    CLASSIFIER_FILE, Classifier, ClassifierConfig, ClassifierModel, PretrainedClassifier,
};
pub use plain_unet::{PlainUNet, PlainUNetConfig};
pub use precision::{InPrecision, Precision};
pub use pretrained::{EMA_FILE, Pretrained, WEIGHTS_FILE};
pub use simple_unet::{SimpleUnet, SimpleUnetConfig};
pub use unet::{NoiseEmbedding, Resampling, TimeInjection, UNet, UNetConfig, sinusoidal_embedding};
pub use weights::{load_checkpoint, load_weights, save_weights};
