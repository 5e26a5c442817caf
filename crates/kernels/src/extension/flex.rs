//! The kernels on the tensors of the flex backend. What is of half precision is computed in single and rounded at the end.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape, bf16, f16};

use super::{Activation, Adjoints, Job, Kernels, cache};
use crate::attention::{self, Attention};
use crate::conv::{self, Packed, Pass};
use crate::norm::{self, GroupNorm};
use crate::{Level, elementwise, half};

/// The numbers of a contiguous tensor.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("made contiguous, of type f32")
}

fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    debug_assert_eq!(numbers.len(), shape.iter().product::<usize>());
    FlexTensor::new(
        Bytes::from_elems(numbers),
        Layout::contiguous(Shape::from(shape)),
        DType::F32,
    )
}

/// The same numbers from the first of a tensor's memory on, without a second handle to it.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The numbers as a tensor of the shape of `other`.
fn like(other: &FlexTensor, numbers: Vec<f32>) -> FlexTensor {
    typed(other, Bytes::from_elems(numbers), DType::F32)
}

/// The numbers, of type `dtype`, as a tensor of the shape of `other`.
fn typed(other: &FlexTensor, numbers: Bytes, dtype: DType) -> FlexTensor {
    let layout = Layout::contiguous(other.layout().shape().clone());
    FlexTensor::new(numbers, layout, dtype)
}

/// In single precision: as it is, or its numbers in new memory.
fn single(tensor: FlexTensor) -> FlexTensor {
    let level = Level::best();
    let numbers = match tensor.dtype() {
        DType::F16 => tensor
            .to_contiguous()
            .as_slice()
            .map(|x| half::widened::<f16>(level, x)),
        DType::BF16 => tensor
            .to_contiguous()
            .as_slice()
            .map(|x| half::widened::<bf16>(level, x)),
        _ => return tensor,
    };
    like(&tensor, numbers.expect("made contiguous, of this type"))
}

/// A contiguous result in single precision in the type `dtype`.
fn rounded(tensor: FlexTensor, dtype: DType) -> FlexTensor {
    let level = Level::best();
    let bytes = match dtype {
        DType::F16 => Bytes::from_elems(half::narrowed::<f16>(level, numbers(&tensor))),
        DType::BF16 => Bytes::from_elems(half::narrowed::<bf16>(level, numbers(&tensor))),
        _ => return tensor,
    };
    typed(&tensor, bytes, dtype)
}

/// `work` on `x` in single precision, with its result in the type of `x`.
fn in_single(x: FlexTensor, work: impl FnOnce(FlexTensor) -> FlexTensor) -> FlexTensor {
    let dtype = x.dtype();
    rounded(work(single(x)), dtype)
}

/// The shape of an image tensor.
fn dims(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape().dims()
}

impl Kernels for Flex {
    fn convolution(x: FlexTensor, weight: FlexTensor, job: Job) -> FlexTensor {
        in_single(x, |x| convolved(&x, &weight, None, job))
    }

    fn biased_convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        job: Job,
    ) -> FlexTensor {
        let bias = single(bias).to_contiguous();
        in_single(x, |x| convolved(&x, &weight, Some(numbers(&bias)), job))
    }

    fn group_norm(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: GroupNorm,
    ) -> FlexTensor {
        let [scale, shift] = [scale, shift].map(|tensor| single(tensor).to_contiguous());
        let (scale, shift) = (numbers(&scale), numbers(&shift));
        in_single(x, |x| {
            let mut x = contiguous(x);
            if x.is_unique() {
                norm::forward_in_place(Level::best(), &options, x.storage_mut(), scale, shift);
                return x;
            }
            let (y, _) = norm::forward(Level::best(), &options, numbers(&x), scale, shift);
            like(&x, y)
        })
    }

    fn self_attention(qkv: FlexTensor, options: Attention) -> FlexTensor {
        in_single(qkv, |qkv| {
            let qkv = qkv.to_contiguous();
            let y = attention::forward(Level::best(), &options, numbers(&qkv));
            tensor(y, [options.batch, options.channels, options.length])
        })
    }

    fn activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        let level = Level::best();
        in_single(x, |x| {
            let mut x = contiguous(x);
            if x.is_unique() {
                match activation {
                    Activation::Silu => elementwise::silu_in_place(level, x.storage_mut()),
                    Activation::Relu => elementwise::relu_in_place(level, x.storage_mut()),
                }
                return x;
            }
            let y = match activation {
                Activation::Silu => elementwise::silu(level, numbers(&x)),
                Activation::Relu => elementwise::relu(level, numbers(&x)),
            };
            like(&x, y)
        })
    }

    fn doubled(x: FlexTensor) -> FlexTensor {
        in_single(x, |x| {
            let x = x.to_contiguous();
            let [batch, channels, height, width] = dims(&x);
            let y = elementwise::double(Level::best(), [height, width], numbers(&x));
            tensor(y, [batch, channels, 2 * height, 2 * width])
        })
    }
}

