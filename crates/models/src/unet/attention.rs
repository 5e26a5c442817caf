//! Self-attention between the pixels of an image: `x + W softmax(Q K^T / sqrt(d)) V` (Vaswani et al. 2017, eq. 1,
//! <https://arxiv.org/abs/1706.03762>), with `Q`, `K` and `V` linear in the normalised `x`.

use burn::{
    module::Module,
    nn::{GroupNorm, conv::Conv2d},
    tensor::Tensor,
};
use tweedie_kernels::{attention, convolved, normalised};

use super::{UNetConfig, norm::group_norm, pointwise};
use crate::init::Init;

#[derive(Module, Debug)]
pub(super) struct Attention {
    norm: GroupNorm,
    /// `Q`, `K` and `V`, in this order along the channels.
    qkv: Conv2d,
    projection: Conv2d,
    heads: usize,
}

impl Attention {
    pub(super) fn new(config: &UNetConfig, channels: usize, init: &mut Init) -> Self {
        Self {
            norm: group_norm(config, channels, init.device()),
            qkv: init.convolution(pointwise(channels, 3 * channels)),
            projection: init.silent_convolution(pointwise(channels, channels)),
            heads: config.heads_of(channels),
        }
    }

    /// `x` is `[batch, channels, height, width]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let qkv = convolved(&self.qkv, normalised(&self.norm, x.clone(), false));
        let seen = attention(
            qkv.reshape([batch, 3 * channels, height * width]),
            self.heads,
        );
        x + convolved(
            &self.projection,
            seen.reshape([batch, channels, height, width]),
        )
    }
}
