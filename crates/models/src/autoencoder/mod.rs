//! A convolutional autoencoder: images to latents that are nearly standard normal, and back.
//!
//! The encoder gives a normal law `q(z | x)` of the latents, the decoder the mean of `p(x | z)`; both are trained by the evidence lower
//! bound (Kingma & Welling 2014, eq. (10), <https://arxiv.org/abs/1312.6114>). They are residual networks that halve and double
//! the size, as in Rombach et al. 2022, section 3.1, <https://arxiv.org/abs/2112.10752>, but without attention and adversary.

mod block;
mod config;
mod encoded;
mod latent;
mod pretrained;

use burn::{
    module::Module,
    nn::{GroupNorm, conv::Conv2d},
    tensor::{Device, Tensor},
};
use tweedie_kernels::{convolved, doubled, normalised};

use self::block::{Block, group_norm};
use crate::{checks, init::Init, layers::same};

pub use config::AutoencoderConfig;
pub use encoded::Encoded;
pub use latent::{AUTOENCODER_FOLDER, LatentModel};
pub use pretrained::{AUTOENCODER_FILE, AutoencoderModel, PretrainedAutoencoder};

/// Least and greatest logarithm of a variance, far from those of a trained network: what is beyond would overflow.
const LOG_VARIANCES: (f64, f64) = (-30.0, 20.0);

/// The network; made by [`AutoencoderConfig::init`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_models::AutoencoderConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = AutoencoderConfig { base_channels: 8, ..AutoencoderConfig::default() };
/// let autoencoder = config.init(0, &Device::flex())?;
/// let latents = autoencoder.encode(Tensor::ones([2, 1, 32, 24], &Device::flex())).mean;
/// assert_eq!(latents.dims(), [2, 4, 8, 6]);
/// assert_eq!(autoencoder.decode(latents).dims(), [2, 1, 32, 24]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Autoencoder {
    encoder: Encoder,
    decoder: Decoder,
    #[module(skip)]
    config: AutoencoderConfig,
}

#[derive(Module, Debug)]
struct Encoder {
    input: Conv2d,
    /// Finest first.
    levels: Vec<Down>,
    middle: Block,
    norm: GroupNorm,
    output: Conv2d,
}

#[derive(Module, Debug)]
struct Down {
    blocks: Vec<Block>,
    halve: Option<Conv2d>,
}

#[derive(Module, Debug)]
struct Decoder {
    input: Conv2d,
    middle: Block,
    /// Coarsest first.
    levels: Vec<Up>,
    norm: GroupNorm,
    output: Conv2d,
}

#[derive(Module, Debug)]
struct Up {
    blocks: Vec<Block>,
    smooth: Option<Conv2d>,
}

impl Autoencoder {
    fn new(config: &AutoencoderConfig, seed: u64, device: &Device) -> Self {
        let init = &mut Init::seeded(seed, device);
        Self {
            encoder: Encoder::new(config, init),
            decoder: Decoder::new(config, init),
            config: config.clone(),
        }
    }

    /// Its shape.
    pub fn config(&self) -> &AutoencoderConfig {
        &self.config
    }

    /// The law of the latents of images in [0, 1], `[batch, channels, height, width]`.
    ///
    /// # Panics
    /// If the images have other channels, or a size that [`AutoencoderConfig::latent_shape`] refuses.
    pub fn encode(&self, images: Tensor<4>) -> Encoded {
        checks::images(&images, self.config.channels, |height, width| {
            self.config.latent_shape([height, width]).map(|_| ())
        });
        let told = self.encoder.forward(images.mul_scalar(2.0).sub_scalar(1.0));
        let latents = self.config.latent_channels;
        let (least, greatest) = LOG_VARIANCES;
        Encoded {
            mean: told.clone().narrow(1, 0, latents),
            log_variance: told.narrow(1, latents, latents).clamp(least, greatest),
        }
    }

    /// The images of latents, `[batch, latent_channels, height, width]`: nearly in [0, 1], where they are not clipped to.
    ///
    /// # Panics
    /// If the latents have other channels, or no pixels.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        checks::images(&latents, self.config.latent_channels, |height, width| {
            checks::size(1, height, width)
        });
        self.decoder
            .forward(latents)
            .add_scalar(1.0)
            .mul_scalar(0.5)
    }
}

impl Encoder {
    fn new(config: &AutoencoderConfig, init: &mut Init) -> Self {
        let last = config.channel_multipliers.len() - 1;
        let input = init.convolution(same(config.channels, config.base_channels));
        let mut width = config.base_channels;
        let levels = (0..=last)
            .map(|level| {
                let outputs = config.channels_at(level);
                let blocks = Block::several(config, width, outputs, init);
                width = outputs;
                Down {
                    blocks,
                    halve: (level < last)
                        .then(|| init.convolution(same(width, width).with_stride([2, 2]))),
                }
            })
            .collect();
        Self {
            input,
            levels,
            middle: Block::new(config, width, width, init),
            norm: group_norm(config, width, init.device()),
            output: init.convolution(same(width, 2 * config.latent_channels)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut x = convolved(&self.input, x);
        for level in &self.levels {
            x = level.blocks.iter().fold(x, |x, block| block.forward(x));
            if let Some(halve) = &level.halve {
                x = convolved(halve, x);
            }
        }
        let x = self.middle.forward(x);
        convolved(&self.output, normalised(&self.norm, x, true))
    }
}

impl Decoder {
    fn new(config: &AutoencoderConfig, init: &mut Init) -> Self {
        let last = config.channel_multipliers.len() - 1;
        let mut width = config.channels_at(last);
        let input = init.convolution(same(config.latent_channels, width));
        let middle = Block::new(config, width, width, init);
        let levels = (0..=last)
            .rev()
            .map(|level| {
                let outputs = config.channels_at(level);
                let blocks = Block::several(config, width, outputs, init);
                width = outputs;
                Up {
                    blocks,
                    smooth: (level > 0).then(|| init.convolution(same(width, width))),
                }
            })
            .collect();
        Self {
            input,
            middle,
            levels,
            norm: group_norm(config, width, init.device()),
            output: init.convolution(same(width, config.channels)),
        }
    }

    fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        let mut x = self.middle.forward(convolved(&self.input, z));
        for level in &self.levels {
            x = level.blocks.iter().fold(x, |x, block| block.forward(x));
            if let Some(smooth) = &level.smooth {
                x = convolved(smooth, doubled(x));
            }
        }
        convolved(&self.output, normalised(&self.norm, x, true))
    }
}