fn convolved(x: &FlexTensor, weight: &FlexTensor, bias: Option<&[f32]>, job: Job) -> FlexTensor {
    let x = x.to_contiguous();
    let c = &job.convolution;
    let packed = packed(weight, job);
    if job.transposed {
        let y = conv::input_gradient(c, numbers(&x), &packed, bias);
        tensor(y, [c.batch, c.inputs, c.size[0], c.size[1]])
    } else {
        let [height, width] = c.output_size();
        let y = conv::forward(c, numbers(&x), &packed, bias);
        tensor(y, [c.batch, c.outputs, height, width])
    }
}

fn packed(weight: &FlexTensor, job: Job) -> Arc<Packed> {
    let (pass, c) = (job.pass(), &job.convolution);
    let algorithm = job.algorithm(pass);
    let pack = || {
        let weight = single(weight.clone()).to_contiguous();
        Packed::new(Level::best(), algorithm, pass, c, numbers(&weight))
    };
    if job.keep_packed && weight.is_contiguous() {
        let (memory, offset) = (weight.data_arc(), weight.layout().start_offset());
        cache::packed(&memory, offset, algorithm, pass, c, pack)
    } else {
        pack().into()
    }
}

impl Adjoints for Flex {
    fn weight_gradient(x: FlexTensor, gradient: FlexTensor, job: Job) -> FlexTensor {
        let dtype = gradient.dtype();
        let [x, gradient] = [x, gradient].map(|tensor| single(tensor).to_contiguous());
        // The transposed job maps `y` to `x`.
        let [x, y] = match job.transposed {
            false => [&x, &gradient],
            true => [&gradient, &x],
        };
        let c = &job.convolution;
        let algorithm = job.algorithm(Pass::WeightGradient);
        let dw = conv::weight_gradient(Level::best(), algorithm, c, numbers(x), numbers(y));
        let dw = tensor(dw, [c.outputs, c.inputs, c.kernel[0], c.kernel[1]]);
        rounded(dw, dtype)
    }

    fn bias_gradient(gradient: FlexTensor, per_image: bool) -> FlexTensor {
        in_single(gradient, |gradient| {
            let gradient = gradient.to_contiguous();
            let [batch, channels, ..] = dims(&gradient);
            let dy = numbers(&gradient);
            let sums = conv::bias_gradient(Level::best(), batch, channels, dy, per_image);
            tensor(sums, [if per_image { batch } else { 1 }, channels])
        })
    }

    fn group_norm_saving(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: GroupNorm,
    ) -> [FlexTensor; 2] {
        let dtype = x.dtype();
        let [x, scale, shift] = [x, scale, shift].map(|tensor| single(tensor).to_contiguous());
        let (scale, shift) = (numbers(&scale), numbers(&shift));
        let (y, saved) = norm::forward(Level::best(), &options, numbers(&x), scale, shift);
        let len = saved.len();
        [rounded(like(&x, y), dtype), tensor(saved, [len])]
    }

    fn group_norm_gradients(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        saved: FlexTensor,
        gradient: FlexTensor,
        options: GroupNorm,
    ) -> [FlexTensor; 3] {
        let [x_type, scale_type, shift_type] = [x.dtype(), scale.dtype(), shift.dtype()];
        let [x, scale, shift] = [x, scale, shift].map(|tensor| single(tensor).to_contiguous());
        // In its own memory, if nothing else holds the gradient.
        let mut gradient = contiguous(single(gradient));
        let [dscale, dshift] = norm::backward_in_place(
            Level::best(),
            &options,
            numbers(&x),
            numbers(&saved),
            numbers(&scale),
            numbers(&shift),
            gradient.storage_mut(),
        );
        [
            rounded(gradient, x_type),
            rounded(like(&scale, dscale), scale_type),
            rounded(like(&shift, dshift), shift_type),
        ]
    }

    fn self_attention_gradient(
        qkv: FlexTensor,
        gradient: FlexTensor,
        options: Attention,
    ) -> FlexTensor {
        let gradient = single(gradient).to_contiguous();
        in_single(qkv, |qkv| {
            let qkv = qkv.to_contiguous();
            let dy = numbers(&gradient);
            let dx = attention::backward(Level::best(), &options, numbers(&qkv), dy);
            like(&qkv, dx)
        })
    }

    fn activation_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let gradient = single(gradient).to_contiguous();
        let derivative = match activation {
            Activation::Silu => elementwise::silu_gradient,
            Activation::Relu => elementwise::relu_gradient,
        };
        in_single(x, |x| {
            let x = x.to_contiguous();
            let dx = derivative(Level::best(), numbers(&gradient), numbers(&x));
            like(&x, dx)
        })
    }

    fn doubled_gradient(gradient: FlexTensor) -> FlexTensor {
        in_single(gradient, |gradient| {
            let gradient = gradient.to_contiguous();
            let [batch, channels, height, width] = dims(&gradient);
            let size = [height / 2, width / 2];
            let dx = elementwise::double_gradient(Level::best(), size, numbers(&gradient));
            tensor(dx, [batch, channels, size[0], size[1]])
        })
    }
}
