//! DnCNN: a row of 3x3 convolutions with ReLU between them, which predicts the noise in its input.
//!
//! `D(x) = x - N(x)`, pixels in [0, 1]. The network is told no noise level: it is made for one, or it finds the level in the
//! image. The batch normalisation of its training is an affine map afterwards, so it is part of the convolutions here.
//!
//! Zhang et al. 2017, section III, <https://arxiv.org/abs/1608.03981>.

mod config;
mod published;

use burn::{
    module::Module,
    nn::conv::Conv2d,
    tensor::{Device, Tensor},
};
use tweedie_core::{Backbone, Conditioning};
use tweedie_kernels::{convolved, relu};

use crate::{ModelError, checks, init::Init, layers::same};
pub use config::DncnnConfig;
pub(crate) use published::{blind, recognised, single};

/// The network `N`; made by [`DncnnConfig::init`].
///
/// As a [`Backbone`] it maps `[batch, channels, height, width]` to the noise in it, of the same shape, and ignores its label;
/// [`Residual`](tweedie_core::Residual) makes it a denoiser.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, Preconditioned, Residual};
/// use tweedie_models::DncnnConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = DncnnConfig { width: 8, ..DncnnConfig::published(3, 5) };
/// let backbone = config.init(0, &Device::flex())?;
/// let denoiser = Preconditioned { backbone, preconditioning: Residual };
/// let clean = denoiser.denoise(Tensor::zeros([1, 3, 21, 30], &Device::flex()), 0.1);
/// assert_eq!(clean.dims(), [1, 3, 21, 30]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Dncnn {
    convolutions: Vec<Conv2d>,
    #[module(skip)]
    config: DncnnConfig,
}

impl Dncnn {
    /// What the network was made from.
    pub fn config(&self) -> &DncnnConfig {
        &self.config
    }
}

impl DncnnConfig {
    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Dncnn, ModelError> {
        self.validate()?;
        let mut init = Init::seeded(seed, device);
        let last = self.depth - 1;
        let [head, body, tail] = self.biases;
        let convolutions = (0..self.depth)
            .map(|index| {
                let (inputs, outputs, bias) = match index {
                    0 => (self.channels, self.width, head),
                    _ if index == last => (self.width, self.channels, tail),
                    _ => (self.width, self.width, body),
                };
                init.convolution(same(inputs, outputs).with_bias(bias))
            })
            .collect();
        Ok(Dncnn {
            convolutions,
            config: self.clone(),
        })
    }
}

impl Backbone for Dncnn {
    /// # Panics
    /// If the number of channels is not the network's, or the image is empty.
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        checks::images(&x, self.config.channels, |height, width| {
            self.config.check_size(height, width)
        });
        let mut layers = self.convolutions.iter();
        let first = layers.next().expect("a network has two layers");
        layers.fold(convolved(first, x), |x, layer| convolved(layer, relu(x)))
    }
}
