//! Half precision: conversions are exact or to the nearest number, layers compute in single precision and round once.

use burn::nn::conv::Conv2dConfig;
use burn::nn::{GroupNormConfig, PaddingConfig2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Tensor, bf16, f16};
use tweedie_kernels::half::{Half, narrowed, widened};
use tweedie_kernels::{self as kernels, Level, Mode, set_mode};
use tweedie_testkit::{device, values};

use crate::layers::{normal, with_gradients};
use crate::routing::is_alone;

/// The two types, and the relative error of a rounding.
const TYPES: [(DType, f64); 2] = [(DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)];

/// All numbers of 16 bits.
fn all() -> impl Iterator<Item = u16> {
    0..=u16::MAX
}

/// Equal bit for bit, but that no number is any other.
fn assert_same(found: f32, expected: f32, what: &str) {
    let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
    assert!(same, "{what}: {found:e} for {expected:e}");
}

#[test]
fn every_number_is_widened_exactly() {
    for &level in Level::available() {
        let numbers: Vec<f16> = all().map(f16::from_bits).collect();
        for (found, x) in widened(level, &numbers).into_iter().zip(numbers) {
            assert_same(found, x.to_f32(), &format!("{level:?}, {:#x}", x.to_bits()));
        }
        let numbers: Vec<bf16> = all().map(bf16::from_bits).collect();
        for (found, x) in widened(level, &numbers).into_iter().zip(numbers) {
            assert_same(found, x.to_f32(), &format!("{level:?}, {:#x}", x.to_bits()));
        }
    }
}

/// Each number of half precision, what is halfway to the next, and what lies beside both.
fn hard(numbers: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut numbers: Vec<f32> = numbers.filter(|x| x.is_finite()).collect();
    numbers.sort_by(f32::total_cmp);
    let halfway = numbers
        .windows(2)
        .map(|pair| f32::midpoint(pair[0], pair[1]));
    let mut all: Vec<f32> = numbers.iter().copied().chain(halfway).collect();
    let beside =
        |step: fn(f32) -> f32, all: &[f32]| all.iter().copied().map(step).collect::<Vec<_>>();
    let (above, below) = (beside(f32::next_up, &all), beside(f32::next_down, &all));
    all.extend(above);
    all.extend(below);
    // Halfway between the largest number and infinity, for both types, and what is no number.
    let ends = [
        65519.996,
        65520.0,
        3.396e38,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        // Those whose bits a rounding would make infinity, and zero.
        f32::from_bits(0x7f80_0001),
        f32::from_bits(0x7fff_ffff),
        1e-40,
    ];
    all.extend(ends.iter().flat_map(|x| [*x, -x]));
    all
}

fn check_narrowed<H: Half>(numbers: Vec<f32>, reference: impl Fn(f32) -> f32) {
    for &level in Level::available() {
        let back = widened(level, &narrowed::<H>(level, &numbers));
        for (found, &x) in back.into_iter().zip(&numbers) {
            assert_same(found, reference(x), &format!("{level:?}, {x:e}"));
        }
    }
}

#[test]
fn every_number_is_rounded_to_the_nearest() {
    let f16s = all().map(|bits| f16::from_bits(bits).to_f32());
    check_narrowed::<f16>(hard(f16s), |x| f16::from_f32(x).to_f32());
    let bf16s = all().map(|bits| bf16::from_bits(bits).to_f32());
    check_narrowed::<bf16>(hard(bf16s), |x| bf16::from_f32(x).to_f32());
}

type Layer = fn(Tensor<4>, Tensor<4>) -> Tensor<4>;

/// The second argument is a weight, or what makes the map of a norm.
const LAYERS: [(&str, Layer); 8] = [
    ("convolution", |x, w| {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        kernels::conv2d(x, w, None, options)
    }),
    ("halving convolution with a bias", |x, w| {
        let options = ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
        let bias = w.clone().slice([0..8, 0..1, 0..1, 0..1]).reshape([1, 8]);
        kernels::conv2d(x, w, Some(bias), options)
    }),
    ("transposed convolution", |x, w| {
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        kernels::conv_transpose2d(x, w, None, options)
    }),
    ("norm", |x, w| {
        // The parameters of norms stay in single precision.
        let map = w
            .slice([0..1, 0..8, 0..1, 0..1])
            .reshape([1, 8])
            .cast(DType::F32);
        kernels::group_norm(x, 2, 1e-6, map.clone(), map, true)
    }),
    ("attention", |x, _| {
        let [batch, channels, height, width] = x.dims();
        let qkv = x
            .repeat_dim(1, 3)
            .reshape([batch, 3 * channels, height * width]);
        kernels::attention(qkv, 2).reshape([batch, channels, height, width])
    }),
    ("silu", |x, _| kernels::silu(x)),
    ("relu", |x, _| kernels::relu(x)),
    ("doubled", |x, _| kernels::doubled(x)),
];

