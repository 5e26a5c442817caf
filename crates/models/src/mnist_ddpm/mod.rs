//! MnistDdpm: a little network for digits, without levels: `gelu(norm(conv(x)))` four times, and a last convolution.
//!
//! The norm is that of a whole image, with a weight for each channel and pixel (Ba et al. 2016, eq. 4,
//! <https://arxiv.org/abs/1607.06450>). The noise label `t` in [0, 1] enters once: its code `sin(w_k t)`, `cos(w_k t) - 1` with `w_0 = 0`
//! and `w_k = 2 pi 1.5^(k-1)` becomes, by four linear layers, a number for each channel, which is added after the first block.
//!
//! It is the network of <https://github.com/Yichizz/hot_vs_cold_diffusion>.

mod config;
mod published;

use std::f64::consts::TAU;

use burn::{
    module::{Module, Param},
    nn::{
        Linear, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, TensorData, activation::gelu},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{convolved, group_norm};

use crate::{ModelError, checks, init::Init, layers::same};
pub use config::MnistDdpmConfig;
pub(crate) use published::{digits, recognised};

/// PyTorch's.
const EPSILON: f64 = 1e-5;

/// The network; made by [`MnistDdpmConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, size, size]` to the same shape, pixels in [-1/2, 1/2]. Its label is the time.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::MnistDdpmConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let network = MnistDdpmConfig::published().init(0, &Device::flex())?;
/// let x = Tensor::ones([2, 1, 28, 28], &Device::flex());
/// let label = Conditioning::uniform(0.5, &x);
/// assert_eq!(network.forward(x, label).dims(), [2, 1, 28, 28]);
/// assert_eq!(network.num_params(), 291_217);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct MnistDdpm {
    time: Vec<Linear>,
    blocks: Vec<Block>,
    output: Conv2d,
    #[module(skip)]
    config: MnistDdpmConfig,
}

#[derive(Module, Debug)]
struct Block {
    convolution: Conv2d,
    norm: ImageNorm,
}

/// `y = (x - mean)/sqrt(var + epsilon) weight + bias` over all values of an image.
#[derive(Module, Debug)]
struct ImageNorm {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<3>>,
}

impl ImageNorm {
    fn new(shape: [usize; 3], device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones(shape, device)),
            bias: Param::from_tensor(Tensor::zeros(shape, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [weight, bias] = [&self.weight, &self.bias].map(|values| values.val().unsqueeze::<4>());
        // In half precision the norm is of single precision still.
        let own = x.dtype();
        let x = x.cast(weight.dtype());
        let (channels, options) = (x.dims()[1], (&x.device(), x.dtype()));
        let scale = Tensor::ones([1, channels], options);
        let shift = Tensor::zeros([1, channels], options);
        (group_norm(x, 1, EPSILON, scale, shift, false) * weight + bias).cast(own)
    }
}

impl Block {
    fn new(config: &MnistDdpmConfig, inputs: usize, outputs: usize, init: &mut Init) -> Self {
        Self {
            convolution: init.convolution(wide(inputs, outputs)),
            norm: ImageNorm::new([outputs, config.size, config.size], init.device()),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        gelu(self.norm.forward(convolved(&self.convolution, x)))
    }
}

impl MnistDdpm {
    /// Weights from `seed`, in the order: time, blocks, output.
    fn new(config: &MnistDdpmConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let told = config.time_width;
        let sizes = [2 * config.frequencies, told, told, told, config.widths[0]];
        let inputs = [config.channels].into_iter().chain(config.widths.clone());
        let last = config.widths[config.widths.len() - 1];
        Self {
            time: sizes
                .windows(2)
                .map(|pair| init.linear(pair[0], pair[1]))
                .collect(),
            blocks: inputs
                .zip(&config.widths)
                .map(|(inputs, &outputs)| Block::new(config, inputs, outputs, &mut init))
                .collect(),
            output: init.convolution(same(last, config.channels)),
            config: config.clone(),
        }
    }

    /// What the network was made from.
    pub fn config(&self) -> &MnistDdpmConfig {
        &self.config
    }

    /// A number for each channel of the first block, `[batch, widths[0], 1, 1]`, from the times of the batch.
    fn told(&self, times: Tensor<1>) -> Tensor<4> {
        let code = code(times, self.config.frequencies).cast(self.time[0].weight.dtype());
        let (first, rest) = self.time.split_first().expect("four layers");
        let told = rest
            .iter()
            .fold(first.forward(code), |x, layer| layer.forward(gelu(x)));
        told.unsqueeze_dims(&[2, 3])
    }
}

/// The sines, then the cosines less 1, `[batch]` to `[batch, 2 frequencies]`.
fn code(times: Tensor<1>, frequencies: usize) -> Tensor<2> {
    let values: Vec<f64> = (0..frequencies)
        .map(|k| match k {
            0 => 0.0,
            _ => TAU * 1.5_f64.powi(k as i32 - 1),
        })
        .collect();
    let frequencies = Tensor::<2>::from_data(
        TensorData::new(values, [1, frequencies]),
        (&times.device(), times.dtype()),
    );
    let angles = times.unsqueeze_dim::<2>(1) * frequencies;
    Tensor::cat(vec![angles.clone().sin(), angles.cos().sub_scalar(1.0)], 1)
}

impl MnistDdpmConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<MnistDdpm, ModelError> {
        self.validate()?;
        Ok(MnistDdpm::new(self, seed, device))
    }
}

impl Backbone for MnistDdpm {
    /// # Panics
    /// If the number of channels or the size is not the network's.
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let (first, rest) = self.blocks.split_first().expect("at least one block");
        let x = first.forward(x) + self.told(conditioning.noise);
        let x = rest.iter().fold(x, |x, block| block.forward(x));
        convolved(&self.output, x)
    }
}

/// A 7x7 convolution that keeps the size.
fn wide(inputs: usize, outputs: usize) -> Conv2dConfig {
    Conv2dConfig::new([inputs, outputs], [7, 7]).with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
}
