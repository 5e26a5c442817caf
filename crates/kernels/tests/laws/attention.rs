//! Self-attention against its definition in `f64`.

use tweedie_kernels::Level;
use tweedie_kernels::attention::{Attention, backward, forward};

use crate::numbers::{EPSILON, bits, check, on_threads, uniform, wide, worst};

/// `[batch, heads, depth, length]`.
const SHAPES: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [2, 1, 3, 2],
    [1, 2, 5, 7],
    [2, 3, 17, 33],
    [1, 1, 32, 49],
    [3, 2, 16, 64],
    [1, 1, 40, 130],
    [1, 2, 29, 257],
    [1, 1, 256, 100],
    [1, 1, 3, 700],
];

fn sizes([batch, heads, depth, length]: [usize; 4]) -> Attention {
    Attention {
        batch,
        heads,
        channels: heads * depth,
        length,
    }
}

/// `Q`, `K`, `V` and the gradient of a head, each `[depth, length]`, read from the images.
struct Head {
    depth: usize,
    length: usize,
    parts: [Vec<f64>; 3],
    dy: Vec<f64>,
}

fn heads(sizes: &Attention, qkv: &[f32], dy: &[f32]) -> Vec<Head> {
    let Attention {
        batch,
        heads,
        channels,
        length,
    } = *sizes;
    let len = channels / heads * length;
    (0..batch * heads)
        .map(|head| {
            let (image, inner) = (head / heads, head % heads);
            let part = |p: usize| wide(&qkv[((image * 3 + p) * heads + inner) * len..][..len]);
            let parts = [0, 1, 2].map(part);
            Head {
                depth: channels / heads,
                length,
                parts,
                dy: wide(&dy[head * len..][..len]),
            }
        })
        .collect()
}

impl Head {
    /// `P`, `[queries, keys]`, and the largest `sum |q k| / sqrt(d)`: rounding moves the exponents by it.
    fn weights(&self) -> (Vec<f64>, f64) {
        let Self {
            depth,
            length,
            parts: [q, k, _],
            ..
        } = self;
        let scale = 1.0 / (*depth as f64).sqrt();
        let mut size = 0.0f64;
        let mut weights = Vec::new();
        for i in 0..*length {
            let terms = |j: usize| (0..*depth).map(move |c| q[c * length + i] * k[c * length + j]);
            let scores: Vec<f64> = (0..*length)
                .map(|j| scale * terms(j).sum::<f64>())
                .collect();
            size = (0..*length)
                .map(|j| scale * terms(j).map(f64::abs).sum::<f64>())
                .fold(size, f64::max);
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
            weights.extend(scores.iter().map(|s| (s - most).exp() / sum));
        }
        (weights, size)
    }

    /// How far rounding moves a weight, relatively: that of its score, of the exponential, and of the sum.
    fn relative(&self, size: f64) -> f64 {
        EPSILON * (2.0 * (self.depth as f64 + 4.0) * size + self.length as f64 + 20.0)
    }

    fn forward(&self) -> (Vec<f64>, Vec<f64>) {
        let Self {
            depth,
            length,
            parts: [_, _, v],
            ..
        } = self;
        let (weights, size) = self.weights();
        let numbers = (0..depth * length).map(|at| {
            let (c, i) = (at / length, at % length);
            let terms = (0..*length).map(|j| weights[i * length + j] * v[c * length + j]);
            let sizes = terms.clone().map(f64::abs).sum::<f64>();
            (terms.sum::<f64>(), sizes * self.relative(size) + 1e-30)
        });
        numbers.unzip()
    }

