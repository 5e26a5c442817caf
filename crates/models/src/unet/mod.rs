//! The U-Net of denoising diffusion models.
//!
//! Ho et al. 2020, appendix B, <https://arxiv.org/abs/2006.11239>: an encoder and a decoder of residual blocks, joined level
//! by level by concatenation, with self-attention at chosen levels and always at the bottom. How the noise label reaches
//! the blocks is a choice: see [`TimeInjection`].
//!
//! With heads of 64 channels, [`TimeInjection::ScaleShift`] and [`Resampling::ResidualBlock`] it is the network of Dhariwal &
//! Nichol 2021, section 3, <https://arxiv.org/abs/2105.05233>, known as ADM.

mod blocks;
mod config;
mod embedding;
pub(crate) mod norm;
pub(crate) mod published;
mod residual;

use burn::{
    module::Module,
    nn::{Embedding, GroupNorm, conv::Conv2d},
    tensor::{Device, Int, Tensor, ops::ConvOptions},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{conv2d, convolved, doubled, normalised};

use crate::{ModelError, checks, init::Init, layers::same};
pub(crate) use blocks::{Bottom, Encoder, Level};
use blocks::{Resample, Stage};
pub use config::{NoiseEmbedding, Resampling, TimeInjection, UNetConfig};
pub(crate) use embedding::TimeEmbedding;
pub use embedding::sinusoidal_embedding;

/// The network; made by [`UNetConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]` to the same shape, pixels in [-1, 1]; height and width are
/// multiples of [`UNetConfig::multiple`]. It starts as the zero function. Where [`UNetConfig::learned_sigma`] is set, it is the
/// mean; [`forward_with_variance`](Backbone::forward_with_variance) gives the variance too, which only an objective that asks for it
/// trains.
///
/// With [`UNetConfig::classes`] the class of each row is embedded and added to the embedding of the noise label (Dhariwal & Nichol
/// 2021, section 3); without a word of it, or told the class `classes`, the last row of the embedding stands for it. A network
/// without classes leaves a class out, and one without [`UNetConfig::condition_channels`] an image. A class above `classes` is no
/// class: [`Pretrained::given`](crate::Pretrained::given) and training refuse it before a network meets it.
///
/// Dropout acts while the weights are on an autodiff device, which is where they are trained; a gradient with respect to the image
/// alone does not wake it.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::UNetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let unet = UNetConfig::preset("tiny")?.init(0, &Device::flex())?;
/// let x = Tensor::ones([2, 1, 8, 8], &Device::flex());
/// let label = Conditioning::uniform(10.0, &x);
/// assert_eq!(unet.forward(x, label).dims(), [2, 1, 8, 8]);
/// assert_eq!(unet.num_params(), 937_281);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct UNet {
    time: TimeEmbedding,
    input: Conv2d,
    encoder: Vec<Level>,
    bottom: Bottom,
    decoder: Vec<Level>,
    norm: GroupNorm,
    /// Of the mean, then of the variance if there is one.
    output: Conv2d,
    /// One row for each class, and one for a class that is not told.
    classes: Option<Embedding>,
    #[module(skip)]
    config: UNetConfig,
}

impl UNet {
    /// Weights from `seed`, in the order: time, input, encoder, bottom, decoder, classes.
    fn new(config: &UNetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let last = config.channel_multipliers.len() - 1;
        let time = TimeEmbedding::new(config.base_channels, config.noise_embedding, &mut init);
        let inputs = config.channels + config.condition_channels;
        let input = init.convolution(same(inputs, config.base_channels));
        let Encoder {
            levels: encoder,
            bottom,
            skips,
            mut width,
        } = Encoder::new(config, &mut init);
        let mut decoder = Vec::new();
        let mut skips = skips.into_iter().rev();
        for level in (0..=last).rev() {
            let mut stages = Vec::new();
            for skip in skips.by_ref().take(config.blocks_per_level + 1) {
                stages.push(Stage::new(config, level, width + skip, &mut init));
                width = config.channels_at(level);
            }
            let resample = (level > 0).then(|| Resample::up(config, width, &mut init));
            decoder.push(Level { stages, resample });
        }
        let embedded = TimeEmbedding::outputs(config.base_channels);
        Self {
            time,
            input,
            encoder,
            bottom,
            decoder,
            norm: norm::group_norm(config, width, device),
            output: init.silent_convolution(same(width, config.outputs())),
            classes: (config.classes > 0).then(|| init.embedding(config.classes + 1, embedded)),
            config: config.clone(),
        }
    }

