//! The layers on tensors equal burn's own operations, values and gradients, whatever the shape, the strides and the memory of
//! what they are given.

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Tensor, activation, module};
use rand::RngExt;
use tweedie_kernels as kernels;
use tweedie_testkit::{Rng, Stream, device, stream, values};

/// The largest relative error of a tensor, in the Euclidean norm.
const RELATIVE: f64 = 1e-5;

pub(crate) fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let [found, expected] = [&found, &expected].map(values);
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    assert!(
        error <= RELATIVE * size,
        "{what}: an error of {error:e} in {size:e}"
    );
}

/// The value of `f` at the inputs, and its gradients for a cotangent that is no constant.
#[expect(clippy::disallowed_methods, reason = "what is tested is the tape")]
pub(crate) fn with_gradients<const N: usize>(
    inputs: [Tensor<4>; N],
    f: impl Fn([Tensor<4>; N]) -> Tensor<4>,
) -> Vec<Tensor<4>> {
    let leaves = inputs.map(|input| input.autodiff().detach().require_grad());
    let y = f(leaves.clone());
    let count = y.shape().num_elements() as i64;
    let ramp = Tensor::<1, burn::tensor::Int>::arange(0..count, &device());
    // Of one sign, so that no sum cancels.
    let waves = ramp.float().mul_scalar(0.37).sin();
    let cotangent = waves.mul_scalar(0.5).add_scalar(1.0).reshape(y.dims());
    let cotangent = cotangent.cast(y.dtype());
    let gradients = (y.clone() * cotangent.autodiff()).sum().backward();
    let gradient = |leaf: &Tensor<4>| leaf.grad(&gradients).expect("it is tracked");
    let mut all = vec![y.without_autodiff()];
    all.extend(leaves.iter().map(gradient));
    all
}

pub(crate) fn normal(shape: [usize; 4], seed: u64) -> Tensor<4> {
    Rng::seeded(seed, &device()).normal(shape)
}

/// A tensor of this shape whose memory is not that of a fresh one: transposed, a part of a larger one, or turned round.
pub(crate) fn odd(shape: [usize; 4], kind: usize, seed: u64) -> Tensor<4> {
    let [a, b, c, d] = shape;
    match kind % 4 {
        0 => normal(shape, seed),
        1 => normal([a, b, d, c], seed).swap_dims(2, 3),
        2 => normal([a, b + 2, c, d + 3], seed).slice([0..a, 1..b + 1, 0..c, 2..d + 2]),
        _ => normal([b, a, c, d], seed).swap_dims(0, 1).flip([3]),
    }
}

fn pick(stream: &mut Stream, choices: &[usize]) -> usize {
    choices[stream.random_range(0..choices.len())]
}

#[test]
fn convolutions_equal_burns() {
    let mut s = stream(1, 0);
    for case in 0..60 {
        let kernel = pick(&mut s, &[1, 2, 3, 3, 3, 4, 5]);
        let stride = pick(&mut s, &[1, 1, 2, 3]);
        let pad = s.random_range(0..kernel);
        let [batch, inputs, outputs] =
            [&[1, 2, 5][..], &[1, 3, 8, 17, 32], &[1, 3, 16, 33]].map(|c| pick(&mut s, c));
        let [height, width] = [0, 1].map(|_| s.random_range(kernel.max(2)..20));
        let padding = [(pad, pad), (pad, pad / 2)];
        let options = ConvOptions::new_with_padding([stride; 2], padding, [1, 1], 1);
        let x = odd([batch, inputs, height, width], case, 2);
        let w = odd([outputs, inputs, kernel, kernel], case / 4, 3);
        let rows = if case % 2 == 0 { 1 } else { batch };
        let b = normal([rows, outputs, 1, 1], 4);
        let what = format!("{:?} * {:?}, {options:?}", x.dims(), w.dims());
        let found = with_gradients([x.clone(), w.clone(), b.clone()], |[x, w, b]| {
            kernels::conv2d(x, w, Some(b.reshape([rows, outputs])), options.clone())
        });
        let double = [x, w, b].map(|tensor| tensor.cast(DType::F64));
        let expected = with_gradients(double, |[x, w, b]| {
            module::conv2d(x, w, None, options.clone()) + b
        });
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(found, expected.cast(DType::F32), &what);
        }
    }
}

