//! An autoencoder, by the evidence lower bound.
//!
//! `L = 1/n (|x - dec(z)|^2/(2 s^2) + n/2 ln(2 pi s^2) + beta KL(q(z | x) || N(0, I)))`, `z ~ q(z | x)`, for images of `n` numbers: for
//! `beta = 1` the negative of the bound on `log p(x)` with `p(x | z) = N(dec(z), s^2 I)`, in nats for each number (Kingma & Welling
//! 2014, eq. (10) with one draw, <https://arxiv.org/abs/1312.6114>); `beta` weighs its divergence (Higgins et al. 2017, eq. (4),
//! <https://openreview.net/forum?id=Sy2fzU9gl>).
//!
//! Rombach et al. 2022, section 3.1, <https://arxiv.org/abs/2112.10752>, have an absolute error and a weight of the divergence that
//! belong to no bound. Here `s` says in units of pixels what is lost, and the loss of one autoencoder can be compared with another's.

use std::{f64::consts::PI, path::Path};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_core::Rng;
use tweedie_data::{Example, ExampleBatch};
use tweedie_models::{Autoencoder, AutoencoderModel, Encoded};

use super::Task;
use crate::{Distance, Level, TrainingError, config::require};

/// What an autoencoder is to learn; `serde` refuses unknown fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencodingConfig {
    /// Standard deviation `s` of an image about its reconstruction, in units of pixels in [0, 1].
    pub reconstruction_std: f64,
    /// Weight of the divergence.
    pub beta: f64,
}

impl Default for AutoencodingConfig {
    /// A bound, and an error of a twentieth of white.
    fn default() -> Self {
        Self {
            reconstruction_std: 0.05,
            beta: 1.0,
        }
    }
}

impl AutoencodingConfig {
    /// Refuses what nothing can be learnt with.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the field.
    pub fn validate(&self) -> Result<(), TrainingError> {
        require(
            "reconstruction_std",
            self.reconstruction_std,
            "finite and above 0",
            |std| std > 0.0 && std.is_finite(),
        )?;
        require("beta", self.beta, "finite and at least 0", |beta| {
            beta >= 0.0 && beta.is_finite()
        })
    }

    /// `L` of each image, `[batch]`: `images` are the clean ones and `reconstructed` those decoded from one draw of `encoded`, in
    /// pixels of [0, 1].
    pub fn losses(
        &self,
        images: Tensor<4>,
        reconstructed: Tensor<4>,
        encoded: &Encoded,
    ) -> Tensor<1> {
        let [_, channels, height, width] = images.dims();
        let numbers = (channels * height * width) as f64;
        let variance = self.reconstruction_std * self.reconstruction_std;
        let error = Distance::L2.rows(images - reconstructed);
        let divergence = encoded.divergence().mul_scalar(self.beta / numbers);
        error.mul_scalar(0.5 / variance) + divergence + 0.5 * (2.0 * PI * variance).ln()
    }
}

/// Training of an [`Autoencoder`].
#[derive(Clone, Debug)]
pub struct Autoencoding {
    model: AutoencoderModel,
    config: AutoencodingConfig,
}

impl Autoencoding {
    /// Of images in [0, 1].
    ///
    /// # Errors
    /// When the model or a setting is invalid.
    pub fn new(model: AutoencoderModel, config: AutoencodingConfig) -> Result<Self, TrainingError> {
        model.validate()?;
        config.validate()?;
        Ok(Self { model, config })
    }

    /// The model.
    pub fn model(&self) -> &AutoencoderModel {
        &self.model
    }
}

impl Task for Autoencoding {
    type Network = Autoencoder;

    fn init(&self, seed: u64, device: &Device) -> Result<Autoencoder, TrainingError> {
        Ok(self.model.architecture.init(seed, device)?)
    }

    fn check(&self, example: &Example) -> Result<(), TrainingError> {
        check_image(&self.model, example)
    }

    fn losses(
        &self,
        network: &Autoencoder,
        batch: ExampleBatch,
        _: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let encoded = network.encode(batch.images.clone());
        let reconstructed = network.decode(encoded.sample(rng));
        self.config.losses(batch.images, reconstructed, &encoded)
    }

    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        Ok(self.model.save(folder)?)
    }

    fn is_in(&self, folder: &Path) -> Result<bool, TrainingError> {
        Ok(AutoencoderModel::open(folder)? == self.model)
    }
}

/// Whether an image is one of those that the autoencoder is made for.
pub(super) fn check_image(
    model: &AutoencoderModel,
    example: &Example,
) -> Result<(), TrainingError> {
    let [height, width] = model.image_size;
    let expected = [model.architecture.channels, height, width];
    let found = example.image.shape();
    if found == expected {
        return Ok(());
    }
    Err(TrainingError::ImageShape { expected, found })
}
