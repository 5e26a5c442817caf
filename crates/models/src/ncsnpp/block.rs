//! The residual block: `(skip(x) + conv(silu(norm(conv(r(silu(norm(x)))) + W e))))/sqrt(2)`, where `r` halves, doubles or keeps the
//! size and `skip` does the same with a 1x1 convolution after it; at chosen places self-attention follows, whose sum with its input
//! is divided by `sqrt(2)` too.
//!
//! Song et al. 2021, appendix H, <https://arxiv.org/abs/2011.13456>.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{
    module::Module,
    nn::{GroupNorm, GroupNormConfig, Linear, conv::Conv2d},
    tensor::{Device, Tensor},
};
use tweedie_kernels::{convolved, convolved_plus, normalised};

use super::{GROUPS, NcsnppConfig, NoiseEmbedding, resample::Filter};
use crate::{
    init::Init,
    layers::{Attention, pointwise, same},
};

/// What a block does to the size of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resize {
    Keep,
    Halve,
    Double,
}

#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: GroupNorm,
    conv1: Conv2d,
    told: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    attention: Option<Attention>,
    #[module(skip)]
    resize: Resize,
    #[module(skip)]
    filter: Filter,
}

impl Block {
    /// One that keeps the size.
    pub(super) fn new(
        config: &NcsnppConfig,
        inputs: usize,
        outputs: usize,
        attends: bool,
        init: &mut Init,
    ) -> Self {
        Self {
            norm1: group_norm(inputs, init.device()),
            conv1: init.convolution(same(inputs, outputs)),
            told: init.linear(NoiseEmbedding::outputs(config), outputs),
            norm2: group_norm(outputs, init.device()),
            conv2: init.silent_convolution(same(outputs, outputs)),
            shortcut: (inputs != outputs).then(|| init.convolution(pointwise(inputs, outputs))),
            attention: attends.then(|| {
                let norm = group_norm(outputs, init.device());
                Attention::new(norm, 1, init)
            }),
            resize: Resize::Keep,
            filter: Filter::of(config.kind),
        }
    }

    /// One that changes the size.
    pub(super) fn resizing(
        config: &NcsnppConfig,
        channels: usize,
        resize: Resize,
        init: &mut Init,
    ) -> Self {
        Self {
            shortcut: Some(init.convolution(pointwise(channels, channels))),
            resize,
            ..Self::new(config, channels, channels, false, init)
        }
    }

    /// `x` is `[batch, inputs, height, width]`, `noise` the output of the [`NoiseEmbedding`].
    pub(super) fn forward(&self, x: Tensor<4>, noise: &Tensor<2>) -> Tensor<4> {
        let h = self.resized(normalised(&self.norm1, x.clone(), true));
        let h = convolved_plus(&self.conv1, h, self.told.forward(noise.clone()));
        let h = convolved(&self.conv2, normalised(&self.norm2, h, true));
        let x = self.resized(x);
        let x = match &self.shortcut {
            Some(shortcut) => convolved(shortcut, x),
            None => x,
        };
        let x = (x + h).mul_scalar(FRAC_1_SQRT_2);
        match &self.attention {
            Some(attention) => attention.forward(x).mul_scalar(FRAC_1_SQRT_2),
            None => x,
        }
    }

    fn resized(&self, x: Tensor<4>) -> Tensor<4> {
        match self.resize {
            Resize::Keep => x,
            Resize::Halve => self.filter.down(x),
            Resize::Double => self.filter.up(x),
        }
    }
}

pub(super) fn group_norm(channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(GROUPS, channels)
        .with_epsilon(1e-6)
        .init(device)
}
