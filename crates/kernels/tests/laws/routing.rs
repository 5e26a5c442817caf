//! The kernels compute what they are for, and burn's own operations the rest: tensors of other types and sizes, other options,
//! other modes. What is refused is what burn refuses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Tensor, activation, module};
use tweedie_kernels::conv::{self, Algorithm, Convolution, Packed, Pass};
use tweedie_kernels::{self as kernels, Level, Mode, set_mode};
use tweedie_testkit::{device, values};

use crate::layers::{assert_close, normal, odd, with_gradients};

/// Shape and numbers, or none where it panics.
fn outcome<const D: usize>(work: impl FnOnce() -> Tensor<D>) -> Option<(Vec<usize>, Vec<f64>)> {
    let work = || {
        let y = work();
        (y.dims().to_vec(), values(&y))
    };
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// That two functions refuse the same, and what they return is close.
#[track_caller]
fn assert_alike<const D: usize>(
    ours: impl FnOnce() -> Tensor<D>,
    burns: impl FnOnce() -> Tensor<D>,
    what: &str,
) {
    let (found, expected) = (outcome(ours), outcome(burns));
    let dims = |outcome: &Option<(Vec<usize>, Vec<f64>)>| outcome.as_ref().map(|o| o.0.clone());
    assert_eq!(dims(&found), dims(&expected), "{what}");
    for (found, expected) in found.iter().zip(&expected) {
        let size = expected.1.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        for (found, expected) in found.1.iter().zip(&expected.1) {
            let close = (found - expected).abs() <= 1e-5 * size;
            assert!(
                close || found.is_nan() && expected.is_nan(),
                "{what}: {found} for {expected}"
            );
        }
    }
}

/// A convolution without dilation and groups, with as many zeros on each side.
fn plain(stride: usize, padding: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1)
}

/// Bias of the same form as that of the layers, added by burn.
fn added(bias: &Tensor<2>) -> Tensor<4> {
    bias.clone().unsqueeze_dims(&[2, 3])
}

#[test]
fn groups_and_dilation_are_burns() {
    for (groups, dilation) in [(2, [1, 1]), (1, [2, 1]), (1, [1, 2]), (2, [2, 2])] {
        let options = ConvOptions::new([1, 2], [1, 0], dilation, groups);
        let (x, w) = (normal([3, 4, 9, 8], 1), normal([6, 4 / groups, 3, 3], 2));
        for rows in [1, 3] {
            let bias = normal([rows, 6, 1, 1], 3).reshape([rows, 6]);
            let ours =
                || kernels::conv2d(x.clone(), w.clone(), Some(bias.clone()), options.clone());
            let burns =
                || module::conv2d(x.clone(), w.clone(), None, options.clone()) + added(&bias);
            assert_alike(ours, burns, &format!("{options:?}, {rows} rows of bias"));
        }
        let options = ConvTransposeOptions::new([2, 1], [1, 0], [1, 0], dilation, groups);
        let w = normal([4, 6 / groups, 3, 3], 4);
        for rows in [1, 3] {
            let bias = normal([rows, 6, 1, 1], 5).reshape([rows, 6]);
            let ours = || {
                let bias = Some(bias.clone());
                kernels::conv_transpose2d(x.clone(), w.clone(), bias, options.clone())
            };
            let burns = || {
                module::conv_transpose2d(x.clone(), w.clone(), None, options.clone()) + added(&bias)
            };
            assert_alike(ours, burns, &format!("{options:?}, {rows} rows of bias"));
        }
    }
}

/// Padding of the result that no convolution of that stride drops, or none at all.
#[test]
fn any_padding_of_a_transposed_convolution_is_burns() {
    for stride in 1..=3 {
        for padding in 0..=3 {
            for out in 0..=3 {
                let x = normal([2, 3, 4, 5], 6);
                let w = normal([3, 2, 3, 2], 7);
                let options = ConvTransposeOptions::new(
                    [stride, stride],
                    [padding, padding / 2],
                    [out, 0],
                    [1, 1],
                    1,
                );
                let ours =
                    || kernels::conv_transpose2d(x.clone(), w.clone(), None, options.clone());
                let burns =
                    || module::conv_transpose2d(x.clone(), w.clone(), None, options.clone());
                assert_alike(ours, burns, &format!("{options:?}"));
            }
        }
    }
}

