//! The residual block: `r(x) + conv(dropout(silu(norm(conv(r(silu(norm(x))))))))`, told the noise label.
//!
//! `r` is the identity, or changes the resolution: the mean of 2x2 pixels, or each pixel repeated in a square of 2x2 (Dhariwal &
//! Nichol 2021, section 3, <https://arxiv.org/abs/2105.05233>).

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig, GroupNorm, Linear, conv::Conv2d},
    tensor::{Tensor, module::avg_pool2d, ops::AvgPoolOptions},
};
use tweedie_kernels::{convolved, convolved_plus, doubled, normalised};

use super::{
    TimeEmbedding, TimeInjection, UNetConfig,
    norm::{group_norm, modulated},
};
use crate::{
    init::Init,
    layers::{pointwise, same},
};

#[derive(Module, Debug)]
pub(super) struct ResidualBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    dropout: Dropout,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    #[module(skip)]
    injection: TimeInjection,
    #[module(skip)]
    scale: Scale,
}

/// What a block does to the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Kept,
    Halved,
    Doubled,
}

impl Scale {
    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kept => x,
            Self::Halved => avg_pool2d(x, AvgPoolOptions::new([2, 2])),
            Self::Doubled => doubled(x),
        }
    }
}

impl ResidualBlock {
    pub(super) fn new(config: &UNetConfig, inputs: usize, outputs: usize, init: &mut Init) -> Self {
        Self::scaling(config, inputs, outputs, Scale::Kept, init)
    }

    pub(super) fn scaling(
        config: &UNetConfig,
        inputs: usize,
        outputs: usize,
        scale: Scale,
        init: &mut Init,
    ) -> Self {
        let told = match config.time_injection {
            TimeInjection::Add => outputs,
            TimeInjection::ScaleShift => 2 * outputs,
        };
        Self {
            norm1: group_norm(config, inputs, init.device()),
            conv1: init.convolution(same(inputs, outputs)),
            time: init.linear(TimeEmbedding::outputs(config.base_channels), told),
            norm2: group_norm(config, outputs, init.device()),
            dropout: DropoutConfig::new(config.dropout).init(),
            conv2: init.silent_convolution(same(outputs, outputs)),
            shortcut: (inputs != outputs).then(|| init.convolution(pointwise(inputs, outputs))),
            injection: config.time_injection,
            scale,
        }
    }

    /// `x` is `[batch, inputs, height, width]`, `time` the output of the [`TimeEmbedding`].
    pub(super) fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let h = self.scale.apply(normalised(&self.norm1, x.clone(), true));
        let x = self.scale.apply(x);
        let told = self.time.forward(time.clone());
        let h = match self.injection {
            TimeInjection::Add => {
                normalised(&self.norm2, convolved_plus(&self.conv1, h, told), true)
            }
            TimeInjection::ScaleShift => modulated(&self.norm2, convolved(&self.conv1, h), told),
        };
        // The layer alone would ask whether the image can be differentiated, which guidance does without any training.
        let h = if self.conv2.weight.val().device().is_autodiff() {
            self.dropout.forward(h)
        } else {
            h
        };
        let h = convolved(&self.conv2, h);
        match &self.shortcut {
            Some(shortcut) => convolved(shortcut, x) + h,
            None => x + h,
        }
    }
}
