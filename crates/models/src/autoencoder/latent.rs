//! A diffusion model of latents, with the autoencoder that makes images of them.
//!
//! Rombach et al. 2022, section 3.2, <https://arxiv.org/abs/2112.10752>.

use std::path::Path;

use burn::tensor::Device;

use super::PretrainedAutoencoder;
use crate::{ModelConfig, ModelError, Pixels, Pretrained};

/// Where in the model folder of a diffusion of latents its autoencoder lies.
pub const AUTOENCODER_FOLDER: &str = "autoencoder";

/// A trained diffusion model of the latents of an autoencoder, and that autoencoder.
///
/// What it calls an image is a latent of unit variance, in no range.
///
/// ```no_run
/// use burn::tensor::Device;
/// use tweedie_models::LatentModel;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let (prior, autoencoder) =
///     LatentModel::open("runs/latent/checkpoints/step-00002000".as_ref(), &Device::flex())?.into_parts();
/// // Latents are drawn with `prior.denoiser()` and `prior.schedule()`; `autoencoder.decode` makes images of them.
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LatentModel {
    prior: Pretrained,
    autoencoder: PretrainedAutoencoder,
}

impl LatentModel {
    /// Whether `folder` is the model folder of a diffusion of latents: it has [`AUTOENCODER_FOLDER`].
    pub fn is_in(folder: &Path) -> bool {
        folder.join(AUTOENCODER_FOLDER).is_dir()
    }

    /// Reads a model folder that holds the folder of an autoencoder called [`AUTOENCODER_FOLDER`].
    ///
    /// # Errors
    /// [`ModelError`], naming the file, when one is missing, unreadable or damaged; [`ModelError::Latents`] and
    /// [`ModelError::LatentPixels`] when the two do not fit together.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let autoencoder = PretrainedAutoencoder::open(&folder.join(AUTOENCODER_FOLDER), device)?;
        let prior = Pretrained::open_folder(folder, device)?;
        Self::check(prior.config(), &autoencoder)?;
        Ok(Self { prior, autoencoder })
    }

    /// Whether a network of these latents is what `config` describes.
    ///
    /// # Errors
    /// [`ModelError::Latents`] for another shape, [`ModelError::LatentPixels`] for another range than [`Pixels::Unit`], which leaves
    /// latents as they are.
    pub fn check(
        config: &ModelConfig,
        autoencoder: &PretrainedAutoencoder,
    ) -> Result<(), ModelError> {
        if config.pixels != Pixels::Unit {
            return Err(ModelError::LatentPixels {
                found: config.pixels,
            });
        }
        let [height, width] = config.image_size;
        let found = [config.architecture.channels(), height, width];
        let expected = autoencoder.model().latent_shape()?;
        if found != expected {
            return Err(ModelError::Latents { expected, found });
        }
        Ok(())
    }

    /// The diffusion of the latents.
    pub fn prior(&self) -> &Pretrained {
        &self.prior
    }

    /// Of the images.
    pub fn autoencoder(&self) -> &PretrainedAutoencoder {
        &self.autoencoder
    }

    /// Both.
    pub fn into_parts(self) -> (Pretrained, PretrainedAutoencoder) {
        (self.prior, self.autoencoder)
    }
}