    /// What is embedded of the class of each of `batch` rows; none for a network without classes.
    fn class(&self, batch: usize, told: Option<Tensor<1, Int>>) -> Option<Tensor<2>> {
        let weight = self.classes.as_ref()?.weight.val();
        let untold = || Tensor::full([batch], self.config.classes as i64, &weight.device());
        let class = told.unwrap_or_else(untold);
        Some(weight.select(0, class))
    }

    /// The image, with the one that the network is to see beside it.
    fn beside(&self, x: Tensor<4>, told: Option<Tensor<4>>) -> Tensor<4> {
        if self.config.condition_channels == 0 {
            return x;
        }
        let image = told.expect("a network that sees an image beside its input is told one");
        let ([batch, _, height, width], channels) = (x.dims(), self.config.condition_channels);
        let expected = [batch, channels, height, width];
        assert_eq!(image.dims(), expected, "the image beside the input");
        let image = image.cast(x.dtype());
        Tensor::cat(vec![x, image], 1)
    }

    /// The last layer, without a variance.
    fn mean(&self, x: Tensor<4>) -> Tensor<4> {
        if !self.config.learned_sigma {
            return convolved(&self.output, x);
        }
        let channels = self.config.channels;
        let weight = self.output.weight.val().narrow(0, 0, channels);
        let bias = self.output.bias.as_ref();
        let bias = bias.map(|bias| bias.val().narrow(0, 0, channels).unsqueeze());
        conv2d(x, weight, bias, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
    }

    /// What the network was made from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// What the last layer sees.
    fn features(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let Conditioning { noise, given } = conditioning;
        let class = self.class(x.dims()[0], given.class);
        let time = self.time.forward(noise, class);
        let mut x = convolved(&self.input, self.beside(x, given.image));
        let mut skips = vec![x.clone()];
        for level in &self.encoder {
            x = level.encode(x, &time, |x| skips.push(x.clone()));
        }
        x = self.bottom.forward(x, &time);
        for level in &self.decoder {
            for stage in &level.stages {
                let skip = skips.pop().expect("the encoder made one per stage");
                x = stage.forward(Tensor::cat(vec![x, skip], 1), &time);
            }
            match &level.resample {
                Some(Resample::Convolution(smooth)) => x = convolved(smooth, doubled(x)),
                Some(Resample::Block(block)) => x = block.forward(x, &time),
                None => {}
            }
        }
        normalised(&self.norm, x, true)
    }
}

impl UNetConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<UNet, ModelError> {
        self.validate()?;
        Ok(UNet::new(self, seed, device))
    }
}

impl Backbone for UNet {
    /// # Panics
    /// If the number of channels or the size is not one that the network takes: see [`UNetConfig::check_size`]; if it sees an image
    /// beside its input and is told none, or one of another shape.
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        self.mean(self.features(x, conditioning))
    }

    /// # Panics
    /// As [`forward`](Self::forward).
    fn forward_with_variance(
        &self,
        x: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let features = self.features(x, conditioning);
        if !self.config.learned_sigma {
            return (self.mean(features), None);
        }
        let channels = self.config.channels;
        let both = convolved(&self.output, features);
        let half = |first| both.clone().narrow(1, first, channels);
        (half(0), Some(half(channels)))
    }
}
