//! Functions of each pixel.

use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation, module};

#[cfg(feature = "flex")]
use crate::extension::{self, Activation};

/// `x/(1 + e^-x)` of each number (Elfwing et al. 2018, <https://arxiv.org/abs/1702.03118>).
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let zero = Tensor::<1>::zeros([1], &Device::flex());
/// assert_eq!(tweedie_kernels::silu(zero).into_scalar::<f32>(), 0.0);
/// ```
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if extension::applies(&x, []) {
        return extension::activation(x, Activation::Silu);
    }
    activation::silu(x)
}

/// `max(x, 0)` of each number; its derivative at 0 is 0.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<1>::from_data([-1.0_f32, 2.0], &Device::flex());
/// tweedie_kernels::relu(x).into_data().assert_eq(&[0.0_f32, 2.0].into(), true);
/// ```
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if extension::applies(&x, []) {
        return extension::activation(x, Activation::Relu);
    }
    activation::relu(x)
}

/// Each pixel of `x`, `[batch, channels, height, width]`, repeated in a square of 2 x 2.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::ones([1, 2, 3, 5], &Device::flex());
/// assert_eq!(tweedie_kernels::doubled(x).dims(), [1, 2, 6, 10]);
/// ```
///
/// # Panics
/// If an image has no pixels.
pub fn doubled(x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if x.shape().num_elements() > 0 && extension::applies(&x, []) {
        return extension::doubled(x);
    }
    let nearest = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
    module::interpolate(x, nearest)
}