#[test]
fn transposed_convolutions_equal_burns() {
    let mut s = stream(2, 0);
    for case in 0..30 {
        let kernel = pick(&mut s, &[2, 2, 3, 4]);
        let stride = pick(&mut s, &[1, 2, 2]);
        let pad = s.random_range(0..kernel.div_ceil(2));
        let out = if stride > 1 { case % 2 } else { 0 };
        let options = ConvTransposeOptions::new([stride; 2], [pad; 2], [out; 2], [1, 1], 1);
        let [batch, inputs, outputs] =
            [&[1, 3][..], &[1, 4, 18], &[1, 3, 16]].map(|c| pick(&mut s, c));
        let [height, width] = [0, 1].map(|_| s.random_range(2..12));
        let x = odd([batch, inputs, height, width], case, 5);
        let w = odd([inputs, outputs, kernel, kernel], case / 4, 6);
        let b = normal([1, outputs, 1, 1], 7);
        let what = format!("{:?} * {:?}, {options:?}", x.dims(), w.dims());
        let found = with_gradients([x.clone(), w.clone(), b.clone()], |[x, w, b]| {
            kernels::conv_transpose2d(x, w, Some(b.reshape([1, outputs])), options.clone())
        });
        let double = [x, w, b].map(|tensor| tensor.cast(DType::F64));
        let expected = with_gradients(double, |[x, w, b]| {
            module::conv_transpose2d(x, w, None, options.clone()) + b
        });
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(found, expected.cast(DType::F32), &what);
        }
    }
}

#[test]
fn group_norms_equal_burns() {
    for (case, silu) in [false, true, false, true].into_iter().enumerate() {
        let (batch, channels, groups) = (3, 12, 4);
        let rows = if case < 2 { 1 } else { batch };
        let x = odd([batch, channels, 5, 7], case, 8).add_scalar(2.0);
        let maps = [9, 10].map(|seed| normal([rows, channels, 1, 1], seed));
        let found = with_gradients(
            [x.clone(), maps[0].clone(), maps[1].clone()],
            |[x, a, b]| {
                let [a, b] = [a, b].map(|map| map.reshape([rows, channels]));
                kernels::group_norm(x, groups, 1e-6, a, b, silu)
            },
        );
        let double = [x, maps[0].clone(), maps[1].clone()].map(|t| t.cast(DType::F64));
        let expected = with_gradients(double, |[x, a, b]| {
            let y = composed_norm(x, groups) * a + b;
            if silu { activation::silu(y) } else { y }
        });
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(found, expected.cast(DType::F32), &format!("case {case}"));
        }
    }
}

fn composed_norm(x: Tensor<4>, groups: usize) -> Tensor<4> {
    let dims = x.dims();
    let x = x.reshape([dims[0], groups, dims[1] / groups * dims[2] * dims[3]]);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    (centred / variance.add_scalar(1e-6).sqrt()).reshape(dims)
}

#[test]
fn attention_equals_burns() {
    for (case, heads) in [1, 2, 3, 4].into_iter().enumerate() {
        let (batch, width, length) = (2, 8, [5, 16, 49, 70][case]);
        let channels = heads * width;
        let qkv = odd([batch, 3 * channels, 1, length], case, 11);
        let run = |qkv: Tensor<4>| {
            kernels::attention(qkv.reshape([batch, 3 * channels, length]), heads)
                .reshape([batch, channels, 1, length])
        };
        // In double precision the same function takes burn's own operations.
        let found = with_gradients([qkv.clone()], |[qkv]| run(qkv));
        let expected = with_gradients([qkv.cast(DType::F64)], |[qkv]| run(qkv));
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(found, expected.cast(DType::F32), &format!("{heads} heads"));
        }
    }
}

