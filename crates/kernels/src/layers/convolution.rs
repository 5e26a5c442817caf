//! Convolutions and transposed convolutions of tensors.

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

use super::check_rows;

#[cfg(feature = "flex")]
use crate::extension::{self, Job};

/// The convolution of `x`, `[batch, inputs, height, width]`, with `weight`, `[outputs, inputs, rows, columns]`, plus `bias`, a
/// number for each channel: the same for all images, `[1, outputs]`, or one for each, `[batch, outputs]`.
///
/// ```
/// use burn::tensor::{Device, Tensor, ops::ConvOptions};
/// use tweedie_kernels::conv2d;
///
/// let device = Device::flex();
/// let x = Tensor::ones([1, 2, 5, 7], &device);
/// let weight = Tensor::ones([4, 2, 3, 3], &device);
/// let same = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
/// assert_eq!(conv2d(x, weight, None, same).dims(), [1, 4, 5, 7]);
/// ```
///
/// # Panics
/// As [`burn::tensor::module::conv2d`], and if the bias has another shape.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<2>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    check_rows("bias", bias.as_ref(), x.dims()[0], weight.dims()[0]);
    #[cfg(feature = "flex")]
    if let Some(convolution) = shape::of_convolution(&x, &weight, &options)
        && of_one_type(&x, &weight, bias.as_ref())
        && extension::applies(&x, bias.iter())
        && extension::applies(&weight, [])
    {
        return extension::convolution(x, weight, bias, Job::new(convolution, false));
    }
    let (shared, per_image) = split(bias);
    plus(module::conv2d(x, weight, shared, options), per_image)
}

/// The transposed convolution of `x`, `[batch, inputs, height, width]`, with `weight`, `[inputs, outputs, rows, columns]`, plus
/// `bias` as in [`conv2d`].
///
/// ```
/// use burn::tensor::{Device, Tensor, ops::ConvTransposeOptions};
/// use tweedie_kernels::conv_transpose2d;
///
/// let device = Device::flex();
/// let x = Tensor::ones([1, 4, 5, 7], &device);
/// let weight = Tensor::ones([4, 2, 2, 2], &device);
/// let doubling = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
/// assert_eq!(conv_transpose2d(x, weight, None, doubling).dims(), [1, 2, 10, 14]);
/// ```
///
/// # Panics
/// As [`burn::tensor::module::conv_transpose2d`], and if the bias has another shape.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<2>>,
    options: ConvTransposeOptions<2>,
) -> Tensor<4> {
    check_rows(
        "bias",
        bias.as_ref(),
        x.dims()[0],
        weight.dims()[1] * options.groups,
    );
    #[cfg(feature = "flex")]
    if let Some(convolution) = shape::of_transposed(&x, &weight, &options)
        && of_one_type(&x, &weight, bias.as_ref())
        && extension::applies(&x, bias.iter())
        && extension::applies(&weight, [])
    {
        return extension::convolution(x, weight, bias, Job::new(convolution, true));
    }
    let (shared, per_image) = split(bias);
    plus(
        module::conv_transpose2d(x, weight, shared, options),
        per_image,
    )
}

#[cfg(feature = "flex")]
fn of_one_type(x: &Tensor<4>, weight: &Tensor<4>, bias: Option<&Tensor<2>>) -> bool {
    let dtype = x.dtype();
    weight.dtype() == dtype && bias.is_none_or(|bias| bias.dtype() == dtype)
}

/// The bias that burn's convolutions add, and that which must be added to their result.
fn split(bias: Option<Tensor<2>>) -> (Option<Tensor<1>>, Option<Tensor<2>>) {
    match bias {
        Some(bias) if bias.dims()[0] == 1 => (Some(bias.squeeze_dim(0)), None),
        other => (None, other),
    }
}

fn plus(y: Tensor<4>, added: Option<Tensor<2>>) -> Tensor<4> {
    match added {
        Some(added) => y + added.unsqueeze_dims(&[2, 3]),
        None => y,
    }
}

/// The sizes of a convolution of tensors; none where it is one that only burn's own operations compute, or refuse.
#[cfg(feature = "flex")]
mod shape {
    use super::{ConvOptions, ConvTransposeOptions, Tensor};
    use crate::conv::Convolution;

    pub(super) fn of_convolution(
        x: &Tensor<4>,
        weight: &Tensor<4>,
        options: &ConvOptions<2>,
    ) -> Option<Convolution> {
        let [batch, inputs, height, width] = x.dims();
        let [outputs, weight_inputs, rows, columns] = weight.dims();
        let convolution = Convolution {
            batch,
            inputs,
            outputs,
            size: [height, width],
            kernel: [rows, columns],
            stride: options.stride,
            padding: options.padding.map(|(before, after)| [before, after]),
        };
        let plain = options.groups == 1 && options.dilation == [1, 1] && weight_inputs == inputs;
        (plain && exists(&convolution)).then_some(convolution)
    }

    /// That whose adjoint is computed: it maps the result to `x`.
    pub(super) fn of_transposed(
        x: &Tensor<4>,
        weight: &Tensor<4>,
        options: &ConvTransposeOptions<2>,
    ) -> Option<Convolution> {
        let [batch, inputs, height, width] = x.dims();
        let [weight_inputs, outputs, rows, columns] = weight.dims();
        let kernel = [rows, columns];
        let size = [0, 1].map(|axis| {
            let from = [height, width][axis];
            let full = (from.max(1) - 1) * options.stride[axis] + kernel[axis];
            (full + options.padding_out[axis]).checked_sub(2 * options.padding[axis])
        });
        let [Some(out_height), Some(out_width)] = size else {
            return None;
        };
        let convolution = Convolution {
            batch,
            inputs: outputs,
            outputs: inputs,
            size: [out_height, out_width],
            kernel,
            stride: options.stride,
            padding: options.padding.map(|p| [p, p]),
        };
        let plain = options.groups == 1 && options.dilation == [1, 1] && weight_inputs == inputs;
        let fits = plain && exists(&convolution) && convolution.output_size() == [height, width];
        fits.then_some(convolution)
    }

    /// Whether every size is at least 1, and the kernel no larger than the padded image.
    fn exists(c: &Convolution) -> bool {
        let sizes = [c.batch, c.inputs, c.outputs];
        let all = sizes
            .iter()
            .chain(&c.size)
            .chain(&c.kernel)
            .chain(&c.stride);
        let room = |axis: usize| c.size[axis] + c.padding[axis][0] + c.padding[axis][1];
        all.copied().all(|size| size > 0) && (0..2).all(|axis| room(axis) >= c.kernel[axis])
    }
}
