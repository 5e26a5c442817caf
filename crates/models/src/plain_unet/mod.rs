//! A plain U-Net: a blind denoiser, which is told no noise level.
//!
//! Jin et al. 2017, section 3, <https://arxiv.org/abs/1611.03679>, after Ronneberger et al. 2015, <https://arxiv.org/abs/1505.04597>:
//! levels of two 3x3 convolutions, each followed by a ReLU, that keep the size; the largest of 2x2 pixels on the way down;
//! repeated pixels and a convolution on the way up, joined level by level by concatenation; and the sum with the input. The
//! batch normalisation of the training is part of the convolutions.

mod config;
mod published;

use burn::{
    module::Module,
    nn::{
        PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, module::max_pool2d, ops::MaxPoolOptions},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{convolved, doubled, relu};

use crate::{
    ModelError, checks,
    init::Init,
    layers::{self, pointwise},
};
pub use config::PlainUNetConfig;
pub(crate) use published::recognised;

/// The network; made by [`PlainUNetConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]`, pixels in [0, 1], to the same shape; height and width are
/// multiples of [`PlainUNetConfig::multiple`]. It does not look at the noise label.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::PlainUNetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = PlainUNetConfig { widths: vec![4, 8], ..PlainUNetConfig::published(3) };
/// let network = config.init(0, &Device::flex())?;
/// let x = Tensor::ones([2, 3, 6, 8], &Device::flex());
/// let unused = Conditioning::uniform(0.0, &x);
/// assert_eq!(network.forward(x, unused).dims(), [2, 3, 6, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct PlainUNet {
    encoder: Vec<Pair>,
    /// Coarsest first.
    decoder: Vec<Up>,
    output: Conv2d,
    #[module(skip)]
    config: PlainUNetConfig,
}

/// The two convolutions of a level.
#[derive(Module, Debug)]
struct Pair {
    conv1: Conv2d,
    conv2: Conv2d,
}

/// The convolution after doubling the size, and the level that joins the two ways.
#[derive(Module, Debug)]
struct Up {
    double: Conv2d,
    join: Pair,
}

impl PlainUNet {
    /// Weights from `seed`, in the order of the layers.
    fn new(config: &PlainUNetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let conv =
            |inputs, outputs, init: &mut Init| init.convolution(same(config, inputs, outputs));
        let pair = |inputs, outputs, init: &mut Init| Pair {
            conv1: conv(inputs, outputs, init),
            conv2: conv(outputs, outputs, init),
        };
        let inputs = [&config.channels].into_iter().chain(&config.widths);
        let encoder = inputs
            .zip(&config.widths)
            .map(|(&inputs, &outputs)| pair(inputs, outputs, &mut init))
            .collect();
        let decoder = (config.widths.windows(2).rev())
            .map(|neighbours| {
                let (fine, coarse) = (neighbours[0], neighbours[1]);
                Up {
                    double: conv(coarse, fine, &mut init),
                    join: pair(2 * fine, fine, &mut init),
                }
            })
            .collect();
        let last = pointwise(config.widths[0], config.channels);
        Self {
            encoder,
            decoder,
            output: init.convolution(last.with_bias(config.biases[1])),
            config: config.clone(),
        }
    }

    /// What the network was made from.
    pub fn config(&self) -> &PlainUNetConfig {
        &self.config
    }

    fn activated(&self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        let x = if self.config.circular_padding {
            wrapped(x)
        } else {
            x
        };
        relu(convolved(layer, x))
    }

    fn through(&self, pair: &Pair, x: Tensor<4>) -> Tensor<4> {
        self.activated(&pair.conv2, self.activated(&pair.conv1, x))
    }
}

impl PlainUNetConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<PlainUNet, ModelError> {
        self.validate()?;
        Ok(PlainUNet::new(self, seed, device))
    }
}

impl Backbone for PlainUNet {
    /// # Panics
    /// If the number of channels or the size is not one that the network takes: see [`PlainUNetConfig::check_size`].
    fn forward(&self, image: Tensor<4>, _: Conditioning) -> Tensor<4> {
        checks::images(&image, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let mut x = image.clone();
        let mut skips = Vec::new();
        for (level, pair) in self.encoder.iter().enumerate() {
            if level > 0 {
                skips.push(x.clone());
                x = max_pool2d(x, MaxPoolOptions::new([2, 2]));
            }
            x = self.through(pair, x);
        }
        for level in &self.decoder {
            let skip = skips.pop().expect("one per level");
            let up = self.activated(&level.double, doubled(x));
            x = self.through(&level.join, Tensor::cat(vec![skip, up], 1));
        }
        let x = convolved(&self.output, x);
        if self.config.residual { x + image } else { x }
    }
}

/// `x` and one more pixel on each side, those of the other side.
fn wrapped(x: Tensor<4>) -> Tensor<4> {
    (2..4).fold(x, |x, axis| {
        let last = x.dims()[axis] - 1;
        let before = x.clone().narrow(axis, last, 1);
        let after = x.clone().narrow(axis, 0, 1);
        Tensor::cat(vec![before, x, after], axis)
    })
}

/// A 3x3 convolution that keeps the size, of an image that is [`wrapped`] first or not.
fn same(config: &PlainUNetConfig, inputs: usize, outputs: usize) -> Conv2dConfig {
    let convolution = layers::same(inputs, outputs).with_bias(config.biases[0]);
    match config.circular_padding {
        true => convolution.with_padding(PaddingConfig2d::Valid),
        false => convolution,
    }
}
