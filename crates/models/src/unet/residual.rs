//! The residual block: `x + conv(dropout(silu(norm(conv(silu(norm(x)))))))`, told the noise label.

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig, GroupNorm, Linear, conv::Conv2d},
    tensor::Tensor,
};
use tweedie_kernels::{convolved, convolved_plus, normalised};

use super::{
    TimeEmbedding, TimeInjection, UNetConfig,
    norm::{group_norm, modulated},
    pointwise, same,
};
use crate::init::Init;

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
}

impl ResidualBlock {
    pub(super) fn new(config: &UNetConfig, inputs: usize, outputs: usize, init: &mut Init) -> Self {
        let told = match config.time_injection {
            TimeInjection::Add => outputs,
            TimeInjection::ScaleShift => 2 * outputs,
        };
        Self {
            norm1: group_norm(config.groups, inputs, init.device()),
            conv1: init.convolution(same(inputs, outputs)),
            time: init.linear(TimeEmbedding::outputs(config.base_channels), told),
            norm2: group_norm(config.groups, outputs, init.device()),
            dropout: DropoutConfig::new(config.dropout).init(),
            conv2: init.silent_convolution(same(outputs, outputs)),
            shortcut: (inputs != outputs).then(|| init.convolution(pointwise(inputs, outputs))),
            injection: config.time_injection,
        }
    }

    /// `x` is `[batch, inputs, height, width]`, `time` the output of the [`TimeEmbedding`].
    pub(super) fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let h = normalised(&self.norm1, x.clone(), true);
        let told = self.time.forward(time.clone());
        let h = match self.injection {
            TimeInjection::Add => {
                normalised(&self.norm2, convolved_plus(&self.conv1, h, told), true)
            }
            TimeInjection::ScaleShift => modulated(&self.norm2, convolved(&self.conv1, h), told),
        };
        let h = convolved(&self.conv2, self.dropout.forward(h));
        match &self.shortcut {
            Some(shortcut) => convolved(shortcut, x) + h,
            None => x + h,
        }
    }
}
