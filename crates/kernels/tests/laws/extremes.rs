//! Numbers at the ends of their range, in the images and in the memory that kernels reuse.

use tweedie_kernels::Level;
use tweedie_kernels::attention::{self, Attention};
use tweedie_kernels::conv::{
    Algorithm, Convolution, Packed, Pass, forward, input_gradient, weight_gradient,
};

use crate::numbers::{on_threads, uniform};

/// `[inputs, outputs]`, height and width: whole vectors of channels and parts of one, tiles that the image fills and others.
const SIZES: [([usize; 2], [usize; 2]); 5] = [
    ([3, 5], [7, 9]),
    ([16, 8], [8, 16]),
    ([20, 35], [6, 40]),
    ([1, 1], [1, 2]),
    ([33, 2], [70, 5]),
];

fn convolution(batch: usize, [inputs, outputs]: [usize; 2], size: [usize; 2]) -> Convolution {
    Convolution {
        batch,
        inputs,
        outputs,
        size,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [[1, 1], [2, 0]],
    }
}

/// `y`, `dx` and `dw`.
fn winograd(level: Level, c: &Convolution, x: &[f32], w: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let pack = |pass| Packed::new(level, Algorithm::Winograd, pass, c, w);
    [
        forward(c, x, &pack(Pass::Forward), None),
        input_gradient(c, dy, &pack(Pass::InputGradient), None),
        weight_gradient(level, Algorithm::Winograd, c, x, dy),
    ]
}

#[test]
fn an_image_that_is_no_number_leaves_the_others_alone() {
    const BATCH: usize = 5;
    for (channels, size) in SIZES {
        let c = convolution(BATCH, channels, size);
        let numbers = [c.image_len(), c.weights(), c.output_len()];
        let [x, w, dy] = numbers.map(|len| uniform(1, len));
        for &level in Level::available() {
            let clean = winograd(level, &c, &x, &w, &dy);
            for image in [0, 2, BATCH - 1] {
                let spoilt = |numbers: &[f32]| {
                    let mut numbers = numbers.to_vec();
                    let len = numbers.len() / BATCH;
                    numbers[image * len..][..len].fill(f32::NAN);
                    numbers
                };
                let found = winograd(level, &c, &spoilt(&x), &w, &spoilt(&dy));
                for (found, clean) in found.iter().zip(&clean).take(2) {
                    let len = clean.len() / BATCH;
                    for (at, (found, clean)) in found.iter().zip(clean).enumerate() {
                        let own = at / len == image;
                        assert!(
                            if own { found.is_nan() } else { found == clean },
                            "{level:?}, number {at} with image {image} spoilt of {c:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Buffers come with what was in them last: here no numbers, of convolutions of other sizes and of the same.
#[test]
fn winograd_does_not_see_what_was_computed_before() {
    on_threads(1, || {
        for (channels, size) in SIZES {
            let c = convolution(2, channels, size);
            let numbers = |c: &Convolution| [c.image_len(), c.weights(), c.output_len()];
            let [x, w, dy] = numbers(&c).map(|len| uniform(2, len));
            let larger = convolution(5, [40, 40], [size[0] + 5, size[1] + 5]);
            for &level in Level::available() {
                let mut all = Vec::new();
                for before in [larger, c] {
                    let [x_before, w_before, dy_before] =
                        numbers(&before).map(|len| vec![f32::NAN; len]);
                    winograd(level, &before, &x_before, &w_before, &dy_before);
                    all.push(winograd(level, &c, &x, &w, &dy));
                }
                let finite = all.iter().flatten().flatten().all(|x| x.is_finite());
                assert!(finite && all[0] == all[1], "{level:?} {c:?}");
            }
        }
    });
}

/// Products of queries and keys far beyond the logarithm of the largest number: one key has all the weight, wherever it is.
#[test]
fn the_weights_of_attention_do_not_overflow() {
    for length in [2, 7, 40, 130] {
        let sizes = Attention {
            batch: 1,
            heads: 1,
            channels: 1,
            length,
        };
        for largest in [0, 1, length / 2, length - 1] {
            // Products of 1000 and, for the largest, 2000, or all of them far below zero.
            for sign in [1.0, -1.0] {
                let key = |j: usize| {
                    let factor = f32::from(u8::from((j == largest) == (sign > 0.0)));
                    1000.0 * (1.0 + factor)
                };
                let queries = vec![sign; length];
                let values = uniform(3, length);
                let keys = (0..length).map(key);
                let qkv: Vec<f32> = queries
                    .into_iter()
                    .chain(keys)
                    .chain(values.iter().copied())
                    .collect();
                let dy = uniform(4, length);
                let total: f32 = dy.iter().sum();
                for &level in Level::available() {
                    let what = format!("{level:?}, key {largest} of {length}, sign {sign}");
                    let y = attention::forward(level, &sizes, &qkv);
                    let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * length as f32;
                    assert!(
                        y.iter().all(|y| close(*y, values[largest])),
                        "{what}: {y:?}"
                    );
                    let gradient = attention::backward(level, &sizes, &qkv, &dy);
                    // No other key has any weight, so that neither queries nor keys matter.
                    let (weights, of_values) = gradient.split_at(2 * length);
                    assert!(weights.iter().all(|g| close(*g, 0.0)), "{what}");
                    for (at, g) in of_values.iter().enumerate() {
                        let expected = if at == largest { total } else { 0.0 };
                        assert!(close(*g, expected), "{what}: {g} for {expected}");
                    }
                }
            }
        }
    }
}