/// No images, no channels, no pixels, one pixel: what burn makes of them.
#[test]
fn empty_and_smallest_images_are_burns() {
    let sizes = [
        [0, 3, 4, 5],
        [2, 0, 4, 5],
        [2, 3, 0, 5],
        [2, 3, 4, 0],
        [2, 3, 1, 1],
        [1, 1, 1, 1],
        [2, 3, 2, 1],
    ];
    for shape in sizes {
        let x = Tensor::<4>::ones(shape, &device()).mul_scalar(0.5);
        let what = format!("{shape:?}");
        for (outputs, kernel, stride, padding) in [
            (4, 3, 1, 1),
            (4, 1, 1, 0),
            (4, 3, 2, 1),
            (0, 3, 1, 1),
            (4, 0, 1, 0),
            (4, 3, 1, 0),
        ] {
            let options = plain(stride, padding);
            let ones = |shape: [usize; 4]| Tensor::<4>::ones(shape, &device());
            let w = ones([outputs, shape[1], kernel, kernel]);
            let what = format!("{what}, {outputs} outputs, a kernel of {kernel}, {options:?}");
            assert_alike(
                || kernels::conv2d(x.clone(), w.clone(), None, options.clone()),
                || module::conv2d(x.clone(), w.clone(), None, options.clone()),
                &what,
            );
            let w = ones([shape[1], outputs, kernel, kernel]);
            let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [0, 0], [1, 1], 1);
            assert_alike(
                || kernels::conv_transpose2d(x.clone(), w.clone(), None, options.clone()),
                || module::conv_transpose2d(x.clone(), w.clone(), None, options.clone()),
                &what,
            );
        }
        // In double precision the same functions take burn's own operations.
        type Function = fn(Tensor<4>) -> Tensor<4>;
        let all: [(&str, Function); 5] = [
            ("silu", kernels::silu),
            ("relu", kernels::relu),
            ("doubled", kernels::doubled),
            ("norm", |x| {
                let map = |x: &Tensor<4>| Tensor::ones([1, x.dims()[1]], (&device(), x.dtype()));
                let (scale, shift) = (map(&x), map(&x));
                kernels::group_norm(x, 1, 1e-3, scale, shift, true)
            }),
            ("attention", |x| {
                let [batch, channels, height, width] = x.dims();
                let qkv = x.repeat_dim(1, 3);
                let qkv = qkv.reshape([batch, 3 * channels, height * width]);
                kernels::attention(qkv, 1).reshape([batch, channels, height, width])
            }),
        ];
        for (name, function) in all {
            let what = format!("{name} of {what}");
            let double = x.clone().cast(DType::F64);
            let ours = || function(x.clone());
            assert_alike(ours, || function(double).cast(DType::F32), &what);
        }
    }
}

/// One type of tensor beside another is no matter of the kernels.
#[test]
fn types_that_do_not_agree_are_refused_as_by_burn() {
    let message = |work: &dyn Fn() -> Tensor<4>| {
        let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("two types");
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
    };
    let (x, w) = (normal([2, 3, 6, 6], 8), normal([4, 3, 3, 3], 9));
    let double = |tensor: &Tensor<4>| tensor.clone().cast(DType::F64);
    for (x, w) in [(x.clone(), double(&w)), (double(&x), w.clone())] {
        let ours = message(&|| kernels::conv2d(x.clone(), w.clone(), None, plain(1, 1)));
        let burns = message(&|| module::conv2d(x.clone(), w.clone(), None, plain(1, 1)));
        assert!(ours.is_some());
        assert_eq!(ours, burns);
    }
}

/// The gradient of a bias has its shape: one row for all images, or one for each.
#[test]
#[expect(clippy::disallowed_methods, reason = "what is tested is the tape")]
fn the_gradient_of_a_bias_is_of_its_shape() {
    let (x, w) = (normal([3, 4, 6, 7], 31), normal([8, 4, 3, 3], 32));
    for rows in [1, 3] {
        let zeros = Tensor::<2>::zeros([rows, 8], &device());
        let bias = zeros.autodiff().require_grad();
        let y = kernels::conv2d(
            x.clone().autodiff(),
            w.clone().autodiff(),
            Some(bias.clone()),
            plain(1, 1),
        );
        let gradient = bias.grad(&y.sum().backward()).unwrap();
        // Each image adds one for each pixel.
        let expected = Tensor::<2>::full([rows, 8], 42 * 3 / rows, &device());
        gradient.into_data().assert_eq(&expected.into_data(), true);
    }
}

