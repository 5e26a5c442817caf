//! A trained autoencoder, its folder, and latents of unit variance.
//!
//! A diffusion model wants data of a known size, so latents are multiplied by `scale = 1/sqrt(Var z)`, the variance being that over all
//! entries and images (Rombach et al. 2022, appendix G, <https://arxiv.org/abs/2112.10752>).

use std::{borrow::Cow, path::Path};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{Autoencoder, AutoencoderConfig, Encoded};
use crate::{EMA_FILE, ModelError, checks, folder, load_weights, save_weights};

/// Name of the file with the [`AutoencoderModel`] in the folder of an autoencoder.
pub const AUTOENCODER_FILE: &str = "autoencoder.json";

/// Version of the format of [`AUTOENCODER_FILE`].
const FORMAT: u32 = 1;

/// All that is needed of an autoencoder beside the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderModel {
    format: u32,
    /// The network.
    pub architecture: AutoencoderConfig,
    /// Height and width of the images of its training, in pixels.
    pub image_size: [usize; 2],
    /// What latents are multiplied by; 1 until it is [measured](PretrainedAutoencoder::with_unit_latents).
    pub scale: f64,
}

impl AutoencoderModel {
    /// With latents as the network makes them; `image_size` is `[height, width]`.
    pub fn new(architecture: AutoencoderConfig, image_size: [usize; 2]) -> Self {
        Self {
            format: FORMAT,
            architecture,
            image_size,
            scale: 1.0,
        }
    }

    /// `[channels, height, width]` of the latents of images of its training.
    ///
    /// # Errors
    /// As [`AutoencoderConfig::latent_shape`].
    pub fn latent_shape(&self) -> Result<[usize; 3], ModelError> {
        self.architecture.latent_shape(self.image_size)
    }

    /// Refuses what no autoencoder can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::format(self.format, FORMAT)?;
        self.architecture.validate()?;
        self.latent_shape()?;
        checks::positive("scale", self.scale)
    }

    /// Reads [`AUTOENCODER_FILE`] in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] when the folder or the file is missing or unreadable, or its content is not a valid configuration.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let model: Self = folder::read(folder, AUTOENCODER_FILE, FORMAT)?;
        model.validate()?;
        Ok(model)
    }

    /// Writes [`AUTOENCODER_FILE`] into `folder`, which is made if it does not exist; a file there is replaced in one step.
    ///
    /// # Errors
    /// [`ModelError::Write`] when the folder or the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        folder::write(self, folder, AUTOENCODER_FILE)
    }
}

/// A trained autoencoder on a device, frozen.
///
/// ```no_run
/// use burn::tensor::Device;
/// use tweedie_core::Rng;
/// use tweedie_models::PretrainedAutoencoder;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let device = Device::flex();
/// let autoencoder = PretrainedAutoencoder::open("runs/autoencoder".as_ref(), &device)?;
/// let [channels, height, width] = autoencoder.model().latent_shape()?;
/// let latents = Rng::seeded(0, &device).normal([16, channels, height, width]);
/// let images = autoencoder.decode(latents).clamp(0.0, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PretrainedAutoencoder {
    model: AutoencoderModel,
    network: Autoencoder,
    device: Device,
}

impl PretrainedAutoencoder {
    /// Reads the folder of an autoencoder: [`AUTOENCODER_FILE`], and [`EMA_FILE`] or else [`WEIGHTS_FILE`](crate::WEIGHTS_FILE).
    ///
    /// # Errors
    /// [`ModelError`], naming the file, when one is missing, unreadable, damaged, or does not fit the other.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let model = AutoencoderModel::open(folder)?;
        let weights = folder::weights(folder)?;
        let mut network = model.architecture.init(0, device)?;
        load_weights(&mut network, &weights)?;
        Self::from_network(model, network)
    }

    /// A network as an autoencoder; its weights are frozen.
    ///
    /// # Errors
    /// When `model` is invalid.
    ///
    /// # Panics
    /// If the network is of another architecture than `model`.
    pub fn from_network(model: AutoencoderModel, network: Autoencoder) -> Result<Self, ModelError> {
        model.validate()?;
        assert_eq!(&model.architecture, network.config(), "architecture");
        let network = network.valid();
        let devices = network.devices();
        let device = devices.into_iter().next().expect("it has weights");
        Ok(Self {
            model,
            network,
            device,
        })
    }

    /// Writes its folder, with the weights as averaged ones: they are those that infer.
    ///
    /// # Errors
    /// [`ModelError::Write`] or [`ModelError::WriteWeights`] when a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        self.model.save(folder)?;
        save_weights(&self.network, &folder.join(EMA_FILE))
    }

    /// Whether `folder` holds this autoencoder, weight for weight.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn is_in(&self, folder: &Path) -> Result<bool, ModelError> {
        Ok(AutoencoderModel::open(folder)? == self.model
            && weights(&Self::open(folder, &self.device)?.network) == weights(&self.network))
    }

    /// What [`AUTOENCODER_FILE`] says.
    pub fn model(&self) -> &AutoencoderModel {
        &self.model
    }

    /// The law of the scaled latents of images in [0, 1], `[batch, channels, height, width]`.
    ///
    /// # Panics
    /// As [`Autoencoder::encode`].
    pub fn encode(&self, images: Tensor<4>) -> Encoded {
        self.network.encode(images).scaled(self.model.scale)
    }

    /// The images of scaled latents, nearly in [0, 1], where they are not clipped to. It can be differentiated, so that a measurement
    /// of the image is one of its latents.
    ///
    /// # Panics
    /// As [`Autoencoder::decode`].
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.network
            .decode(latents.mul_scalar(self.model.scale.recip()))
    }

    /// Scaled so that the latents of `images`, drawn from their laws, have variance 1 over all entries and images.
    ///
    /// # Errors
    /// [`ModelError::OutOfRange`] unless that variance is finite and above 0.
    ///
    /// # Panics
    /// As [`Autoencoder::encode`].
    pub fn with_unit_latents(mut self, images: Tensor<4>) -> Result<Self, ModelError> {
        let Encoded { mean, log_variance } = self.network.encode(images);
        let centred = mean.clone() - mean.mean().reshape([1; 4]);
        // The variance of the means and the mean of the variances.
        let variance = (centred.clone() * centred + log_variance.exp()).mean();
        let variance = variance.into_scalar::<f64>();
        checks::positive("variance of the latents", variance)?;
        self.model.scale = variance.sqrt().recip();
        Ok(self)
    }

    /// The same on another device; a copy only where it lies elsewhere.
    pub fn on(&self, device: &Device) -> Cow<'_, Self> {
        if *device == self.device {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            model: self.model.clone(),
            network: self.network.clone().to_device(device),
            device: device.clone(),
        })
    }
}

/// All weights, in order.
fn weights(network: &Autoencoder) -> Vec<TensorData> {
    struct Collect(Vec<TensorData>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().into_data());
        }
    }
    let mut collect = Collect(Vec::new());
    network.visit(&mut collect);
    collect.0
}
