//! A trained model, read from its folder or its file.

use std::{path::Path, sync::Arc};

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use tweedie_core::{Conditioned, Given, Schedule, enlarged};

use crate::{
    ImageDenoiser, Imported, InPrecision, LatentModel, MODEL_FILE, ModelConfig, ModelError,
    Network, Precision, folder, import, import::diffusers, load_weights, weights::load_bytes,
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
    /// [`ModelError`], naming the file, when one is missing, unreadable, damaged, or does not fit the others;
    /// [`ModelError::OfLatents`] for the folder of a [`LatentModel`].
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
        if LatentModel::is_in(path) {
            return Err(ModelError::OfLatents {
                folder: path.into(),
            });
        }
        Self::open_folder(path, device)
    }

    /// Reads a model folder, whatever its images are.
    pub(crate) fn open_folder(path: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = ModelConfig::open(path)?;
        let weights = folder::weights(path)?;
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

    /// The denoiser of images in [0, 1] of given classes, or that belong to a given image in [0, 1], such as a measurement. Of each
    /// there is one row for all images, or one for each. Without a class, the network is told that it is told none.
    ///
    /// The image has the height and the width of those to be denoised, and is padded as they are.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use tweedie_core::{ClassifierFree, Denoiser, NoiseLabel, Parametrisation, ScheduleConfig};
    /// use tweedie_models::{Architecture, ModelConfig, Pretrained, UNetConfig};
    ///
    /// # fn main() -> Result<(), tweedie_models::ModelError> {
    /// let unet = UNetConfig { base_channels: 8, classes: 10, ..UNetConfig::preset("tiny")? };
    /// let architecture = Architecture::UNet(unet);
    /// let network = architecture.init(0, &Device::flex())?;
    /// let label = NoiseLabel::Step { steps: 1000 };
    /// let config = ModelConfig::new(architecture, Parametrisation::Epsilon, ScheduleConfig::DDPM, label, [28, 28]);
    /// let model = Pretrained::from_network(config, network)?;
    /// let sevens = ClassifierFree::new(model.given(Some(&[7]), None)?, model.given(None, None)?, 2.0);
    /// let clean = sevens.denoise(Tensor::zeros([3, 1, 28, 28], &Device::flex()), 0.5);
    /// assert_eq!(clean.dims(), [3, 1, 28, 28]);
    /// assert!(model.given(Some(&[10]), None).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ModelError::NoClasses`] and [`ModelError::Class`] for a class that the network cannot be told; [`ModelError::Condition`] for an
    /// image of other channels than it sees, or none where it sees one.
    pub fn given(
        &self,
        classes: Option<&[usize]>,
        image: Option<Tensor<4>>,
    ) -> Result<ImageDenoiser<Conditioned<InPrecision<Network>>>, ModelError> {
        let given = Given {
            class: classes.map(|classes| self.told(classes)).transpose()?,
            image: self.seen(image)?,
        };
        let backbone = self.denoiser.inner.inner.backbone.clone();
        self.config.denoiser(Conditioned { backbone, given })
    }

    fn told(&self, classes: &[usize]) -> Result<Tensor<1, Int>, ModelError> {
        let count = self.config.architecture.classes();
        if count == 0 {
            return Err(ModelError::NoClasses);
        }
        if let Some(&found) = classes.iter().find(|&&class| class >= count) {
            return Err(ModelError::Class {
                found,
                classes: count,
            });
        }
        let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
        let device = self.denoiser.inner.inner.backbone.network().devices();
        Ok(Tensor::from_data(
            classes.as_slice(),
            device.first().expect("a network has weights"),
        ))
    }

    /// The image in the network's pixels and of a size that it takes.
    fn seen(&self, image: Option<Tensor<4>>) -> Result<Option<Tensor<4>>, ModelError> {
        let expected = self.config.architecture.condition_channels();
        let found = image.as_ref().map_or(0, |image| image.dims()[1]);
        if found != expected {
            return Err(ModelError::Condition { expected, found });
        }
        let (low, high) = self.config.pixels.range();
        Ok(image.map(|image| {
            let own = image.mul_scalar(high - low).add_scalar(low);
            enlarged(own, self.config.architecture.multiple())
        }))
    }

    /// The denoiser of images in [0, 1], `[batch, channels, height, width]` of any height and width. It tells the network no class.
    pub fn denoiser(&self) -> &ImageDenoiser<InPrecision<Network>> {
        &self.denoiser
    }
}
