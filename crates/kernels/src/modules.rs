//! Burn's modules, run by the layers of this crate: the parameters stay where they are.

use burn::module::Param;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use crate::{conv_transpose2d, conv2d, group_norm};

/// What [`Conv2d::forward`] returns.
///
/// # Panics
/// As that.
pub fn convolved(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    convolved_with(layer, x, row(&layer.bias))
}

/// What [`Conv2d::forward`] returns, plus a number for each channel of each image, `[batch, channels]`.
///
/// # Panics
/// As that, and if `added` has another shape.
pub fn convolved_plus(layer: &Conv2d, x: Tensor<4>, added: Tensor<2>) -> Tensor<4> {
    let bias = match row(&layer.bias) {
        Some(bias) => added + bias,
        None => added,
    };
    convolved_with(layer, x, Some(bias))
}

/// The parameter as a matrix of one row.
fn row(parameter: &Option<Param<Tensor<1>>>) -> Option<Tensor<2>> {
    parameter
        .as_ref()
        .map(|parameter| parameter.val().unsqueeze())
}

fn convolved_with(layer: &Conv2d, x: Tensor<4>, bias: Option<Tensor<2>>) -> Tensor<4> {
    let [top, left, bottom, right] = padding(layer, x.dims());
    let options = ConvOptions::new_with_padding(
        layer.stride,
        [(top, bottom), (left, right)],
        layer.dilation,
        layer.groups,
    );
    conv2d(x, layer.weight.val(), bias, options)
}

/// Above, to the left, below and to the right.
fn padding(layer: &Conv2d, [_, _, height, width]: [usize; 4]) -> [usize; 4] {
    match layer.padding {
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [top, left, bottom, right],
        // As many zeros as keep `size/stride` pixels, the odd one at the end.
        PaddingConfig2d::Same => {
            let [vertical, horizontal] = [(0, height), (1, width)].map(|(axis, size)| {
                let (stride, kernel) = (layer.stride[axis], layer.kernel_size[axis]);
                let reach = (size.div_ceil(stride).max(1) - 1) * stride + kernel;
                let total = reach.saturating_sub(size);
                [total / 2, total - total / 2]
            });
            [vertical[0], horizontal[0], vertical[1], horizontal[1]]
        }
    }
}

/// What [`ConvTranspose2d::forward`] returns.
///
/// # Panics
/// As that.
pub fn transpose_convolved(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    let options = ConvTransposeOptions::new(
        layer.stride,
        layer.padding,
        layer.padding_out,
        layer.dilation,
        layer.groups,
    );
    conv_transpose2d(x, layer.weight.val(), row(&layer.bias), options)
}

/// What [`GroupNorm::forward`] returns, and with `silu` its [`silu`](burn::tensor::activation::silu).
///
/// # Panics
/// As that, and if the layer has no affine map.
pub fn normalised(layer: &GroupNorm, x: Tensor<4>, silu: bool) -> Tensor<4> {
    let [scale, shift] = [&layer.gamma, &layer.beta]
        .map(|parameter| row(parameter).expect("a layer with an affine map"));
    group_norm(x, layer.num_groups, layer.epsilon, scale, shift, silu)
}
