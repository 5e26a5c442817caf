//! Group normalisation with a modulation per image.
//!
//! `y = (x - mean)/sqrt(var + eps) gamma + beta` over groups of channels (Wu & He 2018, eqs. 1-6,
//! <https://arxiv.org/abs/1803.08494>), then `silu(y (1 + w) + b)`. The two affine maps are made one before they meet the
//! image.

use burn::{
    nn::{GroupNorm, GroupNormConfig},
    tensor::{Device, Tensor},
};

use super::UNetConfig;

pub(crate) fn group_norm(config: &UNetConfig, channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(config.groups, channels)
        .with_epsilon(config.norm_epsilon)
        .init(device)
}

/// The layer `norm` applied to `x`, `[batch, channels, height, width]`, then the modulation by `w` and `b`, which `told`,
/// `[batch, 2 channels]`, holds in this order, then SiLU.
pub(super) fn modulated(norm: &GroupNorm, x: Tensor<4>, told: Tensor<2>) -> Tensor<4> {
    let channels = norm.num_channels;
    let [gamma, beta] = [&norm.gamma, &norm.beta].map(|parameter| {
        let parameter = parameter.as_ref().expect("made with an affine map");
        parameter.val().unsqueeze::<2>()
    });
    // In half precision the norm is of single precision still.
    let told = told.cast(gamma.dtype());
    let scale = told.clone().narrow(1, 0, channels).add_scalar(1.0);
    let shift = beta * scale.clone() + told.narrow(1, channels, channels);
    let (groups, epsilon) = (norm.num_groups, norm.epsilon);
    tweedie_kernels::group_norm(x, groups, epsilon, gamma * scale, shift, true)
}