#[test]
fn functions_of_a_pixel_equal_burns() {
    type Function = fn(Tensor<4>) -> Tensor<4>;
    let all: [(&str, Function); 3] = [
        ("silu", kernels::silu),
        ("relu", kernels::relu),
        ("doubled", kernels::doubled),
    ];
    for (name, function) in all {
        for kind in 0..4 {
            let x = odd([2, 3, 5, 6], kind, 12).mul_scalar(3.0);
            let found = with_gradients([x.clone()], |[x]| function(x));
            let expected = with_gradients([x.cast(DType::F64)], |[x]| function(x));
            for (found, expected) in found.into_iter().zip(expected) {
                assert_close(found, expected.cast(DType::F32), name);
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    for (channels, size) in [(8, 28), (64, 16), (64, 8), (32, 7), (16, 64)] {
        let x = normal([5, channels, size, size], 13);
        let w = normal([channels, channels, 3, 3], 14);
        let run = |x: Tensor<4>| {
            let same = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let y = kernels::silu(kernels::conv2d(x, w.clone(), None, same));
            let map = || Tensor::ones([1, channels], &device());
            let y = kernels::group_norm(y, 4, 1e-6, map(), map(), true);
            let batch = y.dims()[0];
            let qkv = kernels::conv2d(
                y,
                normal([3 * channels, channels, 1, 1], 15),
                None,
                ConvOptions::new([1, 1], [0, 0], [1, 1], 1),
            );
            kernels::attention(qkv.reshape([batch, 3 * channels, size * size]), 2)
        };
        let together = run(x.clone());
        for row in 0..5 {
            let alone = run(x.clone().narrow(0, row, 1));
            let among = together.clone().narrow(0, row, 1);
            alone.into_data().assert_eq(&among.into_data(), true);
        }
    }
}

#[test]
fn weights_that_change_are_packed_anew() {
    let same = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let x = normal([1, 32, 16, 16], 16);
    let mut w = normal([32, 32, 3, 3], 17);
    for _ in 0..3 {
        let y = kernels::conv2d(x.clone(), w.clone(), None, same());
        assert_close(
            y,
            module::conv2d(x.clone(), w.clone(), None, same()),
            "fresh weights",
        );
        // Nothing else holds `w`, so burn writes into its memory.
        w = w.mul_scalar(-1.5).add_scalar(0.01);
    }
}

#[test]
fn memory_that_is_used_again_is_packed_anew() {
    let same = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let x = normal([1, 16, 8, 8], 18);
    // A freed tensor's address is likely to be that of the next one.
    for seed in 0..20 {
        let w = normal([16, 16, 3, 3], seed);
        let y = kernels::conv2d(x.clone(), w.clone(), None, same());
        assert_close(
            y,
            module::conv2d(x.clone(), w, None, same()),
            "other weights",
        );
    }
}

#[test]
fn the_adjoint_of_a_frozen_layer_needs_no_gradient_of_its_weights() {
    let same = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let (x, w) = (normal([1, 4, 9, 9], 19), normal([6, 4, 3, 3], 20));
    let found = with_gradients([x.clone()], |[x]| {
        kernels::conv2d(x, w.clone(), None, same.clone())
    });
    let expected = with_gradients([x], |[x]| module::conv2d(x, w.clone(), None, same.clone()));
    for (found, expected) in found.into_iter().zip(expected) {
        assert_close(found, expected, "frozen weights");
    }
}

/// A shape that cannot be convolved is refused by burn's own check.
#[test]
fn shapes_that_do_not_fit_are_refused_as_by_burn() {
    let refusal = |channels: usize| {
        let x = normal([1, 3, 8, 8], 21);
        let w = normal([4, channels, 3, 3], 22);
        let same = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let message = |panic: Box<dyn std::any::Any + Send>| {
            panic.downcast_ref::<String>().cloned().unwrap_or_default()
        };
        let ours =
            std::panic::catch_unwind(|| kernels::conv2d(x.clone(), w.clone(), None, same.clone()));
        let burns =
            std::panic::catch_unwind(|| module::conv2d(x.clone(), w.clone(), None, same.clone()));
        [ours, burns].map(|result| result.map(|y| y.dims()).map_err(message))
    };
    let [ours, burns] = refusal(2);
    assert!(ours.is_err());
    assert_eq!(ours, burns);
    let [ours, burns] = refusal(3);
    assert!(ours.is_ok() && burns.is_ok());
}

#[test]
#[should_panic(expected = "a bias of shape [2, 4] for 1 images of 4 channels")]
fn a_bias_of_another_batch_is_refused() {
    let (x, w) = (normal([1, 3, 8, 8], 23), normal([4, 3, 3, 3], 24));
    let same = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let bias = Tensor::zeros([2, 4], &device());
    kernels::conv2d(x, w, Some(bias), same);
}
