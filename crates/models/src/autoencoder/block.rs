//! The residual block of the autoencoder, `x + conv(silu(norm(conv(silu(norm(x))))))`; it is told no noise level.

use burn::{
    module::Module,
    nn::{GroupNorm, GroupNormConfig, conv::Conv2d},
    tensor::{Device, Tensor},
};
use tweedie_kernels::{convolved, normalised};

use super::AutoencoderConfig;
use crate::{
    init::Init,
    layers::{pointwise, same},
};

/// Added to the variances of the normalisations.
const EPSILON: f64 = 1e-6;

pub(super) fn group_norm(
    config: &AutoencoderConfig,
    channels: usize,
    device: &Device,
) -> GroupNorm {
    GroupNormConfig::new(config.groups, channels)
        .with_epsilon(EPSILON)
        .init(device)
}

#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Block {
    pub(super) fn new(
        config: &AutoencoderConfig,
        inputs: usize,
        outputs: usize,
        init: &mut Init,
    ) -> Self {
        Self {
            norm1: group_norm(config, inputs, init.device()),
            conv1: init.convolution(same(inputs, outputs)),
            norm2: group_norm(config, outputs, init.device()),
            conv2: init.silent_convolution(same(outputs, outputs)),
            shortcut: (inputs != outputs).then(|| init.convolution(pointwise(inputs, outputs))),
        }
    }

    /// The blocks of a level.
    pub(super) fn several(
        config: &AutoencoderConfig,
        inputs: usize,
        outputs: usize,
        init: &mut Init,
    ) -> Vec<Self> {
        (0..config.blocks_per_level)
            .map(|index| {
                let inputs = if index == 0 { inputs } else { outputs };
                Self::new(config, inputs, outputs, init)
            })
            .collect()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = convolved(&self.conv1, normalised(&self.norm1, x.clone(), true));
        let h = convolved(&self.conv2, normalised(&self.norm2, h, true));
        match &self.shortcut {
            Some(shortcut) => convolved(shortcut, x) + h,
            None => x + h,
        }
    }
}
