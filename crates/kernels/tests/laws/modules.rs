//! Burn's modules run by the layers of this crate return what their own `forward` does.

use burn::module::{Initializer, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::{Tensor, activation};
use tweedie_kernels::{convolved, convolved_plus, normalised, transpose_convolved};
use tweedie_testkit::device;

use crate::layers::{assert_close, normal};

/// Parameters that are all different, in the place of those of a layer.
fn disturb<const D: usize>(parameter: &mut Param<Tensor<D>>, seed: u64) {
    let dims = parameter.val().dims();
    let len = dims.iter().product();
    let numbers = normal([1, 1, 1, len], seed).reshape(dims);
    *parameter = Param::from_tensor(numbers);
}

fn convolution(config: &Conv2dConfig) -> Conv2d {
    let config = config.clone().with_initializer(Initializer::Zeros);
    let mut layer = config.init(&device());
    disturb(&mut layer.weight, 1);
    if let Some(bias) = &mut layer.bias {
        disturb(bias, 2);
    }
    layer
}

fn transposed(config: &ConvTranspose2dConfig) -> ConvTranspose2d {
    let config = config.clone().with_initializer(Initializer::Zeros);
    let mut layer = config.init(&device());
    disturb(&mut layer.weight, 3);
    if let Some(bias) = &mut layer.bias {
        disturb(bias, 4);
    }
    layer
}

fn norm(channels: usize, groups: usize) -> GroupNorm {
    let mut layer = GroupNormConfig::new(groups, channels)
        .with_epsilon(1e-3)
        .init(&device());
    disturb(layer.gamma.as_mut().unwrap(), 5);
    disturb(layer.beta.as_mut().unwrap(), 6);
    layer
}

#[test]
fn convolutions_are_burns() {
    let plain = |kernel| Conv2dConfig::new([4, 6], kernel);
    let explicit = PaddingConfig2d::Explicit(2, 0, 1, 3);
    let grouped = plain([3, 3]).with_groups(2).with_dilation([2, 1]);
    let all = [
        plain([3, 3]),
        plain([3, 2]).with_stride([2, 1]),
        plain([3, 3]).with_padding(PaddingConfig2d::Same),
        plain([4, 2]).with_padding(PaddingConfig2d::Same),
        plain([3, 4]).with_padding(explicit.clone()),
        plain([3, 3]).with_padding(explicit).with_stride([2, 2]),
        plain([3, 3]).with_bias(false),
        plain([3, 3]).with_dilation([1, 2]),
        plain([3, 3]).with_dilation([2, 1]),
        grouped.clone().with_padding(PaddingConfig2d::Same),
        grouped.with_bias(false),
    ];
    for config in all {
        let layer = convolution(&config);
        for size in [[9, 12], [10, 7]] {
            let x = normal([3, 4, size[0], size[1]], 7);
            let what = format!("{config:?} of {size:?}");
            let expected = layer.forward(x.clone());
            assert_close(convolved(&layer, x.clone()), expected.clone(), &what);
            let added = normal([3, 6, 1, 1], 8);
            let plus = convolved_plus(&layer, x, added.clone().reshape([3, 6]));
            assert_close(plus, expected + added, &what);
        }
    }
}

/// The odd zero lies behind the image, and a step leaves out what no output needs.
#[test]
fn the_padding_that_keeps_the_size_is_burns() {
    for (kernel, stride) in [(2, 2), (3, 2), (4, 2), (5, 3), (4, 3)] {
        let config = Conv2dConfig::new([4, 6], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Same);
        let layer = convolution(&config);
        for size in 1..=9 {
            let x = normal([1, 4, size, 10 - size], 9);
            let ours = convolved(&layer, x.clone());
            let what = format!("{kernel} by {stride} of {size}");
            assert_close(ours, layer.forward(x), &what);
        }
    }
}

#[test]
fn transposed_convolutions_are_burns() {
    let plain = |kernel| ConvTranspose2dConfig::new([4, 6], kernel);
    let all = [
        plain([2, 2]).with_stride([2, 2]),
        plain([3, 2])
            .with_stride([2, 1])
            .with_padding([1, 0])
            .with_padding_out([1, 0]),
        plain([3, 3]).with_bias(false),
        plain([3, 3]).with_dilation([2, 1]),
        plain([3, 3]).with_dilation([1, 2]),
        plain([3, 3]).with_groups(2),
    ];
    for config in all {
        let layer = transposed(&config);
        let x = normal([2, 4, 5, 6], 10);
        let expected = layer.forward(x.clone());
        assert_close(
            transpose_convolved(&layer, x),
            expected,
            &format!("{config:?}"),
        );
    }
}

#[test]
fn norms_are_burns() {
    for (channels, groups) in [(6, 3), (5, 1), (4, 4)] {
        let layer = norm(channels, groups);
        let x = normal([3, channels, 5, 7], 11).add_scalar(1.0);
        let expected = layer.forward(x.clone());
        let what = format!("{channels} channels in {groups} groups");
        assert_close(
            normalised(&layer, x.clone(), false),
            expected.clone(),
            &what,
        );
        assert_close(
            normalised(&layer, x, true),
            activation::silu(expected),
            &what,
        );
    }
}
