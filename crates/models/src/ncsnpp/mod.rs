//! NCSN++ and DDPM++: the networks of score-based models through stochastic differential equations.
//!
//! Song et al. 2021, appendix H, <https://arxiv.org/abs/2011.13456>, in the form of Karras et al. 2022, appendix F.1 and table 7,
//! <https://arxiv.org/abs/2206.00364>: an encoder and a decoder of residual blocks whose sums are divided by `sqrt(2)`, joined
//! level by level by concatenation. Blocks of their own halve and double the size. The encoder has self-attention after every
//! block of a chosen level, the decoder after the last one only, and the bottom always. See [`NcsnppKind`] for what the two
//! networks differ in.

mod block;
mod config;
mod embedding;
mod published;
mod resample;

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{
    module::Module,
    nn::{
        GroupNorm, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{convolved, normalised};

use crate::{ModelError, checks, init::Init, layers::same};
use block::{Block, Resize, group_norm};
pub use config::{NcsnppConfig, NcsnppKind};
use embedding::NoiseEmbedding;
pub(crate) use published::{published, recognised};
use resample::Filter;

/// Groups of each normalisation.
const GROUPS: usize = 32;

/// The network; made by [`NcsnppConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]` to the same shape; height and width are multiples of
/// [`NcsnppConfig::multiple`]. It is made for the [`Edm`](tweedie_core::Parametrisation::Edm) parametrisation, whose label is
/// `ln(sigma)/4`.
///
/// A checkpoint does not say which images it was trained on. [`import`](crate::import) takes those of Karras et al.: pixels in [-1, 1]
/// and `sigma_data` 0.5. A network that deepinv trained with its defaults has pixels in [0, 1] and `sigma_data` 0.75: put
/// `pixels` and `parametrisation` of its [`ModelConfig`](crate::ModelConfig) right after the import.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::{NcsnppConfig, NcsnppKind};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = NcsnppConfig {
///     base_channels: 32,
///     channel_multipliers: vec![1, 2],
///     blocks_per_level: 1,
///     attention_levels: vec![1],
///     ..NcsnppConfig::published(NcsnppKind::Ncsn, 64)
/// };
/// let network = config.init(0, &Device::flex())?;
/// let x = Tensor::ones([2, 3, 8, 8], &Device::flex());
/// let label = Conditioning::uniform(-0.5, &x);
/// assert_eq!(network.forward(x, label).dims(), [2, 3, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Ncsnpp {
    embedding: NoiseEmbedding,
    input: Conv2d,
    encoder: Vec<EncoderLevel>,
    bottom: Vec<Block>,
    /// Coarsest first.
    decoder: Vec<DecoderLevel>,
    norm: GroupNorm,
    output: Conv2d,
    #[module(skip)]
    config: NcsnppConfig,
}

/// The layers that lead to one resolution, none at the first, and its blocks.
#[derive(Module, Debug)]
struct EncoderLevel {
    halve: Option<Block>,
    /// Of the way from level to level beside the blocks.
    beside: Option<Conv2d>,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct DecoderLevel {
    double: Option<Block>,
    blocks: Vec<Block>,
}

impl Ncsnpp {
    /// Weights from `seed`, in the order: embedding, input, encoder, bottom, decoder, output.
    fn new(config: &NcsnppConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let last = config.channel_multipliers.len() - 1;
        let embedding = NoiseEmbedding::new(config, &mut init);
        let input = init.convolution(same(config.channels, config.base_channels));

        let mut width = config.base_channels;
        let mut beside = config.channels;
        let mut skips = vec![width];
        let mut encoder = Vec::new();
        for level in 0..=last {
            let halve = (level > 0).then(|| {
                skips.push(width);
                Block::resizing(config, width, Resize::Halve, &mut init)
            });
            let has_beside = level > 0 && config.kind == NcsnppKind::Ncsn;
            let beside = has_beside.then(|| {
                let inputs = std::mem::replace(&mut beside, width);
                init.convolution(widened(inputs, width, Filter::of(config.kind)))
            });
            let attends = config.attention_levels.contains(&level);
            let mut blocks = Vec::new();
            for _ in 0..config.blocks_per_level {
                let outputs = config.channels_at(level);
                blocks.push(Block::new(config, width, outputs, attends, &mut init));
                width = outputs;
                skips.push(width);
            }
            encoder.push(EncoderLevel {
                halve,
                beside,
                blocks,
            });
        }
        let bottom = [true, false]
            .map(|attends| Block::new(config, width, width, attends, &mut init))
            .into();
        let mut decoder = Vec::new();
        let mut skips = skips.into_iter().rev();
        for level in (0..=last).rev() {
            let double =
                (level < last).then(|| Block::resizing(config, width, Resize::Double, &mut init));
            let mut blocks = Vec::new();
            for index in 0..=config.blocks_per_level {
                let inputs = width + skips.next().expect("one per block");
                let attends =
                    index == config.blocks_per_level && config.attention_levels.contains(&level);
                width = config.channels_at(level);
                blocks.push(Block::new(config, inputs, width, attends, &mut init));
            }
            decoder.push(DecoderLevel { double, blocks });
        }
        Self {
            embedding,
            input,
            encoder,
            bottom,
            decoder,
            norm: group_norm(width, device),
            output: init.silent_convolution(same(width, config.channels)),
            config: config.clone(),
        }
    }

    /// What the network was made from.
    pub fn config(&self) -> &NcsnppConfig {
        &self.config
    }

    /// What the decoder is given, finest first.
    fn encoded(&self, x: Tensor<4>, noise: &Tensor<2>) -> Vec<Tensor<4>> {
        let filter = Filter::of(self.config.kind);
        let mut beside = x.clone();
        let mut x = convolved(&self.input, x);
        let mut skips = vec![x.clone()];
        for level in &self.encoder {
            if let Some(halve) = &level.halve {
                x = halve.forward(x, noise);
                if let Some(convolution) = &level.beside {
                    let halved = filter.within().down(convolved(convolution, beside));
                    x = (x + halved).mul_scalar(FRAC_1_SQRT_2);
                    beside = x.clone();
                }
                skips.push(x.clone());
            }
            for block in &level.blocks {
                x = block.forward(x, noise);
                skips.push(x.clone());
            }
        }
        skips
    }
}

impl NcsnppConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Ncsnpp, ModelError> {
        self.validate()?;
        Ok(Ncsnpp::new(self, seed, device))
    }
}

impl Backbone for Ncsnpp {
    /// # Panics
    /// If the number of channels or the size is not one that the network takes: see [`NcsnppConfig::check_size`].
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let noise = self.embedding.forward(conditioning.noise);
        let mut skips = self.encoded(x, &noise);
        let coarsest = skips.last().expect("the encoder has an input").clone();
        let mut x = (self.bottom.iter()).fold(coarsest, |x, block| block.forward(x, &noise));
        for level in &self.decoder {
            if let Some(double) = &level.double {
                x = double.forward(x, &noise);
            }
            for block in &level.blocks {
                let skip = skips.pop().expect("the encoder made one per block");
                x = block.forward(Tensor::cat(vec![x, skip], 1), &noise);
            }
        }
        convolved(&self.output, normalised(&self.norm, x, true))
    }
}

/// A 3x3 convolution with the further pixels that the filter after it reads.
fn widened(inputs: usize, outputs: usize, filter: Filter) -> Conv2dConfig {
    let reach = 1 + filter.padding();
    same(inputs, outputs).with_padding(PaddingConfig2d::Explicit(reach, reach, reach, reach))
}
