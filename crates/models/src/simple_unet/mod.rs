//! SimpleUnet: the network of the course notebook "Diffusion models from scratch in PyTorch" (DeepFindr 2022).
//!
//! A U-Net with one block a level: `h = norm(relu(conv(x)))`, `h + relu(w)` with a linear map `w` of the embedded noise label,
//! `norm(relu(conv(h)))`, then a convolution that halves the size or a transposed one that doubles it. The norms are batch
//! normalisations (Ioffe & Szegedy 2015, <https://arxiv.org/abs/1502.03167>).
//!
//! The notebook is at <https://colab.research.google.com/drive/1sjy9odlSSy0RBVgMTgP7s99NXsqglsUL>; it trains with Ho et al. 2020,
//! algorithm 1, <https://arxiv.org/abs/2006.11239>, and 300 steps.

mod config;
mod norm;
mod published;

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Linear, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig},
    },
    tensor::{Device, Tensor, activation},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{convolved, relu, transpose_convolved};

use crate::{
    ModelError, checks,
    init::Init,
    layers::{pointwise, same},
    sinusoidal_embedding,
};
pub use config::SimpleUnetConfig;
use norm::batch_normalised;
pub(crate) use published::{course, recognised};

/// The network; made by [`SimpleUnetConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]` to the same shape, pixels in [-1, 1]; height and width are
/// multiples of [`SimpleUnetConfig::multiple`].
///
/// Its norms use the statistics of the batch while its weights are on an autodiff device, which is where they are trained; the rows
/// of a batch depend on each other then. On any other device, so also for a gradient with respect to the image alone, they use the
/// running ones.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::SimpleUnetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = SimpleUnetConfig { widths: vec![4, 8], ..SimpleUnetConfig::published(3) };
/// let network = config.init(0, &Device::flex())?;
/// let x = Tensor::ones([2, 3, 8, 6], &Device::flex());
/// let label = Conditioning::uniform(10.0, &x);
/// assert_eq!(network.forward(x, label).dims(), [2, 3, 8, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct SimpleUnet {
    time: Linear,
    input: Conv2d,
    down: Vec<Down>,
    /// Coarsest first.
    up: Vec<Up>,
    output: Conv2d,
    #[module(skip)]
    config: SimpleUnetConfig,
}

#[derive(Module, Debug)]
struct Down {
    block: Block,
    halve: Conv2d,
}

#[derive(Module, Debug)]
struct Up {
    block: Block,
    double: ConvTranspose2d,
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    time: Linear,
    conv2: Conv2d,
    norm2: BatchNorm,
}

impl Block {
    fn new(inputs: usize, outputs: usize, time_width: usize, init: &mut Init) -> Self {
        let norm = |init: &Init| BatchNormConfig::new(outputs).init(init.device());
        Self {
            conv1: init.convolution(same(inputs, outputs)),
            norm1: norm(init),
            time: init.linear(time_width, outputs),
            conv2: init.convolution(same(outputs, outputs)),
            norm2: norm(init),
        }
    }

    /// `time` is `[batch, time_width]`.
    fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let h = batch_normalised(&self.norm1, relu(convolved(&self.conv1, x)));
        let told = activation::relu(self.time.forward(time.clone()));
        let h = h + told.unsqueeze_dims::<4>(&[2, 3]);
        batch_normalised(&self.norm2, relu(convolved(&self.conv2, h)))
    }
}

impl SimpleUnet {
    /// Weights from `seed`, in the order: time, input, down, up, output.
    fn new(config: &SimpleUnetConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let told = config.time_width;
        // Of two neighbouring levels, the finer one's width first.
        let steps = || config.widths.windows(2).map(|pair| (pair[0], pair[1]));
        Self {
            time: init.linear(told, told),
            input: init.convolution(same(config.channels, config.widths[0])),
            down: steps()
                .map(|(fine, coarse)| Down {
                    block: Block::new(fine, coarse, told, &mut init),
                    halve: init.convolution(halving(coarse)),
                })
                .collect(),
            up: steps()
                .rev()
                .map(|(fine, coarse)| Up {
                    block: Block::new(2 * coarse, fine, told, &mut init),
                    double: init.transposed_convolution(doubling(fine)),
                })
                .collect(),
            output: init.convolution(pointwise(config.widths[0], config.channels)),
            config: config.clone(),
        }
    }

    /// What the network was made from.
    pub fn config(&self) -> &SimpleUnetConfig {
        &self.config
    }
}

impl SimpleUnetConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<SimpleUnet, ModelError> {
        self.validate()?;
        Ok(SimpleUnet::new(self, seed, device))
    }
}

impl Backbone for SimpleUnet {
    /// # Panics
    /// If the number of channels or the size is not one that the network takes: see [`SimpleUnetConfig::check_size`].
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let embedding = sinusoidal_embedding(conditioning.noise, self.config.time_width)
            .cast(self.time.weight.dtype());
        let time = activation::relu(self.time.forward(embedding));
        let mut x = convolved(&self.input, x);
        let mut skips = Vec::new();
        for Down { block, halve } in &self.down {
            x = convolved(halve, block.forward(x, &time));
            skips.push(x.clone());
        }
        // The coarsest level is joined to itself.
        for (Up { block, double }, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = transpose_convolved(double, block.forward(Tensor::cat(vec![x, skip], 1), &time));
        }
        convolved(&self.output, x)
    }
}

/// A 4x4 convolution that halves an even size.
fn halving(width: usize) -> Conv2dConfig {
    Conv2dConfig::new([width, width], [4, 4])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
}

/// A transposed 4x4 convolution that doubles the size.
fn doubling(width: usize) -> ConvTranspose2dConfig {
    ConvTranspose2dConfig::new([width, width], [4, 4])
        .with_stride([2, 2])
        .with_padding([1, 1])
}
