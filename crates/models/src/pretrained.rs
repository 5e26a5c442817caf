//! A trained model, read from its folder.

use std::{path::Path, sync::Arc};

use burn::{module::Module, tensor::Device};
use tweedie_core::Schedule;

use crate::{
    Architecture, ImageDenoiser, ModelConfig, ModelError, UNet, load_weights, weights::load_bytes,
};

/// Name of the file with the weights in a model folder.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Name of the file with the moving average of the weights in a model folder.
pub const EMA_FILE: &str = "ema.safetensors";

/// A trained model on a device, ready to denoise images in [0, 1].
///
/// ```no_run
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Denoiser;
/// use tweedie_models::Pretrained;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let device = Device::flex();
/// let model = Pretrained::open("checkpoints/phantoms".as_ref(), &device)?;
/// let [height, width] = model.config().image_size;
/// let noisy = Tensor::zeros([1, model.config().architecture.channels(), height, width], &device);
/// let clean = model.denoiser().denoise(noisy, 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pretrained {
    config: ModelConfig,
    schedule: Arc<dyn Schedule>,
    denoiser: ImageDenoiser,
}

impl Pretrained {
    /// Reads a model folder: [`MODEL_FILE`](crate::MODEL_FILE), and [`EMA_FILE`] or else [`WEIGHTS_FILE`].
    ///
    /// # Errors
    /// [`ModelError`], naming the file, when one is missing, unreadable, damaged, or does not fit the others.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = ModelConfig::open(folder)?;
        let weights = [EMA_FILE, WEIGHTS_FILE]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(|| ModelError::NoModel {
                folder: folder.into(),
                expected: "ema.safetensors or weights.safetensors",
            })?;
        Self::assemble(config, device, |network| load_weights(network, &weights))
    }

    /// Reads a model from the contents of a [`MODEL_FILE`](crate::MODEL_FILE) and of a weights file, for programs that carry
    /// a model inside. `name` stands for the files in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(
        name: &str,
        model: &str,
        weights: &[u8],
        device: &Device,
    ) -> Result<Self, ModelError> {
        let name = Path::new(name);
        let config = ModelConfig::parse(model, name)?;
        Self::assemble(config, device, |network| {
            load_bytes(network, weights.to_vec(), name)
        })
    }

    fn assemble(
        config: ModelConfig,
        device: &Device,
        load: impl FnOnce(&mut UNet) -> Result<(), ModelError>,
    ) -> Result<Self, ModelError> {
        let Architecture::UNet(unet) = &config.architecture;
        let mut network = unet.init(0, device)?;
        load(&mut network)?;
        // Without this, dropout would wake up whenever a gradient with respect to the image is taken.
        let denoiser = config.denoiser(network.valid())?;
        Ok(Self {
            schedule: config.unit_range_schedule()?,
            config,
            denoiser,
        })
    }

    /// What [`MODEL_FILE`](crate::MODEL_FILE) says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The schedule to sample images in [0, 1] with: see [`ModelConfig::unit_range_schedule`].
    pub fn schedule(&self) -> Arc<dyn Schedule> {
        self.schedule.clone()
    }

    /// The denoiser of images in [0, 1], `[batch, channels, height, width]` of any height and width.
    pub fn denoiser(&self) -> &ImageDenoiser {
        &self.denoiser
    }
}