    /// The gradients with respect to `Q`, `K` and `V`, and their bounds.
    fn backward(&self) -> [(Vec<f64>, Vec<f64>); 3] {
        let Self {
            depth,
            length,
            parts: [q, k, v],
            dy,
        } = self;
        let (weights, size) = self.weights();
        let unit = 2.0 * self.relative(size) + EPSILON * (*depth as f64);
        let scale = 1.0 / (*depth as f64).sqrt();
        let mut found: [(Vec<f64>, Vec<f64>); 3] =
            [0, 1, 2].map(|_| (vec![0.0; depth * length], vec![1e-30; depth * length]));
        for i in 0..*length {
            let product = |j: usize, abs: bool| {
                let terms = (0..*depth).map(|c| dy[c * length + i] * v[c * length + j]);
                if abs {
                    terms.map(f64::abs).sum::<f64>()
                } else {
                    terms.sum()
                }
            };
            let p = &weights[i * length..][..*length];
            let mean: f64 = (0..*length).map(|j| p[j] * product(j, false)).sum();
            let mean_size: f64 = (0..*length).map(|j| p[j] * product(j, true)).sum();
            for (j, p) in p.iter().enumerate() {
                let t = p * (product(j, false) - mean) * scale;
                let t_size = p * (product(j, true) + mean_size) * scale * unit;
                for c in 0..*depth {
                    let (at_i, at_j) = (c * length + i, c * length + j);
                    let mut add = |part: usize, at: usize, value: f64, bound: f64| {
                        found[part].0[at] += value;
                        found[part].1[at] += bound;
                    };
                    add(0, at_i, t * k[at_j], t_size * k[at_j].abs());
                    add(1, at_j, t * q[at_i], t_size * q[at_i].abs());
                    add(2, at_j, p * dy[at_i], (p * dy[at_i]).abs() * unit);
                }
            }
        }
        found
    }
}

/// Gradients of heads in the order of the images.
fn joined(sizes: &Attention, gradients: &[[(Vec<f64>, Vec<f64>); 3]]) -> (Vec<f64>, Vec<f64>) {
    let mut all = (Vec::new(), Vec::new());
    for image in gradients.chunks(sizes.heads) {
        for part in 0..3 {
            for head in image {
                all.0.extend(&head[part].0);
                all.1.extend(&head[part].1);
            }
        }
    }
    all
}

/// Queries and keys of scores up to some `range`.
fn random(sizes: &Attention, seed: u64, range: f32) -> (Vec<f32>, Vec<f32>) {
    let len = sizes.batch * sizes.channels * sizes.length;
    let mut qkv = uniform(seed, 3 * len);
    for image in qkv.chunks_mut(3 * sizes.channels * sizes.length) {
        for q in &mut image[..sizes.channels * sizes.length] {
            *q *= range;
        }
    }
    (qkv, uniform(seed + 1, len))
}

#[test]
fn all_shapes_follow_the_definition() {
    for &level in Level::available() {
        for (seed, shape) in SHAPES.into_iter().enumerate() {
            for range in [1.0, 30.0] {
                let sizes = sizes(shape);
                let (qkv, dy) = random(&sizes, seed as u64, range);
                let heads = heads(&sizes, &qkv, &dy);
                let (expected, bounds): (Vec<_>, Vec<_>) = heads.iter().map(Head::forward).unzip();
                let label = format!("{level:?} {sizes:?} {range}");
                let y = forward(level, &sizes, &qkv);
                check(
                    &format!("y of {label}"),
                    &y,
                    &expected.concat(),
                    &bounds.concat(),
                );
                let gradients: Vec<_> = heads.iter().map(Head::backward).collect();
                let (expected, bounds) = joined(&sizes, &gradients);
                let found = backward(level, &sizes, &qkv, &dy);
                check(&format!("dqkv of {label}"), &found, &expected, &bounds);
            }
        }
    }
}

/// The formulas of the reference are those of its forward pass.
#[test]
fn the_gradients_are_differences() {
    let sizes = sizes([1, 1, 4, 9]);
    let (qkv, dy) = random(&sizes, 3, 2.0);
    let head = || heads(&sizes, &qkv, &dy).remove(0);
    let loss = |head: &Head| {
        head.forward()
            .0
            .iter()
            .zip(&head.dy)
            .map(|(y, dy)| y * dy)
            .sum::<f64>()
    };
    let gradients = head().backward();
    for (part, (gradient, _)) in gradients.iter().enumerate() {
        for (at, gradient) in gradient.iter().enumerate() {
            let moved = |step: f64| {
                let mut moved = head();
                moved.parts[part][at] += step;
                loss(&moved)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (difference - gradient).abs() < 1e-8,
                "{part} {at}: {difference}, {gradient}"
            );
        }
    }
}

