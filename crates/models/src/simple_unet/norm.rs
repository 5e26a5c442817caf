//! Batch normalisation, `y = (x - mean)/sqrt(var + epsilon) gamma + beta` for each channel (Ioffe & Szegedy 2015, algorithms 1
//! and 2, <https://arxiv.org/abs/1502.03167>).

use burn::{
    nn::BatchNorm,
    tensor::{DType, Tensor},
};

/// With the statistics of the batch where the layer is trained, which are also added to the running ones; else with those.
///
/// The layer is trained where its weights can have a gradient. Its own `forward` asks whether the image can, and so would use and
/// change statistics whenever an untrained image is differentiated through a network that was never made `valid`.
pub(super) fn batch_normalised(layer: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    if layer.gamma.val().device().is_autodiff() {
        return layer.forward(x);
    }
    let dtype = x.dtype();
    let wide = if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let [gamma, beta, mean, variance] = [
        layer.gamma.val(),
        layer.beta.val(),
        layer.running_mean.value(),
        layer.running_var.value(),
    ]
    .map(|statistic| statistic.cast(wide).reshape([1, -1, 1, 1]));
    let scale: Tensor<4> = gamma / variance.add_scalar(layer.epsilon).sqrt();
    let shift = beta - mean * scale.clone();
    (x.cast(wide) * scale + shift).cast(dtype)
}
