//! Self-attention between the pixels of an image: `x + W softmax(Q K^T / sqrt(d)) V` (Vaswani et al. 2017, eq. 1,
//! <https://arxiv.org/abs/1706.03762>), with `Q`, `K` and `V` linear in the normalised `x`.

use burn::{
    module::Module,
    nn::{GroupNorm, conv::Conv2d},
    tensor::{Tensor, module::attention, ops::AttentionModuleOptions},
};

use super::{
    UNetConfig,
    norm::{group_norm, normalised},
    pointwise,
};
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
            norm: group_norm(config.groups, channels, init.device()),
            qkv: init.convolution(pointwise(channels, 3 * channels)),
            projection: init.silent_convolution(pointwise(channels, channels)),
            heads: config.heads,
        }
    }

    /// `x` is `[batch, channels, height, width]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let qkv = self.qkv.forward(normalised(&self.norm, x.clone(), None));
        let [q, k, v] = [0, 1, 2].map(|part| {
            qkv.clone()
                .narrow(1, part * channels, channels)
                .reshape([batch, self.heads, channels / self.heads, height * width])
                .swap_dims(2, 3)
        });
        let seen = attention(q, k, v, None, None, AttentionModuleOptions::default())
            .swap_dims(2, 3)
            .reshape([batch, channels, height, width]);
        x + self.projection.forward(seen)
    }
}