fn inputs() -> [Tensor<4>; 2] {
    [normal([2, 8, 6, 10], 1), normal([8, 8, 3, 3], 2)]
}

/// As the layer in single precision on the same rounded numbers, rounded once more; in memory of their order or not.
fn assert_rounded(name: &str, layer: Layer, dtype: DType, unit: f64) {
    let straight = inputs().map(|tensor| tensor.cast(dtype));
    let turned = straight.clone().map(|tensor| tensor.swap_dims(2, 3));
    for inputs in [straight, turned] {
        assert_rounded_of(inputs, name, layer, unit);
    }
}

fn assert_rounded_of([x, w]: [Tensor<4>; 2], name: &str, layer: Layer, unit: f64) {
    let dtype = x.dtype();
    let found = layer(x.clone(), w.clone());
    assert_eq!(found.dtype(), dtype, "{name}");
    let expected = layer(x.cast(DType::F32), w.cast(DType::F32));
    assert_eq!(expected.dtype(), DType::F32);
    for (found, expected) in values(&found).into_iter().zip(values(&expected)) {
        // Subnormal numbers of f16 are 2^-24 apart.
        let bound = unit * expected.abs() + 2.0_f64.powi(-25);
        assert!(
            (found - expected).abs() <= bound,
            "{name} in {dtype:?}: {found} for {expected}"
        );
    }
}

#[test]
fn layers_round_once() {
    for (dtype, unit) in TYPES {
        for (name, layer) in LAYERS {
            assert_rounded(name, layer, dtype, unit);
        }
    }
}

#[test]
fn gradients_are_those_of_single_precision() {
    for (dtype, unit) in TYPES {
        for (name, layer) in LAYERS {
            let both = |inputs: [Tensor<4>; 2]| {
                with_gradients(inputs, |[x, w]| {
                    // Every layer has a gradient for both.
                    let none = w.clone().sum().reshape([1, 1, 1, 1]).mul_scalar(0.0);
                    layer(x, w) + none
                })
            };
            let rounded = inputs().map(|tensor| tensor.cast(dtype));
            let found = both(rounded.clone());
            let expected = both(rounded.map(|tensor| tensor.cast(DType::F32)));
            for (found, expected) in found.into_iter().zip(expected) {
                assert_eq!(found.dtype(), dtype, "{name}");
                let (found, expected) = (values(&found), values(&expected));
                let size = expected.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
                for (found, expected) in found.iter().zip(&expected) {
                    // The cotangent and the value are rounded, and each gradient; the sums are not.
                    let close = (found - expected).abs() <= 4.0 * unit * size;
                    assert!(
                        close,
                        "{name} in {dtype:?}: {found} for {expected} of {size}"
                    );
                }
            }
        }
    }
}

#[test]
fn modules_in_half_precision_are_those_layers() {
    let convolution = Conv2dConfig::new([8, 4], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device());
    let norm = GroupNormConfig::new(2, 8).init(&device());
    for (dtype, unit) in TYPES {
        let mut rounded = convolution.clone();
        rounded.weight = rounded.weight.map(|w| w.cast(dtype));
        rounded.bias = rounded.bias.map(|bias| bias.map(|b| b.cast(dtype)));
        let [x, _] = inputs();
        let x = x.cast(dtype);
        let added = x.clone().slice([0..2, 0..4, 0..1, 0..1]).reshape([2, 4]);
        let y = kernels::convolved_plus(
            &rounded,
            kernels::normalised(&norm, x.clone(), true),
            added.clone(),
        );
        assert_eq!(y.dtype(), dtype);
        let single = [x, added.unsqueeze_dims(&[2, 3])].map(|tensor| tensor.cast(DType::F32));
        let [x, added] = single;
        let expected = kernels::convolved_plus(
            &convolution,
            kernels::normalised(&norm, x, true),
            added.reshape([2, 4]),
        );
        let (found, expected) = (values(&y), values(&expected));
        let size = expected.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
        // Weights, bias, its sum, the normalised image and the result are rounded.
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 5.0 * unit * size,
                "{found} for {expected}"
            );
        }
    }
}