/// Memory that is one number for many pixels, images or weights.
#[test]
fn expanded_tensors_are_what_they_say() {
    let x = normal([1, 6, 1, 4], 10).expand([3, 6, 5, 4]);
    let w = normal([1, 6, 3, 1], 11).expand([8, 6, 3, 3]);
    let bias = normal([1, 1, 1, 1], 12).reshape([1, 1]).expand([3, 8]);
    let y = kernels::conv2d(x.clone(), w.clone(), Some(bias.clone()), plain(1, 1));
    let expected = module::conv2d(x.clone(), w.clone(), None, plain(1, 1)) + added(&bias);
    assert_close(y, expected, "a convolution");
    let both = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
    let w = normal([1, 8, 1, 2], 13).expand([6, 8, 2, 2]);
    let y = kernels::conv_transpose2d(x.clone(), w.clone(), None, both.clone());
    let expected = module::conv_transpose2d(x.clone(), w, None, both);
    assert_close(y, expected, "a transposed convolution");
    let map = || normal([1, 1, 1, 1], 14).reshape([1, 1]).expand([3, 6]);
    let norm =
        |x: Tensor<4>, map: Tensor<2>| kernels::group_norm(x, 2, 1e-3, map.clone(), map, true);
    let expected = norm(x.clone().cast(DType::F64), map().cast(DType::F64));
    assert_close(norm(x.clone(), map()), expected.cast(DType::F32), "a norm");
    let attention = |x: Tensor<4>| kernels::attention(x.reshape([3, 6, 20]), 2);
    let expected = attention(x.clone().cast(DType::F64));
    assert_close(attention(x.clone()), expected.cast(DType::F32), "attention");
    let expected = activation::silu(x.clone());
    assert_close(kernels::silu(x), expected, "an activation");
}

/// A gradient that comes in memory of another order, or shared with that of others.
#[test]
fn gradients_may_lie_in_any_memory() {
    type Function = fn(Tensor<4>) -> Tensor<4>;
    let all: [(&str, Function); 6] = [
        ("conv2d", |x| {
            let w = normal([9, 6, 3, 3], 15).cast(x.dtype());
            kernels::conv2d(x, w, None, plain(1, 1))
        }),
        ("conv_transpose2d", |x| {
            let w = normal([6, 9, 2, 2], 16).cast(x.dtype());
            let twice = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
            kernels::conv_transpose2d(x, w, None, twice)
        }),
        ("group_norm", |x| {
            let map = || normal([1, 6, 1, 1], 17).reshape([1, 6]).cast(x.dtype());
            kernels::group_norm(x.clone(), 2, 1e-3, map(), map(), true)
        }),
        ("attention", |x| {
            let [batch, channels, height, width] = x.dims();
            kernels::attention(x.reshape([batch, channels, height * width]), 1).reshape([
                batch,
                channels / 3,
                height,
                width,
            ])
        }),
        ("silu", kernels::silu),
        ("doubled", kernels::doubled),
    ];
    let views: [(&str, Function); 4] = [
        ("turned", |y| y.swap_dims(2, 3)),
        ("reversed", |y| y.flip([1, 3])),
        ("a part", |y| {
            let [_, channels, ..] = y.dims();
            y.narrow(1, 1, channels - 1)
        }),
        ("a sum", |y| y.sum_dim(3)),
    ];
    for (name, function) in all {
        for (view_name, view) in views {
            let x = odd([2, 6, 8, 7], 1, 18);
            let what = format!("{view_name} of {name}");
            // The second input has the gradient of the result itself, which must stay as it is.
            let run = |[x, other]: [Tensor<4>; 2]| view(function(x) + other);
            let other = normal(function(x.clone()).dims(), 19);
            let found = with_gradients([x.clone(), other.clone()], run);
            let double = [x, other].map(|tensor| tensor.cast(DType::F64));
            let expected = with_gradients(double, run);
            for (found, expected) in found.into_iter().zip(expected) {
                assert_close(found, expected.cast(DType::F32), &what);
            }
        }
    }
}

