//! Layers that several networks have: convolutions, and self-attention between the pixels of an image,
//! `x + W softmax(Q K^T / sqrt(d)) V` (Vaswani et al. 2017, eq. 1, <https://arxiv.org/abs/1706.03762>), with `Q`, `K` and `V` linear
//! in the normalised `x`.

use burn::{
    module::Module,
    nn::{
        GroupNorm, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::Tensor,
};
use tweedie_kernels::{attention, convolved, normalised};

use crate::init::Init;

/// A 3x3 convolution that keeps the size; zeros lie around the image.
pub(crate) fn same(inputs: usize, outputs: usize) -> Conv2dConfig {
    Conv2dConfig::new([inputs, outputs], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
}

/// A 1x1 convolution.
pub(crate) fn pointwise(inputs: usize, outputs: usize) -> Conv2dConfig {
    Conv2dConfig::new([inputs, outputs], [1, 1])
}

#[derive(Module, Debug)]
pub(crate) struct Attention {
    norm: GroupNorm,
    /// `Q`, `K` and `V`, in this order along the channels.
    qkv: Conv2d,
    projection: Conv2d,
    heads: usize,
}

impl Attention {
    /// Of as many channels as `norm`.
    pub(crate) fn new(norm: GroupNorm, heads: usize, init: &mut Init) -> Self {
        let channels = norm.num_channels;
        Self {
            norm,
            qkv: init.convolution(pointwise(channels, 3 * channels)),
            projection: init.silent_convolution(pointwise(channels, channels)),
            heads,
        }
    }

    /// `x` is `[batch, channels, height, width]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let qkv = convolved(&self.qkv, normalised(&self.norm, x.clone(), false));
        let qkv = qkv.reshape([batch, 3 * channels, height * width]);
        let seen = attention(qkv, self.heads).reshape([batch, channels, height, width]);
        x + convolved(&self.projection, seen)
    }
}
