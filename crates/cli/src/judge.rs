//! A judge of digits: the convolutional network of burn's example `import-model-weights`, 98.9 % right on MNIST's test images.
//!
//! Three 3x3 convolutions without padding, each with ReLU, a batch normalisation, a hidden layer of 32 with ReLU, and ten outputs,
//! normalised over batches too.

use std::path::Path;

use tweedie::{
    burn::{
        module::Module,
        nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, conv::Conv2d, conv::Conv2dConfig},
        tensor::{
            Device, Tensor,
            activation::{log_softmax, relu},
        },
    },
    models::{ModelError, load_checkpoint},
};

/// Height and width of the images.
pub(crate) const SIZE: usize = 28;

/// Mean and standard deviation of MNIST's pixels in [0, 1].
const PIXELS: (f64, f64) = (0.1307, 0.3081);

/// Classes.
pub(crate) const DIGITS: usize = 10;

/// The network.
#[derive(Module, Debug)]
pub(crate) struct Judge {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    norm1: BatchNorm,
    fc1: Linear,
    fc2: Linear,
    norm2: BatchNorm,
}

impl Judge {
    /// Reads its weights from a PyTorch or safetensors file.
    pub(crate) fn open(path: &Path, device: &Device) -> Result<Self, ModelError> {
        let convolution =
            |inputs, outputs| Conv2dConfig::new([inputs, outputs], [3, 3]).init(device);
        let left = SIZE - 6;
        let mut network = Self {
            conv1: convolution(1, 8),
            conv2: convolution(8, 16),
            conv3: convolution(16, 24),
            norm1: BatchNormConfig::new(24).init(device),
            fc1: LinearConfig::new(24 * left * left, 32).init(device),
            fc2: LinearConfig::new(32, DIGITS).init(device),
            norm2: BatchNormConfig::new(DIGITS).init(device),
        };
        load_checkpoint(&mut network, path)?;
        Ok(network)
    }

    /// The logarithms of the probabilities of the ten digits, `[batch, 10]`, for images in [0, 1], `[batch, 1, 28, 28]`.
    pub(crate) fn log_probabilities(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.fc2.forward(self.features(images));
        log_softmax(self.norm2.forward(x), 1)
    }

    /// The hidden layer, `[batch, 32]`.
    pub(crate) fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let (mean, std) = PIXELS;
        let x = images.sub_scalar(mean).div_scalar(std);
        let x = relu(self.conv1.forward(x));
        let x = relu(self.conv2.forward(x));
        let x = relu(self.conv3.forward(x));
        let x = self.norm1.forward(x).flatten::<2>(1, 3);
        relu(self.fc1.forward(x))
    }

    /// For each image the likeliest digit and its probability.
    pub(crate) fn verdicts(&self, images: &Tensor<4>) -> Vec<(usize, f64)> {
        let data = self.log_probabilities(images.clone()).exp().into_data();
        let probabilities: Vec<f64> = data.iter().collect();
        probabilities
            .chunks_exact(DIGITS)
            .map(|row| {
                let likeliest = (0..DIGITS).max_by(|&a, &b| row[a].total_cmp(&row[b]));
                let digit = likeliest.unwrap_or_default();
                (digit, row[digit])
            })
            .collect()
    }
}

/// Probability of the likeliest digit above which a sample counts.
pub(crate) const SURE: f64 = 0.5;

/// The share of verdicts that are sure, and its standard error.
pub(crate) fn sure(verdicts: &[(usize, f64)]) -> (f64, f64) {
    let count = verdicts.len() as f64;
    let sure = verdicts
        .iter()
        .filter(|(_, probability)| *probability > SURE);
    let share = sure.count() as f64 / count;
    (share, standard_error(share, count))
}

/// The standard error of a share of so many samples.
pub(crate) fn standard_error(share: f64, samples: f64) -> f64 {
    (share * (1.0 - share) / samples).sqrt()
}