/// Any part of the inputs may be tracked, and that alone has gradients.
#[test]
fn each_input_may_be_the_only_tracked_one() {
    let inputs = [
        normal([3, 4, 6, 7], 20),
        normal([8, 4, 3, 3], 21),
        normal([3, 8, 1, 1], 22),
        normal([1, 8, 1, 1], 23),
    ];
    let run = |[x, w, per_image, shared]: [Tensor<4>; 4]| {
        let y = kernels::conv2d(x, w.clone(), Some(per_image.reshape([3, 8])), plain(1, 1));
        kernels::conv2d(
            y,
            w.swap_dims(0, 1),
            Some(shared.narrow(1, 0, 4).reshape([1, 4])),
            plain(2, 1),
        )
    };
    let double = inputs.clone().map(|input| input.cast(DType::F64));
    let expected = with_gradients(double, run);
    for tracked in 0..inputs.len() {
        let found = with_gradients([inputs[tracked].clone()], |[leaf]| {
            let mut all = inputs.clone();
            all[tracked] = leaf;
            run(all)
        });
        let same = [0, tracked + 1].map(|at| expected[at].clone().cast(DType::F32));
        for (found, expected) in found.into_iter().zip(same) {
            assert_close(found, expected, &format!("input {tracked}"));
        }
    }
}

/// The memory of an input is written to only if nothing else holds it.
#[test]
fn inputs_that_others_hold_stay() {
    for kind in 0..4 {
        let x = odd([2, 6, 5, 4], kind, 24);
        let before = values(&x);
        let map = || Tensor::ones([1, 6], &device());
        let all = [
            kernels::silu(x.clone()),
            kernels::relu(x.clone()),
            kernels::group_norm(x.clone(), 3, 1e-3, map(), map(), false),
        ];
        assert_eq!(values(&x), before, "memory {kind}");
        for y in all {
            assert_ne!(values(&y), before);
        }
    }
}

/// Weights that are parts of one tensor, or the same memory read in another order.
#[test]
fn weights_are_told_apart_within_one_memory() {
    let all = normal([48, 16, 3, 3], 25);
    let square = all.clone().narrow(0, 16, 16);
    let weights = [
        all.clone().narrow(0, 0, 16),
        square.clone(),
        square.clone().swap_dims(0, 1),
        square.clone().swap_dims(2, 3),
        square.clone().flip([2, 3]),
        square.reshape([16, 16, 3, 3]),
        all.clone().narrow(0, 32, 16),
    ];
    let x = normal([1, 16, 12, 12], 26);
    for _ in 0..2 {
        for (at, w) in weights.iter().enumerate() {
            let y = kernels::conv2d(x.clone(), w.clone(), None, plain(1, 1));
            let expected = module::conv2d(x.clone(), w.clone(), None, plain(1, 1));
            assert_close(y, expected, &format!("weights {at}"));
        }
    }
}

fn convolution(batch: usize, [inputs, outputs]: [usize; 2], size: usize) -> Convolution {
    Convolution {
        batch,
        inputs,
        outputs,
        size: [size, size],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [[1, 1], [1, 1]],
    }
}

/// An image would otherwise depend on its batch.
#[test]
fn the_algorithm_for_an_image_does_not_depend_on_its_batch() {
    for pass in [Pass::Forward, Pass::InputGradient] {
        for channels in [4, 7, 8, 64, 96, 128, 260, 512] {
            for size in [1, 3, 4, 5, 8, 9, 16, 32] {
                for outputs in [channels, 8, 3] {
                    let choice = |batch: usize| {
                        Algorithm::fastest(&convolution(batch, [channels, outputs], size), pass)
                    };
                    for batch in [2, 3, 8, 64] {
                        assert_eq!(choice(1), choice(batch), "{channels} channels of {size}");
                    }
                }
            }
        }
    }
}

