//! The noise label as a vector.
//!
//! `ncsn`: `e_k = sin(2 pi f_k c)` and `e_{n+k} = cos(2 pi f_k c)` with frequencies `f_k` that were drawn once and belong to the
//! network (Song et al. 2021, appendix C.1, <https://arxiv.org/abs/2011.13456>). `ddpm`: the [`sinusoidal_embedding`]. Two linear
//! layers follow, each with a SiLU.

use std::f64::consts::TAU;

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Tensor, activation::silu},
};

use super::{NcsnppConfig, NcsnppKind};
use crate::{init::Init, sinusoidal_embedding};

/// Standard deviation of the frequencies.
const SCALE: f64 = 16.0;

#[derive(Module, Debug)]
pub(super) struct NoiseEmbedding {
    /// In periods per unit of the label; constants, which training leaves alone.
    freqs: Option<Param<Tensor<1>>>,
    first: Linear,
    second: Linear,
    width: usize,
}

impl NoiseEmbedding {
    /// Length of the result.
    pub(super) fn outputs(config: &NcsnppConfig) -> usize {
        4 * config.base_channels
    }

    pub(super) fn new(config: &NcsnppConfig, init: &mut Init) -> Self {
        let outputs = Self::outputs(config);
        let (freqs, width) = match config.kind {
            NcsnppKind::Ncsn => {
                let freqs = init.normal_constants(config.base_channels, SCALE);
                (Some(freqs), 2 * config.base_channels)
            }
            NcsnppKind::Ddpm => (None, config.base_channels),
        };
        Self {
            freqs,
            first: init.linear(width, outputs),
            second: init.linear(outputs, outputs),
            width,
        }
    }

    /// `[batch]` to `[batch, outputs]`.
    pub(super) fn forward(&self, labels: Tensor<1>) -> Tensor<2> {
        let embedding = match &self.freqs {
            Some(freqs) => fourier(labels, freqs.val()),
            None => sinusoidal_embedding(labels, self.width),
        };
        let embedding = embedding.cast(self.first.weight.val().dtype());
        silu(self.second.forward(silu(self.first.forward(embedding))))
    }
}

/// The sines, then the cosines, of `labels` times the frequencies.
fn fourier(labels: Tensor<1>, freqs: Tensor<1>) -> Tensor<2> {
    let freqs = freqs.cast(labels.dtype()).unsqueeze::<2>();
    let periods = labels.unsqueeze_dim::<2>(1) * freqs;
    // Whole periods are taken off: not every device has a sine for large angles.
    let angles = (periods.clone() - periods.floor()).mul_scalar(TAU);
    Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1)
}
