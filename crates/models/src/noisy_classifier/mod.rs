//! A classifier of noisy images: the encoder half of a U-Net, told the noise level.
//!
//! Dhariwal & Nichol 2021, section 4, <https://arxiv.org/abs/2105.05233>: the blocks of the encoder and the bottom, a norm
//! and SiLU, the mean over the pixels that are left, and a linear layer. The published classifiers end with an attention over these
//! pixels in place of the mean.

mod config;
mod pretrained;

use burn::{
    module::Module,
    nn::{GroupNorm, Linear, conv::Conv2d},
    tensor::{Device, Tensor, activation::log_softmax},
};
use tweedie_kernels::{convolved, normalised};

use crate::{
    checks,
    init::Init,
    layers::same,
    unet::{Bottom, Encoder, Level, TimeEmbedding, norm::group_norm},
};

pub use config::ClassifierConfig;
pub use pretrained::{CLASSIFIER_FILE, ClassifierModel, PretrainedClassifier};

/// The network; made by [`ClassifierConfig::init`]. At first all classes are equally likely.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_models::{ClassifierConfig, UNetConfig};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let encoder = UNetConfig { base_channels: 8, ..UNetConfig::preset("tiny")? };
/// let classifier = ClassifierConfig { classes: 10, encoder }.init(0, &Device::flex())?;
/// let device = Device::flex();
/// let labels = Tensor::from_floats([10.0, 900.0], &device);
/// let found = classifier.forward(Tensor::ones([2, 1, 28, 28], &device), labels);
/// assert_eq!(found.dims(), [2, 10]);
/// assert!((found.mean().into_scalar::<f32>() + 10_f32.ln()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Classifier {
    time: TimeEmbedding,
    input: Conv2d,
    encoder: Vec<Level>,
    bottom: Bottom,
    norm: GroupNorm,
    output: Linear,
    #[module(skip)]
    config: ClassifierConfig,
}

impl Classifier {
    fn new(config: &ClassifierConfig, seed: u64, device: &Device) -> Self {
        let mut init = Init::seeded(seed, device);
        let unet = &config.encoder;
        let time = TimeEmbedding::new(unet.base_channels, unet.noise_embedding, &mut init);
        let input = init.convolution(same(unet.channels, unet.base_channels));
        let encoder = Encoder::new(unet, &mut init);
        Self {
            time,
            input,
            norm: group_norm(unet, encoder.width, device),
            output: init.silent_linear(encoder.width, config.classes),
            encoder: encoder.levels,
            bottom: encoder.bottom,
            config: config.clone(),
        }
    }

    /// Its shape.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// The logarithms of the probabilities of the classes, `[batch, classes]`, of noisy images with pixels in [-1, 1] before the noise,
    /// `[batch, channels, height, width]`, scaled to about unit variance. `labels` has a noise label for each: see
    /// [`ClassifierModel`].
    ///
    /// # Panics
    /// If the number of channels or the size is not one that the encoder takes: see
    /// [`UNetConfig::check_size`](crate::UNetConfig::check_size).
    pub fn forward(&self, x: Tensor<4>, labels: Tensor<1>) -> Tensor<2> {
        log_softmax(self.output.forward(self.features(x, labels)), 1)
    }

    /// The numbers that it tells the classes by, `[batch, features]`, of what [`forward`](Self::forward) takes: the means over pixels of
    /// the last layer but one.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn features(&self, x: Tensor<4>, labels: Tensor<1>) -> Tensor<2> {
        let unet = &self.config.encoder;
        checks::images(&x, unet.channels, |height, width| {
            unet.check_size(height, width)
        });
        let time = self.time.forward(labels, None);
        let mut x = convolved(&self.input, x);
        for level in &self.encoder {
            x = level.encode(x, &time, |_| ());
        }
        let x = normalised(&self.norm, self.bottom.forward(x, &time), true);
        x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }
}
