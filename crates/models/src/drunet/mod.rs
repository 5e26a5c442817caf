//! DRUNet: one network for all noise levels, told the level by a further channel of its input.
//!
//! `D(x; sigma) = N([x, sigma 1])`, where `N` is a U-Net of residual blocks `x + conv(relu(conv(x)))`. It halves the image by 2x2
//! convolutions of stride 2, doubles it by transposed ones, and joins the two ways level by level by a sum. No layer has a bias
//! and none normalises, so `N(a z) = a N(z)` for `a > 0`, and hence `D(a x; a sigma) = a D(x; sigma)`: the network is sensible beyond
//! the noise levels of its training.
//!
//! Zhang et al. 2021, section 3, <https://arxiv.org/abs/2008.13751>.

mod config;
mod published;

use burn::{
    module::Module,
    nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig},
    tensor::{Device, Tensor},
};
use tweedie_core::{Backbone, Conditioning, Denoiser, Padded};
use tweedie_kernels::{convolved, relu, transpose_convolved};

use crate::{ModelError, checks, init::Init, layers};
pub use config::DrunetConfig;
pub(crate) use published::{published, recognised};

/// The network; made by [`DrunetConfig::init`].
///
/// As a [`Denoiser`] it takes images in [0, 1] of any size, `[batch, channels, height, width]`, and `sigma` in the same units. Where
/// the size is no multiple of [`DrunetConfig::multiple`], the edge is repeated at the bottom and at the right and cut off again.
/// (deepinv pads to multiples of 16, and cuts images of which a side is no multiple of 8 and none is below 64 into four.)
///
/// As a [`Backbone`] its label is the noise level itself, one per image, and the size must be such a multiple.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use tweedie_core::Denoiser;
/// use tweedie_models::DrunetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = DrunetConfig { widths: vec![4, 8, 8, 16], ..DrunetConfig::published(3) };
/// let network = config.init(0, &Device::flex())?;
/// let clean = network.denoise(Tensor::zeros([1, 3, 21, 30], &Device::flex()), 0.1);
/// assert_eq!(clean.dims(), [1, 3, 21, 30]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Drunet {
    head: Conv2d,
    down: Vec<Down>,
    body: Vec<Block>,
    /// Coarsest first.
    up: Vec<Up>,
    tail: Conv2d,
    #[module(skip)]
    config: DrunetConfig,
}

/// The blocks of one resolution, and the layer that leads to the next coarser one.
#[derive(Module, Debug)]
struct Down {
    blocks: Vec<Block>,
    halve: Conv2d,
}

/// The layer that leads from the next coarser resolution, and the blocks of this one.
#[derive(Module, Debug)]
struct Up {
    double: ConvTranspose2d,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Block {
    fn new(width: usize, init: &mut Init) -> Self {
        Self {
            conv1: init.convolution(same(width, width)),
            conv2: init.silent_convolution(same(width, width)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = relu(convolved(&self.conv1, x.clone()));
        x + convolved(&self.conv2, h)
    }
}

fn through(blocks: &[Block], x: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

impl Drunet {
    /// Weights from `seed`, in the order of the layers.
    fn new(config: &DrunetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let blocks = |width: usize, init: &mut Init| -> Vec<Block> {
            (0..config.blocks_per_level)
                .map(|_| Block::new(width, init))
                .collect()
        };
        let (finest, coarsest) = (config.widths[0], config.widths[config.widths.len() - 1]);
        // Of two neighbouring levels, the finer one's width first.
        let steps = || config.widths.windows(2).map(|pair| (pair[0], pair[1]));
        let head = init.convolution(same(config.channels + 1, finest));
        let down = steps()
            .map(|(fine, coarse)| Down {
                blocks: blocks(fine, &mut init),
                halve: init.convolution(halving(fine, coarse)),
            })
            .collect();
        let body = blocks(coarsest, &mut init);
        let up = steps()
            .rev()
            .map(|(fine, coarse)| Up {
                double: init.transposed_convolution(doubling(coarse, fine)),
                blocks: blocks(fine, &mut init),
            })
            .collect();
        Self {
            head,
            down,
            body,
            up,
            tail: init.convolution(same(finest, config.channels)),
            config: config.clone(),
        }
    }

    /// What the network was made from.
    pub fn config(&self) -> &DrunetConfig {
        &self.config
    }

    /// `N`, of an image and its noise map.
    fn network(&self, z: Tensor<4>) -> Tensor<4> {
        let mut x = convolved(&self.head, z);
        let mut skips = Vec::new();
        for level in &self.down {
            skips.push(x.clone());
            x = convolved(&level.halve, through(&level.blocks, x));
        }
        // The bottom is bridged too.
        x = x.clone() + through(&self.body, x);
        for (level, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = through(&level.blocks, transpose_convolved(&level.double, x)) + skip;
        }
        convolved(&self.tail, x)
    }
}

impl DrunetConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Drunet, ModelError> {
        self.validate()?;
        Ok(Drunet::new(self, seed, device))
    }
}

impl Backbone for Drunet {
    /// # Panics
    /// If the number of channels or the size is not one that the network takes: see [`DrunetConfig::check_size`].
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let [batch, _, height, width] = x.dims();
        let map = conditioning.noise.cast(x.dtype()).reshape([batch, 1, 1, 1]);
        let map = map.expand([batch, 1, height, width]);
        self.network(Tensor::cat(vec![x, map], 1))
    }
}

impl Denoiser for Drunet {
    /// # Panics
    /// If the number of channels is not the network's, or the image is empty.
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        Padded {
            inner: AtMultiples(self),
            multiple: self.config.multiple(),
        }
        .denoise(noisy, sigma)
    }
}

/// The network without padding.
struct AtMultiples<'a>(&'a Drunet);

impl Denoiser for AtMultiples<'_> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let label = Conditioning::uniform(sigma, &noisy);
        self.0.forward(noisy, label)
    }
}

/// A 3x3 convolution that keeps the size.
fn same(inputs: usize, outputs: usize) -> Conv2dConfig {
    layers::same(inputs, outputs).with_bias(false)
}

/// A 2x2 convolution that halves an even size.
fn halving(inputs: usize, outputs: usize) -> Conv2dConfig {
    Conv2dConfig::new([inputs, outputs], [2, 2])
        .with_stride([2, 2])
        .with_bias(false)
}

/// A transposed 2x2 convolution that doubles the size.
fn doubling(inputs: usize, outputs: usize) -> ConvTranspose2dConfig {
    ConvTranspose2dConfig::new([inputs, outputs], [2, 2])
        .with_stride([2, 2])
        .with_bias(false)
}