/// A mean of numbers whose sum overflows in f16, and a variance that does.
#[test]
fn norms_and_softmax_do_not_overflow() {
    let x = Tensor::<4>::full([1, 2, 8, 8], 3000.0, (&device(), DType::F16));
    let x = Tensor::cat(vec![x.clone(), x.mul_scalar(-1.0)], 1);
    let map = |value| Tensor::full([1, 4], value, &device());
    let y = kernels::group_norm(x.clone(), 1, 1e-6, map(1.0), map(0.0), false);
    let largest = values(&y)
        .into_iter()
        .fold(0.0_f64, |most, y| most.max(y.abs()));
    assert_eq!(largest, 1.0);
    let y = kernels::attention(x.repeat_dim(1, 3).reshape([1, 12, 64]), 1);
    assert!(values(&y).into_iter().all(f64::is_finite));
}

/// What a rounding of the map, or of a sum, to either type would take.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "gradients with respect to parameters are what is tested"
)]
fn the_map_of_a_norm_and_its_gradients_are_not_rounded() {
    for (dtype, _) in TYPES {
        for (scale, shift) in [(1.0001, -1.0), (1.0, -0.9999)] {
            // Normalised, 1 and -1.
            let x = Tensor::<4>::from_data([[[[3.0, 1.0]]]], (&device(), dtype));
            let map = [scale, shift].map(|value| Tensor::<2>::full([1, 1], value, &device()));
            let norm = |x, [scale, shift]: [Tensor<2>; 2]| {
                kernels::group_norm(x, 1, 1e-12, scale, shift, false)
            };
            let close = |y: &Tensor<4>| (values(y)[0] - 1e-4).abs() < 1e-6;
            assert!(close(&norm(x.clone(), map.clone())), "{dtype:?}");

            let map = map.map(|tensor| tensor.autodiff().detach().require_grad());
            let x = x.autodiff().detach().require_grad();
            let y = norm(x.clone(), map.clone());
            assert!(close(&y.clone().without_autodiff()), "{dtype:?}");
            let small = 2.0_f64.powi(-12);
            let cotangent = Tensor::<4>::from_data([[[[1.0, -small]]]], (&device(), dtype));
            let gradients = (y * cotangent.autodiff()).sum().backward();
            let [scale, shift] = map.map(|tensor| tensor.grad(&gradients).unwrap());
            assert_eq!([scale.dtype(), shift.dtype()], [DType::F32; 2]);
            assert_eq!(values(&scale), [1.0 + small]);
            assert_eq!(values(&shift), [1.0 - small]);
            assert_eq!(x.grad(&gradients).unwrap().dtype(), dtype);
        }
    }
}

/// Also where burn's own operations compute them.
#[test]
fn norms_and_softmax_without_the_kernels_are_those_of_single_precision() {
    let test = "half::norms_and_softmax_without_the_kernels_are_those_of_single_precision";
    if !is_alone(test) {
        return;
    }
    set_mode(Mode::Off);
    for (dtype, unit) in TYPES {
        for (name, layer) in LAYERS {
            if ["norm", "attention"].contains(&name) {
                assert_rounded(name, layer, dtype, unit);
            }
        }
    }
    norms_and_softmax_do_not_overflow();
    the_map_of_a_norm_and_its_gradients_are_not_rounded();
}

/// A type beside another is refused, as by burn.
#[test]
#[should_panic]
fn a_single_bias_for_half_images_is_refused() {
    let [x, w] = inputs().map(|tensor| tensor.cast(DType::F16));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let bias = Tensor::ones([1, 8], &device());
    kernels::conv2d(x, w, Some(bias), options);
}

/// A type beside another is refused, as by burn.
#[test]
#[should_panic]
fn half_weights_for_a_single_image_are_refused() {
    let [x, w] = inputs();
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    kernels::conv2d(x, w.cast(DType::F16), None, options);
}
