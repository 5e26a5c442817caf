//! A trained model, read from its folder or its file.

use std::{path::Path, sync::Arc};

use burn::{module::Module, tensor::Device};
use tweedie_core::Schedule;

use crate::{
    ImageDenoiser, Imported, InPrecision, MODEL_FILE, ModelConfig, ModelError, Network, Precision,
    import, import::diffusers, load_weights, weights::load_bytes,
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
    denoiser: ImageDenoiser<InPrecision<Network>>,
}

impl Pretrained {
    /// Reads a model: a folder, or a checkpoint file of any kind that [`import`](crate::import()) recognises.
    ///
    /// A model folder has [`MODEL_FILE`], and [`EMA_FILE`] or else [`WEIGHTS_FILE`]. A folder of diffusers has `config.json`
    /// and `diffusion_pytorch_model.safetensors` or `.bin`, or has such a folder called `unet` in it.
    ///
    /// # Errors
    /// [`ModelError`], naming the file, when one is missing, unreadable, damaged, or does not fit the others.
    pub fn open(path: &Path, device: &Device) -> Result<Self, ModelError> {
        if path.is_file() {
            return Self::import(path, None, device);
        }
        if !path.join(MODEL_FILE).exists()
            && let Some(folder) = diffusers::folder(path)
        {
            let found = diffusers::import(&folder, device)?;
            return Self::from_network(found.config, found.network);
        }
        let config = ModelConfig::open(path)?;
        let weights = [EMA_FILE, WEIGHTS_FILE]
            .map(|name| path.join(name))
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(|| ModelError::NoModel {
                folder: path.into(),
                expected: "ema.safetensors or weights.safetensors",
            })?;
        let mut network = config.architecture.init(0, device)?;
        load_weights(&mut network, &weights)?;
        Self::from_network(config, network)
    }

    /// Reads a checkpoint file, of the network called `name` if there is a name: see [`import`](crate::import()).
    ///
    /// # Errors
    /// As [`import`](crate::import()).
    pub fn import(path: &Path, name: Option<&str>, device: &Device) -> Result<Self, ModelError> {
        let Imported { config, network } = import(path, name, device)?;
        Self::from_network(config, network)
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
        let mut network = config.architecture.init(0, device)?;
        load_bytes(&mut network, weights, name)?;
        Self::from_network(config, network)
    }

    /// A network as a model, on the device that it is on.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter of the schedule is out of range.
    pub fn from_network(config: ModelConfig, network: Network) -> Result<Self, ModelError> {
        // Weights that can be trained wake dropout and the statistics of batches.
        let network = InPrecision::new(network.valid(), Precision::F32)?;
        let denoiser = config.denoiser(network)?;
        Ok(Self {
            schedule: config.unit_range_schedule()?,
            config,
            denoiser,
        })
    }

    /// The same model computed in `precision`; images stay in single precision. What rounding takes from the weights does not come back.
    ///
    /// # Errors
    /// [`ModelError::Precision`] when the device does not compute in it.
    pub fn with_precision(self, precision: Precision) -> Result<Self, ModelError> {
        let network = self.denoiser.inner.inner.backbone.into_network();
        let denoiser = self
            .config
            .denoiser(InPrecision::new(network, precision)?)?;
        Ok(Self { denoiser, ..self })
    }

    /// The precision that it is computed in.
    pub fn precision(&self) -> Precision {
        self.denoiser.inner.inner.backbone.precision()
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
    pub fn denoiser(&self) -> &ImageDenoiser<InPrecision<Network>> {
        &self.denoiser
    }
}
