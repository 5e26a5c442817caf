//! The kernels on the tensors of the flex backend.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

use super::{Activation, Adjoints, Job, Kernels, cache};
use crate::attention::{self, Attention};
use crate::conv::{self, Packed, Pass};
use crate::norm::{self, GroupNorm};
use crate::{Level, elementwise};

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
    let layout = Layout::contiguous(other.layout().shape().clone());
    FlexTensor::new(Bytes::from_elems(numbers), layout, DType::F32)
}

/// The shape of an image tensor.
fn dims(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape().dims()
}

impl Kernels for Flex {
    fn convolution(x: FlexTensor, weight: FlexTensor, job: Job) -> FlexTensor {
        convolved(&x, &weight, None, job)
    }

    fn biased_convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        job: Job,
    ) -> FlexTensor {
        convolved(&x, &weight, Some(numbers(&bias.to_contiguous())), job)
    }

    fn group_norm(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: GroupNorm,
    ) -> FlexTensor {
        let mut x = contiguous(x);
        let (scale, shift) = (scale.to_contiguous(), shift.to_contiguous());
        let (scale, shift) = (numbers(&scale), numbers(&shift));
        if x.is_unique() {
            norm::forward_in_place(Level::best(), &options, x.storage_mut(), scale, shift);
            return x;
        }
        let (y, _) = norm::forward(Level::best(), &options, numbers(&x), scale, shift);
        like(&x, y)
    }

    fn self_attention(qkv: FlexTensor, options: Attention) -> FlexTensor {
        let qkv = qkv.to_contiguous();
        let y = attention::forward(Level::best(), &options, numbers(&qkv));
        tensor(y, [options.batch, options.channels, options.length])
    }

    fn activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        let level = Level::best();
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
    }

    fn doubled(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, channels, height, width] = dims(&x);
        let y = elementwise::double(Level::best(), [height, width], numbers(&x));
        tensor(y, [batch, channels, 2 * height, 2 * width])
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
        let weight = weight.to_contiguous();
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
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        // The transposed job maps `y` to `x`.
        let [x, y] = match job.transposed {
            false => [&x, &gradient],
            true => [&gradient, &x],
        };
        let c = &job.convolution;
        let algorithm = job.algorithm(Pass::WeightGradient);
        let dw = conv::weight_gradient(Level::best(), algorithm, c, numbers(x), numbers(y));
        tensor(dw, [c.outputs, c.inputs, c.kernel[0], c.kernel[1]])
    }

    fn bias_gradient(gradient: FlexTensor, per_image: bool) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let [batch, channels, ..] = dims(&gradient);
        let dy = numbers(&gradient);
        let sums = conv::bias_gradient(Level::best(), batch, channels, dy, per_image);
        tensor(sums, [if per_image { batch } else { 1 }, channels])
    }

    fn group_norm_saving(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: GroupNorm,
    ) -> [FlexTensor; 2] {
        let [x, scale, shift] = [x, scale, shift].map(|tensor| tensor.to_contiguous());
        let (scale, shift) = (numbers(&scale), numbers(&shift));
        let (y, saved) = norm::forward(Level::best(), &options, numbers(&x), scale, shift);
        let len = saved.len();
        [like(&x, y), tensor(saved, [len])]
    }

    fn group_norm_gradients(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        saved: FlexTensor,
        gradient: FlexTensor,
        options: GroupNorm,
    ) -> [FlexTensor; 3] {
        let [x, scale, shift] = [x, scale, shift].map(|tensor| tensor.to_contiguous());
        // In its own memory, if nothing else holds the gradient.
        let mut gradient = contiguous(gradient);
        let [dscale, dshift] = norm::backward_in_place(
            Level::best(),
            &options,
            numbers(&x),
            numbers(&saved),
            numbers(&scale),
            numbers(&shift),
            gradient.storage_mut(),
        );
        [gradient, like(&scale, dscale), like(&shift, dshift)]
    }

    fn self_attention_gradient(
        qkv: FlexTensor,
        gradient: FlexTensor,
        options: Attention,
    ) -> FlexTensor {
        let (qkv, gradient) = (qkv.to_contiguous(), gradient.to_contiguous());
        let dy = numbers(&gradient);
        like(
            &qkv,
            attention::backward(Level::best(), &options, numbers(&qkv), dy),
        )
    }

    fn activation_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        let derivative = match activation {
            Activation::Silu => elementwise::silu_gradient,
            Activation::Relu => elementwise::relu_gradient,
        };
        like(
            &x,
            derivative(Level::best(), numbers(&gradient), numbers(&x)),
        )
    }

    fn doubled_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let [batch, channels, height, width] = dims(&gradient);
        let size = [height / 2, width / 2];
        let dx = elementwise::double_gradient(Level::best(), size, numbers(&gradient));
        tensor(dx, [batch, channels, size[0], size[1]])
    }
}
