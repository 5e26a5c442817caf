//! The small U-Net of the network cells: two halvings, one residual block a level and two at the bottom, no attention, with the
//! label added in each block. It stands in for a network that a user wrote from burn's modules; `bench/peer/networks.py` holds
//! the same one.

use tweedie::burn::module::Module;
use tweedie::burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use tweedie::burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use tweedie::burn::tensor::{Device, Tensor, TensorData, activation::silu};
use tweedie::core::{Backbone, Conditioning};
use tweedie::kernels::{convolved, convolved_plus, normalised, transpose_convolved};

const BASE: usize = 32;
const GROUPS: usize = 8;

#[derive(Module, Debug)]
pub(crate) struct SmallUNet {
    time1: Linear,
    time2: Linear,
    input: Conv2d,
    down1: SmallBlock,
    halve1: Conv2d,
    down2: SmallBlock,
    halve2: Conv2d,
    bottom1: SmallBlock,
    bottom2: SmallBlock,
    double2: ConvTranspose2d,
    up2: SmallBlock,
    double1: ConvTranspose2d,
    up1: SmallBlock,
    norm: GroupNorm,
    output: Conv2d,
}

#[derive(Module, Debug)]
struct SmallBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl SmallBlock {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            norm1: GroupNormConfig::new(GROUPS, inputs).init(device),
            conv1: same(inputs, outputs, device),
            time: LinearConfig::new(4 * BASE, outputs).init(device),
            norm2: GroupNormConfig::new(GROUPS, outputs).init(device),
            conv2: same(outputs, outputs, device),
            shortcut: (inputs != outputs)
                .then(|| Conv2dConfig::new([inputs, outputs], [1, 1]).init(device)),
        }
    }

    fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let told = self.time.forward(silu(time.clone()));
        let h = normalised(&self.norm1, x.clone(), true);
        let h = convolved_plus(&self.conv1, h, told);
        let h = convolved(&self.conv2, normalised(&self.norm2, h, true));
        match &self.shortcut {
            Some(shortcut) => h + convolved(shortcut, x),
            None => h + x,
        }
    }
}

impl SmallUNet {
    pub(crate) fn new(device: &Device) -> Self {
        let dense = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let block = |inputs, outputs| SmallBlock::new(inputs, outputs, device);
        let double = |inputs, outputs| {
            ConvTranspose2dConfig::new([inputs, outputs], [2, 2])
                .with_stride([2, 2])
                .init(device)
        };
        Self {
            time1: dense(BASE, 4 * BASE),
            time2: dense(4 * BASE, 4 * BASE),
            input: same(1, BASE, device),
            down1: block(BASE, BASE),
            halve1: halving(BASE, device),
            down2: block(BASE, 2 * BASE),
            halve2: halving(2 * BASE, device),
            bottom1: block(2 * BASE, 4 * BASE),
            bottom2: block(4 * BASE, 4 * BASE),
            double2: double(4 * BASE, 2 * BASE),
            up2: block(4 * BASE, 2 * BASE),
            double1: double(2 * BASE, BASE),
            up1: block(2 * BASE, BASE),
            norm: GroupNormConfig::new(GROUPS, BASE).init(device),
            output: same(BASE, 1, device),
        }
    }
}

impl Backbone for SmallUNet {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        let time = self.time1.forward(embedding(conditioning.noise));
        let time = self.time2.forward(silu(time));
        let first = self.down1.forward(convolved(&self.input, x), &time);
        let second = self
            .down2
            .forward(convolved(&self.halve1, first.clone()), &time);
        let h = self
            .bottom1
            .forward(convolved(&self.halve2, second.clone()), &time);
        let h = self.bottom2.forward(h, &time);
        let h = Tensor::cat(vec![transpose_convolved(&self.double2, h), second], 1);
        let h = self.up2.forward(h, &time);
        let h = Tensor::cat(vec![transpose_convolved(&self.double1, h), first], 1);
        let h = self.up1.forward(h, &time);
        convolved(&self.output, normalised(&self.norm, h, true))
    }
}

/// Sines, then cosines, of the labels times `10000^(-k/n)`, `k = 0 .. n`.
fn embedding(labels: Tensor<1>) -> Tensor<2> {
    let half = BASE / 2;
    let frequencies: Vec<f64> = (0..half)
        .map(|k| 1e4_f64.powf(-(k as f64) / half as f64))
        .collect();
    let frequencies = TensorData::new(frequencies, [1, half]);
    let frequencies = Tensor::<2>::from_data(frequencies, (&labels.device(), labels.dtype()));
    let angles = labels.unsqueeze_dim::<2>(1) * frequencies;
    Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1)
}

fn padded() -> PaddingConfig2d {
    PaddingConfig2d::Explicit(1, 1, 1, 1)
}

fn same(inputs: usize, outputs: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([inputs, outputs], [3, 3])
        .with_padding(padded())
        .init(device)
}

fn halving(channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels, channels], [3, 3])
        .with_stride([2, 2])
        .with_padding(padded())
        .init(device)
}