#[test]
fn the_bounds_tell_definitions_apart() {
    let sizes = sizes([1, 1, 32, 100]);
    let (qkv, dy) = random(&sizes, 5, 1.0);
    let y = forward(Level::best(), &sizes, &qkv);
    let found = backward(Level::best(), &sizes, &qkv, &dy);
    // As if the scores were scaled by another number of channels, and the keys and values exchanged.
    let mut scaled = qkv.clone();
    for q in &mut scaled[..3200] {
        *q *= (32.0f32 / 33.0).sqrt();
    }
    let mut exchanged = qkv.clone();
    exchanged[3200..].rotate_left(3200);
    for wrong in [scaled, exchanged] {
        let head = heads(&sizes, &wrong, &dy).remove(0);
        let (expected, bounds) = head.forward();
        assert!(worst(&y, &expected, &bounds) > 10.0);
        let (expected, bounds) = joined(&sizes, &[head.backward()]);
        assert!(worst(&found, &expected, &bounds) > 10.0);
    }
}

#[test]
fn an_image_depends_on_no_other_nor_on_threads() {
    for &level in Level::available() {
        let sizes = sizes([3, 2, 20, 300]);
        let (qkv, dy) = random(&sizes, 7, 3.0);
        let run = |threads| {
            on_threads(threads, || {
                (
                    forward(level, &sizes, &qkv),
                    backward(level, &sizes, &qkv, &dy),
                )
            })
        };
        let (y, gradient) = run(1);
        let (y_3, gradient_3) = run(3);
        assert_eq!(
            (bits(&y), bits(&gradient)),
            (bits(&y_3), bits(&gradient_3)),
            "{level:?}"
        );
        let (one, len) = (Attention { batch: 1, ..sizes }, 2 * 20 * 300);
        for image in 0..3 {
            let part = image * 3 * len..(image + 1) * 3 * len;
            let own = image * len..(image + 1) * len;
            let alone = forward(level, &one, &qkv[part.clone()]);
            assert_eq!(bits(&alone), bits(&y[own.clone()]), "y of image {image}");
            let alone = backward(level, &one, &qkv[part.clone()], &dy[own]);
            assert_eq!(
                bits(&alone),
                bits(&gradient[part]),
                "gradient of image {image}"
            );
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for &level in Level::available() {
        let sizes = sizes([1, 1, 5, 50]);
        for part in 0..3 {
            let (mut qkv, dy) = random(&sizes, 9, 1.0);
            qkv[part * 250 + 7] = f32::NAN;
            let y = forward(level, &sizes, &qkv);
            // A query's own column, all columns by a key, a row of values.
            let touched = |at: usize| [at % 50 == 7, true, at < 50][part];
            for (at, y) in y.iter().enumerate() {
                assert_eq!(
                    y.is_nan(),
                    touched(at),
                    "{level:?}: number {at}, part {part}"
                );
            }
            let gradient = backward(level, &sizes, &qkv, &dy);
            assert!(
                gradient[250..].iter().any(|g| g.is_nan()),
                "{level:?}: part {part}"
            );
        }
    }
}

/// Panels are padded with zeros, not with what was in their memory last.
#[test]
fn what_was_computed_before_does_not_matter() {
    for &level in Level::available() {
        let [small, large] = [sizes([1, 1, 5, 50]), sizes([1, 1, 20, 190])];
        let (qkv, dy) = random(&small, 11, 1.0);
        let (mut bad, bad_dy) = random(&large, 13, 1.0);
        bad.fill(f32::NAN);
        let run = || {
            (
                forward(level, &small, &qkv),
                backward(level, &small, &qkv, &dy),
            )
        };
        let fresh = on_threads(1, run);
        let after = on_threads(1, || {
            forward(level, &large, &bad);
            backward(level, &large, &bad, &bad_dy);
            run()
        });
        assert_eq!(fresh, after, "{level:?}");
    }
}

#[test]
#[should_panic(expected = "6 channels of 4 heads")]
fn heads_divide_the_channels() {
    let sizes = Attention {
        batch: 1,
        heads: 4,
        channels: 6,
        length: 1,
    };
    forward(Level::best(), &sizes, &[0.0; 18]);
}
