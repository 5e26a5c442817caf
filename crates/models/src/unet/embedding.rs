//! The noise label as a vector.
//!
//! `e_k = sin(w_k t)` and `e_{n+k} = cos(w_k t)` with `w_k = 10000^(-k/(n-1))`, `k = 0 .. n`: the positional encoding of Vaswani et
//! al. 2017, section 3.5, <https://arxiv.org/abs/1706.03762>, with the spacing of frequencies of Ho et al. 2020's networks,
//! followed by two linear layers. [`NoiseEmbedding`] has the other order and spacing that are in use.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, TensorData, activation::silu},
};

use super::NoiseEmbedding;
use crate::init::Init;

/// The sines, then the cosines, of `labels` times `width / 2` frequencies from 1 down to 1/10000 in geometric progression:
/// `[batch]` to `[batch, width]`.
///
/// # Panics
/// If `width` is odd or less than 4.
pub fn sinusoidal_embedding(labels: Tensor<1>, width: usize) -> Tensor<2> {
    embedded(labels, width, NoiseEmbedding::SinesFirst)
}

fn embedded(labels: Tensor<1>, width: usize, kind: NoiseEmbedding) -> Tensor<2> {
    assert!(
        width >= 4 && width.is_multiple_of(2),
        "the width must be even and at least 4, got {width}"
    );
    let half = width / 2;
    let intervals = match kind {
        NoiseEmbedding::SinesFirst => half - 1,
        NoiseEmbedding::CosinesFirst => half,
    };
    let frequencies: Vec<f64> = (0..half)
        .map(|k| 1e4_f64.powf(-(k as f64) / intervals as f64))
        .collect();
    let frequencies = Tensor::<2>::from_data(
        TensorData::new(frequencies, [1, half]),
        (&labels.device(), labels.dtype()),
    );
    let angles = labels.unsqueeze_dim::<2>(1) * frequencies;
    let (sines, cosines) = (angles.clone().sin(), angles.cos());
    let both = match kind {
        NoiseEmbedding::SinesFirst => vec![sines, cosines],
        NoiseEmbedding::CosinesFirst => vec![cosines, sines],
    };
    Tensor::cat(both, 1)
}

/// The embedding and its two layers, `[batch]` to `[batch, 4 width]`.
#[derive(Module, Debug)]
pub(crate) struct TimeEmbedding {
    first: Linear,
    second: Linear,
    width: usize,
    #[module(skip)]
    kind: NoiseEmbedding,
}

impl TimeEmbedding {
    /// Length of the result for an embedding of length `width`.
    pub(crate) fn outputs(width: usize) -> usize {
        4 * width
    }

    pub(crate) fn new(width: usize, kind: NoiseEmbedding, init: &mut Init) -> Self {
        let outputs = Self::outputs(width);
        Self {
            first: init.linear(width, outputs),
            second: init.linear(outputs, outputs),
            width,
            kind,
        }
    }

    /// `told`, `[batch, 4 width]`, is added to the embedding. Ends with the SiLU that each residual block begins with.
    pub(crate) fn forward(&self, labels: Tensor<1>, told: Option<Tensor<2>>) -> Tensor<2> {
        // Half precision would round a label of 999 by a quarter, so only what the layers take is cast.
        let embedding =
            embedded(labels, self.width, self.kind).cast(self.first.weight.val().dtype());
        let embedding = self.second.forward(silu(self.first.forward(embedding)));
        silu(match told {
            Some(told) => embedding.clone() + told.cast(embedding.dtype()),
            None => embedding,
        })
    }
}