/// `y`, `dx` and `dw` of the layer, and those of an algorithm for each.
fn passes(size: usize, w: &Tensor<4>, algorithms: [Algorithm; 3]) -> [[Vec<f32>; 3]; 2] {
    let [outputs, inputs, ..] = w.dims();
    let c = convolution(1, [inputs, outputs], size);
    let x = normal([1, inputs, size, size], 27);
    let run = |[x, w]: [Tensor<4>; 2]| kernels::conv2d(x, w, None, plain(1, 1));
    let found = with_gradients([x.clone(), w.clone()], run);
    let numbers = |tensor: &Tensor<4>| tensor.to_data().try_to_vec::<f32>().unwrap();
    // Weights without a tape are packed once, for both.
    let frozen = run([x.clone(), w.clone()]);
    assert!(numbers(&frozen) == numbers(&found[0]), "frozen weights");
    let count = c.output_len();
    // The gradient is that of `with_gradients`.
    let ones = Tensor::<4>::zeros([1, outputs, size, size], &device());
    let dy = numbers(&with_gradients([ones], |[y]| y)[1]);
    assert_eq!(dy.len(), count);
    let [forward, input, weight] = algorithms;
    let (x, w) = (numbers(&x), numbers(w));
    let packed = |algorithm, pass| Packed::new(Level::best(), algorithm, pass, &c, &w);
    let expected = [
        conv::forward(&c, &x, &packed(forward, Pass::Forward), None),
        conv::input_gradient(&c, &dy, &packed(input, Pass::InputGradient), None),
        conv::weight_gradient(Level::best(), weight, &c, &x, &dy),
    ];
    [[&found[0], &found[1], &found[2]].map(numbers), expected]
}

/// To the bit, also where the weights were packed before for another size.
#[test]
fn each_pass_runs_the_fastest_algorithm_for_it() {
    let w = normal([96, 96, 3, 3], 28);
    let mut seen = Vec::new();
    for size in [16, 4, 8, 16, 4] {
        let c = convolution(1, [96, 96], size);
        let algorithms = [Pass::Forward, Pass::InputGradient, Pass::WeightGradient]
            .map(|pass| Algorithm::fastest(&c, pass));
        let [found, expected] = passes(size, &w, algorithms);
        assert!(found == expected, "{algorithms:?} for images of {size}");
        seen.push(algorithms);
    }
    let other = |at: usize| seen.iter().any(|all| all[0] != all[at]);
    assert!(seen.iter().any(|all| all[0] != seen[0][0]) && other(2));
}

const OWN_PROCESS: &str = "TWEEDIE_KERNELS_OWN_PROCESS";

/// Whether this is the process of this test alone, which one that sets the mode needs; if not, that process is run.
pub(crate) fn is_alone(test: &str) -> bool {
    if std::env::var_os(OWN_PROCESS).is_some() {
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let test = ["--exact", test, "--nocapture"];
    let child = Command::new(this).args(test).env(OWN_PROCESS, "1").output();
    let child = child.unwrap();
    let says = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(
        child.status.success() && says.contains("1 passed"),
        "{says}"
    );
    false
}

#[test]
fn the_mode_is_obeyed() {
    if !is_alone("routing::the_mode_is_obeyed") {
        return;
    }
    let (x, w) = (normal([1, 32, 16, 16], 29), normal([32, 32, 3, 3], 30));
    let run = |mode: Mode| {
        set_mode(mode);
        assert_eq!(kernels::mode(), mode);
        let y = kernels::conv2d(x.clone(), w.clone(), None, plain(1, 1));
        [y, kernels::silu(x.clone())].map(|y| values(&y))
    };
    let burns = [
        module::conv2d(x.clone(), w.clone(), None, plain(1, 1)),
        activation::silu(x.clone()),
    ];
    assert_eq!(run(Mode::Off), burns.map(|y| values(&y)));
    for (mode, algorithm) in [
        (Mode::Strict, Algorithm::Direct),
        (Mode::Fast, Algorithm::Winograd),
        (Mode::Strict, Algorithm::Direct),
    ] {
        let [y, z] = run(mode);
        set_mode(mode);
        let [found, expected] = passes(16, &w, [algorithm; 3]);
        assert!(found == expected, "{mode:?}");
        assert_ne!(run(Mode::Off), [y, z], "{mode:?}");
    }
}
