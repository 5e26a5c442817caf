//! Group normalisation of tensors.

use burn::tensor::{DType, Tensor, activation};

use super::{check_rows, half};
#[cfg(feature = "flex")]
use crate::extension;

/// Group normalisation, and an affine map: `y = (x - mean)/sqrt(var + epsilon) scale + shift`, then with `silu` also
/// `y/(1 + e^-y)`. Mean and variance are those of a group of channels of one image (Wu & He 2018, eqs. 1-6,
/// <https://arxiv.org/abs/1803.08494>); `scale` and `shift` hold a number for each channel, the same for all images,
/// `[1, channels]`, or one for each, `[batch, channels]`.
///
/// Where `x` is of half precision all is computed in single precision, whatever the type of the map, and the result is of the type of
/// `x`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_kernels::group_norm;
///
/// let device = Device::flex();
/// let x = Tensor::from_data([[[[1.0_f32, 3.0]], [[0.0, 0.0]]]], &device);
/// let (scale, shift) = (Tensor::ones([1, 2], &device), Tensor::zeros([1, 2], &device));
/// let y = group_norm(x, 2, 1e-12, scale, shift, false).slice([0..1, 0..1]);
/// y.into_data().assert_eq(&[[[[-1.0_f32, 1.0]]]].into(), true);
/// ```
///
/// # Panics
/// If the channels are no multiple of `groups`, or a shape is another.
pub fn group_norm(
    x: Tensor<4>,
    groups: usize,
    epsilon: f64,
    scale: Tensor<2>,
    shift: Tensor<2>,
    silu: bool,
) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    assert!(
        groups > 0 && channels % groups == 0,
        "{channels} channels in {groups} groups"
    );
    check_rows("scale", Some(&scale), batch, channels);
    check_rows("shift", Some(&shift), batch, channels);
    #[cfg(feature = "flex")]
    if height * width > 0 && extension::applies(&x, [&scale, &shift]) {
        let options = crate::norm::GroupNorm {
            batch,
            channels,
            pixels: height * width,
            groups,
            epsilon,
            silu,
        };
        return extension::group_norm(x, scale, shift, options);
    }
    if let Some(own) = half(x.dtype()) {
        let [scale, shift] = [scale, shift].map(|rows| rows.cast(DType::F32));
        return group_norm(x.cast(DType::F32), groups, epsilon, scale, shift, silu).cast(own);
    }
    let x = x.reshape([batch, groups, channels / groups * height * width]);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let precision = variance.add_scalar(epsilon).sqrt().recip();
    let per_group = [scale.dims()[0], groups, channels / groups];
    // One product over the image instead of two.
    let scale = (precision * scale.reshape(per_group)).reshape([batch, channels, 1, 1]);
    let shift = shift.unsqueeze_dims(&[2, 3]);
    let y = centred.reshape([batch, channels, height, width]) * scale + shift;
    if silu { activation::silu(y) } else { y }
}
