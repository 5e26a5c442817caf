//! The U-Net of denoising diffusion models.
//!
//! Ho et al. 2020, appendix B, <https://arxiv.org/abs/2006.11239>: an encoder and a decoder of residual blocks, joined level
//! by level by concatenation, with self-attention at chosen levels and always at the bottom. How the noise label reaches
//! the blocks is a choice: see [`TimeInjection`].
//!
//! With heads of 64 channels, [`TimeInjection::ScaleShift`] and [`Resampling::ResidualBlock`] it is the network of Dhariwal &
//! Nichol 2021, section 3, <https://arxiv.org/abs/2105.05233>, known as ADM.

mod config;
mod embedding;
mod norm;
pub(crate) mod published;
mod residual;

use burn::{
    module::Module,
    nn::{
        GroupNorm, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, ops::ConvOptions},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{conv2d, convolved, doubled, normalised};

use crate::{
    ModelError, checks,
    init::Init,
    layers::{Attention, same},
};
pub use config::{NoiseEmbedding, Resampling, TimeInjection, UNetConfig};
use embedding::TimeEmbedding;
pub use embedding::sinusoidal_embedding;
use residual::{ResidualBlock, Scale};

/// The network; made by [`UNetConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]` to the same shape, pixels in [-1, 1]; height and width are
/// multiples of [`UNetConfig::multiple`]. It starts as the zero function. Where [`UNetConfig::learned_sigma`] is set, it is the
/// mean, and training leaves the weights of the variance as they are.
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
    #[module(skip)]
    config: UNetConfig,
}

/// The blocks of one resolution, and what leads to the next.
#[derive(Module, Debug)]
struct Level {
    stages: Vec<Stage>,
    resample: Option<Resample>,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few")]
enum Resample {
    Convolution(Conv2d),
    Block(ResidualBlock),
}

#[derive(Module, Debug)]
struct Stage {
    residual: ResidualBlock,
    attention: Option<Attention>,
}

#[derive(Module, Debug)]
struct Bottom {
    first: ResidualBlock,
    attention: Attention,
    second: ResidualBlock,
}

impl Stage {
    fn new(config: &UNetConfig, level: usize, inputs: usize, init: &mut Init) -> Self {
        let outputs = config.channels_at(level);
        Self {
            residual: ResidualBlock::new(config, inputs, outputs, init),
            attention: config
                .attention_levels
                .contains(&level)
                .then(|| attention(config, outputs, init)),
        }
    }

    fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let x = self.residual.forward(x, time);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

impl Resample {
    /// To half the size.
    fn down(config: &UNetConfig, width: usize, init: &mut Init) -> Self {
        match config.resampling {
            Resampling::Convolution => Self::Convolution(init.convolution(halving(width))),
            Resampling::PaddedConvolution => {
                Self::Convolution(init.convolution(same(width, width).with_stride([2, 2])))
            }
            Resampling::ResidualBlock => Self::block(config, width, Scale::Halved, init),
        }
    }

    /// To twice the size; the convolutions come after [`doubled`].
    fn up(config: &UNetConfig, width: usize, init: &mut Init) -> Self {
        match config.resampling {
            Resampling::Convolution | Resampling::PaddedConvolution => {
                Self::Convolution(init.convolution(same(width, width)))
            }
            Resampling::ResidualBlock => Self::block(config, width, Scale::Doubled, init),
        }
    }

    fn block(config: &UNetConfig, width: usize, scale: Scale, init: &mut Init) -> Self {
        Self::Block(ResidualBlock::scaling(config, width, width, scale, init))
    }
}

impl UNet {
    /// Weights from `seed`, in the order: time, input, encoder, bottom, decoder.
    fn new(config: &UNetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let last = config.channel_multipliers.len() - 1;
        let time = TimeEmbedding::new(config.base_channels, config.noise_embedding, &mut init);
        let input = init.convolution(same(config.channels, config.base_channels));

        let mut width = config.base_channels;
        let mut skips = vec![width];
        let mut encoder = Vec::new();
        for level in 0..=last {
            let mut stages = Vec::new();
            for _ in 0..config.blocks_per_level {
                stages.push(Stage::new(config, level, width, &mut init));
                width = config.channels_at(level);
                skips.push(width);
            }
            let resample = (level < last).then(|| {
                skips.push(width);
                Resample::down(config, width, &mut init)
            });
            encoder.push(Level { stages, resample });
        }
        let bottom = Bottom {
            first: ResidualBlock::new(config, width, width, &mut init),
            attention: attention(config, width, &mut init),
            second: ResidualBlock::new(config, width, width, &mut init),
        };
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
        Self {
            time,
            input,
            encoder,
            bottom,
            decoder,
            norm: norm::group_norm(config, width, device),
            output: init.silent_convolution(same(width, config.outputs())),
            config: config.clone(),
        }
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
    /// If the number of channels or the size is not one that the network takes: see [`UNetConfig::check_size`].
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let time = self.time.forward(conditioning.noise);
        let mut x = convolved(&self.input, x);
        let mut skips = vec![x.clone()];
        for level in &self.encoder {
            for stage in &level.stages {
                x = stage.forward(x, &time);
                skips.push(x.clone());
            }
            if let Some(resample) = &level.resample {
                x = match resample {
                    Resample::Convolution(halve) => convolved(halve, x),
                    Resample::Block(block) => block.forward(x, &time),
                };
                skips.push(x.clone());
            }
        }
        x = self.bottom.first.forward(x, &time);
        x = self.bottom.attention.forward(x);
        x = self.bottom.second.forward(x, &time);
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
        self.mean(normalised(&self.norm, x, true))
    }
}

fn attention(config: &UNetConfig, channels: usize, init: &mut Init) -> Attention {
    let norm = norm::group_norm(config, channels, init.device());
    Attention::new(norm, config.heads_of(channels), init)
}

/// A 3x3 convolution that halves an even size; zeros are added at the bottom and at the right only, as in the published
/// networks.
fn halving(channels: usize) -> Conv2dConfig {
    Conv2dConfig::new([channels, channels], [3, 3])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
}
