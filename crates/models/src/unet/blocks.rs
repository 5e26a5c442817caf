//! The parts of a U-Net: the stages of a level, and what leads from one level to the next.

use burn::{
    module::Module,
    nn::{
        PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::Tensor,
};
use tweedie_kernels::convolved;

use super::{
    Resampling, UNetConfig, norm,
    residual::{ResidualBlock, Scale},
};
use crate::{
    init::Init,
    layers::{Attention, same},
};

/// The blocks of one resolution, and what leads to the next.
#[derive(Module, Debug)]
pub(crate) struct Level {
    pub(super) stages: Vec<Stage>,
    pub(super) resample: Option<Resample>,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network holds a few")]
pub(super) enum Resample {
    Convolution(Conv2d),
    Block(ResidualBlock),
}

#[derive(Module, Debug)]
pub(crate) struct Stage {
    residual: ResidualBlock,
    attention: Option<Attention>,
}

#[derive(Module, Debug)]
pub(crate) struct Bottom {
    first: ResidualBlock,
    attention: Attention,
    second: ResidualBlock,
}

impl Stage {
    pub(super) fn new(config: &UNetConfig, level: usize, inputs: usize, init: &mut Init) -> Self {
        let outputs = config.channels_at(level);
        Self {
            residual: ResidualBlock::new(config, inputs, outputs, init),
            attention: config
                .attention_levels
                .contains(&level)
                .then(|| attention(config, outputs, init)),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let x = self.residual.forward(x, time);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

impl Resample {
    /// To half the size.
    pub(super) fn down(config: &UNetConfig, width: usize, init: &mut Init) -> Self {
        match config.resampling {
            Resampling::Convolution => Self::Convolution(init.convolution(halving(width))),
            Resampling::PaddedConvolution => {
                Self::Convolution(init.convolution(same(width, width).with_stride([2, 2])))
            }
            Resampling::ResidualBlock => Self::block(config, width, Scale::Halved, init),
        }
    }

    /// To twice the size; the convolutions come after [`doubled`].
    pub(super) fn up(config: &UNetConfig, width: usize, init: &mut Init) -> Self {
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

/// The encoder: its levels, the bottom, the widths of what it hands to the decoder, in order, and the last width.
pub(crate) struct Encoder {
    pub(crate) levels: Vec<Level>,
    pub(crate) bottom: Bottom,
    pub(crate) skips: Vec<usize>,
    pub(crate) width: usize,
}

impl Encoder {
    /// Behind an input convolution.
    pub(crate) fn new(config: &UNetConfig, init: &mut Init) -> Self {
        let last = config.channel_multipliers.len() - 1;
        let mut width = config.base_channels;
        let mut skips = vec![width];
        let mut levels = Vec::new();
        for level in 0..=last {
            let mut stages = Vec::new();
            for _ in 0..config.blocks_per_level {
                stages.push(Stage::new(config, level, width, init));
                width = config.channels_at(level);
                skips.push(width);
            }
            let resample = (level < last).then(|| {
                skips.push(width);
                Resample::down(config, width, init)
            });
            levels.push(Level { stages, resample });
        }
        Self {
            levels,
            bottom: Bottom::new(config, width, init),
            skips,
            width,
        }
    }
}

impl Level {
    /// A level of the encoder; `see` is shown what the decoder will be given.
    pub(crate) fn encode(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        mut see: impl FnMut(&Tensor<4>),
    ) -> Tensor<4> {
        for stage in &self.stages {
            x = stage.forward(x, time);
            see(&x);
        }
        match &self.resample {
            Some(Resample::Convolution(halve)) => x = convolved(halve, x),
            Some(Resample::Block(block)) => x = block.forward(x, time),
            None => return x,
        }
        see(&x);
        x
    }
}

impl Bottom {
    fn new(config: &UNetConfig, width: usize, init: &mut Init) -> Self {
        Self {
            first: ResidualBlock::new(config, width, width, init),
            attention: attention(config, width, init),
            second: ResidualBlock::new(config, width, width, init),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let x = self.first.forward(x, time);
        let x = self.attention.forward(x);
        self.second.forward(x, time)
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
