//! Group normalisation against its definition in `f64`.

use tweedie_kernels::Level;
use tweedie_kernels::norm::{GroupNorm, backward_in_place, forward, forward_in_place};

use crate::numbers::{EPSILON, bits, check, on_threads, uniform, wide, worst};

/// Scale and shift.
type Map = [Vec<f32>; 2];

/// With bit 0 and bit 1 of `shared`, scale and shift are the same for all images.
fn random(norm: &GroupNorm, seed: u64, shared: usize) -> Map {
    [0, 1].map(|i| {
        let images = if shared >> i & 1 == 1 { 1 } else { norm.batch };
        uniform(seed + 100 * i as u64, images * norm.channels)
    })
}

/// The gradients with respect to `x`, the scale and the shift.
fn backward(
    level: Level,
    norm: &GroupNorm,
    x: &[f32],
    statistics: &[f32],
    [scale, shift]: &Map,
    dy: &[f32],
) -> [Vec<f32>; 3] {
    let mut dx = dy.to_vec();
    let [dscale, dshift] = backward_in_place(level, norm, x, statistics, scale, shift, &mut dx);
    [dx, dscale, dshift]
}

/// What the definition says of one group of numbers, in `f64`.
struct Reference {
    norm: GroupNorm,
    x: Vec<f64>,
    map: [Vec<f64>; 2],
}

impl Reference {
    fn new(norm: &GroupNorm, x: &[f32], map: &Map) -> Self {
        Self {
            norm: *norm,
            x: wide(x),
            map: map.each_ref().map(|numbers| wide(numbers)),
        }
    }

    /// Scale and shift of number `i`.
    fn at(&self, i: usize) -> [f64; 2] {
        let plane = i / self.norm.pixels;
        self.map
            .each_ref()
            .map(|numbers| numbers[plane % numbers.len()])
    }

    /// `x^` and `r` of each number.
    fn normalised(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut normal, mut r) = (Vec::new(), Vec::new());
        for group in self.x.chunks(self.group_len()) {
            let n = group.len() as f64;
            let mean = group.iter().sum::<f64>() / n;
            let variance = group.iter().map(|u| (u - mean) * (u - mean)).sum::<f64>() / n;
            let factor = 1.0 / (variance + self.norm.epsilon).sqrt();
            normal.extend(group.iter().map(|u| (u - mean) * factor));
            r.extend(group.iter().map(|_| factor));
        }
        (normal, r)
    }

    fn group_len(&self) -> usize {
        self.norm.channels / self.norm.groups * self.norm.pixels
    }

    /// `y`, and how far rounding may take it.
    fn forward(&self) -> (Vec<f64>, Vec<f64>) {
        let (normal, _) = self.normalised();
        let values = normal.iter().enumerate().map(|(i, normal)| {
            let [a, b] = self.at(i);
            let w = a * normal + b;
            let y = if self.norm.silu {
                w / (1.0 + (-w).exp())
            } else {
                w
            };
            // A dozen roundings.
            let size = (a * normal).abs() + a.abs() + b.abs();
            (y, 16.0 * EPSILON * size)
        });
        values.unzip()
    }

    /// The gradients with respect to `x`, the scale and the shift, and how far rounding may take them: each sum of products
    /// by the block that is summed in `f32`.
    fn backward(&self, dy: &[f64]) -> [(Vec<f64>, Vec<f64>); 3] {
        let (normal, r) = self.normalised();
        let unit = 80.0 * EPSILON;
        // `g`, and its size before any cancellation.
        let g: Vec<(f64, f64)> = (0..normal.len())
            .map(|i| {
                let [a, b] = self.at(i);
                let w = a * normal[i] + b;
                let s = 1.0 / (1.0 + (-w).exp());
                let slope = if self.norm.silu {
                    s * (1.0 + w * (1.0 - s))
                } else {
                    1.0
                };
                let size = 1.0 + a.abs() * (1.0 + normal[i].abs()) + b.abs();
                (dy[i] * slope, dy[i].abs() * size)
            })
            .collect();
        let mut dx = (Vec::new(), Vec::new());
        let group_len = self.group_len();
        for first in (0..normal.len()).step_by(group_len) {
            let all = first..first + group_len;
            let mean =
                |f: &dyn Fn(usize) -> f64| all.clone().map(f).sum::<f64>() / group_len as f64;
            let a = |i: usize| self.at(i)[0];
            let (m_1, m_2) = (
                mean(&|i| a(i) * g[i].0),
                mean(&|i| a(i) * g[i].0 * normal[i]),
            );
            let size_1 = mean(&|i| a(i).abs() * g[i].1);
            let size_2 = mean(&|i| a(i).abs() * g[i].1 * (1.0 + normal[i].abs()));
            for i in all.clone() {
                dx.0.push(r[i] * (a(i) * g[i].0 - m_1 - m_2 * normal[i]));
                let size = a(i).abs() * g[i].1 + size_1 + size_2 * (1.0 + normal[i].abs());
                dx.1.push(unit * r[i] * size);
            }
        }
        let [mut dscale, mut dshift] = self
            .map
            .each_ref()
            .map(|numbers| (vec![0.0; numbers.len()], vec![0.0; numbers.len()]));
        for (i, (g, size)) in g.into_iter().enumerate() {
            let plane = i / self.norm.pixels;
            let (scale, shift) = (plane % dscale.0.len(), plane % dshift.0.len());
            dscale.0[scale] += g * normal[i];
            dscale.1[scale] += unit * size * (1.0 + normal[i].abs());
            dshift.0[shift] += g;
            dshift.1[shift] += unit * size;
        }
        [dx, dscale, dshift]
    }
}

const SHAPES: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [1, 4, 1, 2],
    [2, 6, 5, 3],
    [5, 8, 49, 4],
    [3, 12, 64, 12],
    [1, 10, 37, 1],
    [2, 8, 784, 2],
    [1, 2, 4500, 1],
    [2, 12, 2501, 4],
];

fn sizes([batch, channels, pixels, groups]: [usize; 4], silu: bool) -> GroupNorm {
    GroupNorm {
        batch,
        channels,
        pixels,
        groups,
        epsilon: 1e-5,
        silu,
    }
}

fn len(norm: &GroupNorm) -> usize {
    norm.batch * norm.channels * norm.pixels
}

fn check_all(level: Level, norm: &GroupNorm, x: &[f32], map: &Map) {
    let label = format!("{level:?} {norm:?} {:?}", map.each_ref().map(Vec::len));
    let reference = Reference::new(norm, x, map);
    let (y, statistics) = forward(level, norm, x, &map[0], &map[1]);
    let (expected, bounds) = reference.forward();
    check(&format!("y of {label}"), &y, &expected, &bounds);

    let mut in_place = x.to_vec();
    forward_in_place(level, norm, &mut in_place, &map[0], &map[1]);
    assert_eq!(bits(&in_place), bits(&y), "y in place of {label}");

    let dy = uniform(9, x.len());
    let gradients = backward(level, norm, x, &statistics, map, &dy);
    let expected = reference.backward(&wide(&dy));
    for (which, (expected, bounds)) in expected.iter().enumerate() {
        let what = format!("gradient {which} of {label}");
        check(&what, &gradients[which], expected, bounds);
    }
}

#[test]
fn all_shapes_and_maps_follow_the_definition() {
    for &level in Level::available() {
        for shape in SHAPES {
            for case in 0..8 {
                let norm = sizes(shape, case % 2 == 0);
                let map = random(&norm, 50 + case as u64, case / 2);
                let x = uniform(case as u64, len(&norm));
                check_all(level, &norm, &x, &map);
            }
        }
    }
}

/// The formulas of the reference are those of its forward pass.
#[test]
fn the_gradients_are_differences() {
    let norm = sizes([2, 6, 5, 3], true);
    let map = random(&norm, 3, 0b10);
    let x = uniform(4, len(&norm));
    let dy = wide(&uniform(5, x.len()));
    let reference = Reference::new(&norm, &x, &map);
    let loss = |reference: &Reference| {
        let (y, _) = reference.forward();
        y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let gradients = reference.backward(&dy);
    for (which, (gradient, _)) in gradients.iter().enumerate() {
        for (at, gradient) in gradient.iter().enumerate() {
            let moved = |step: f64| {
                let mut moved = Reference::new(&norm, &x, &map);
                match which {
                    0 => moved.x[at] += step,
                    _ => moved.map[which - 1][at] += step,
                }
                loss(&moved)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let error = (difference - gradient).abs();
            assert!(
                error < 1e-7,
                "gradient {which}, number {at}: {difference}, {gradient}"
            );
        }
    }
}

/// A variance of 1e-6 beside a mean of 1e4, where squares in `f32` keep no digit.
#[test]
fn a_small_variance_beside_a_large_mean_is_exact() {
    for &level in Level::available() {
        for pixels in [17, 3001] {
            let norm = GroupNorm {
                epsilon: 1e-9,
                ..sizes([2, 4, pixels, 2], true)
            };
            let noise = uniform(6, len(&norm));
            let x: Vec<f32> = noise.iter().map(|n| 1e4 + 3e-3 * n).collect();
            check_all(level, &norm, &x, &random(&norm, 7, 0));
        }
    }
}

#[test]
fn the_bounds_tell_definitions_apart() {
    let norm = sizes([1, 4, 784, 2], false);
    let x = uniform(8, len(&norm));
    let map = random(&norm, 9, 0);
    let (y, _) = forward(Level::best(), &norm, &x, &map[0], &map[1]);
    let reference = Reference::new(&norm, &x, &map);
    let (expected, bounds) = reference.forward();
    // As if the variance were unbiased.
    let n = 2.0 * 784.0_f64;
    let factor = ((n - 1.0) / n).sqrt();
    let wrong: Vec<f64> = expected
        .iter()
        .enumerate()
        .map(|(i, y)| {
            let [_, b] = reference.at(i);
            (y - b) * factor + b
        })
        .collect();
    assert!(worst(&y, &wrong, &bounds) > 10.0);
    // As if the scale were one less than the factor.
    let factors = map[0].iter().map(|scale| 1.0 + scale).collect();
    let modulated = Reference::new(&norm, &x, &[factors, map[1].clone()]);
    assert!(worst(&y, &modulated.forward().0, &bounds) > 1e3);
}

#[test]
fn an_image_depends_on_no_other_nor_on_threads() {
    for &level in Level::available() {
        let norm = sizes([5, 8, 1300, 4], true);
        let map = random(&norm, 10, 0);
        let x = uniform(11, len(&norm));
        let dy = uniform(12, x.len());
        let run = |threads| {
            on_threads(threads, || {
                let (y, statistics) = forward(level, &norm, &x, &map[0], &map[1]);
                let [dx, dscale, dshift] = backward(level, &norm, &x, &statistics, &map, &dy);
                [y, dx, dscale, dshift]
            })
        };
        let found = run(1);
        assert_eq!(found.each_ref().map(|f| bits(f)), run(3).map(|f| bits(&f)));
        let [y, dx, ..] = found;
        let (one, len) = (GroupNorm { batch: 1, ..norm }, 8 * 1300);
        for image in 0..5 {
            let map = map.each_ref().map(|p| p[image * 8..][..8].to_vec());
            let part = image * len..(image + 1) * len;
            let x = &x[part.clone()];
            let (alone, statistics) = forward(level, &one, x, &map[0], &map[1]);
            assert_eq!(bits(&alone), bits(&y[part.clone()]), "y of image {image}");
            let [alone, ..] = backward(level, &one, x, &statistics, &map, &dy[part.clone()]);
            assert_eq!(bits(&alone), bits(&dx[part]), "dx of image {image}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for &level in Level::available() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 48, 97] {
                let norm = sizes([1, 4, 49, 2], true);
                let mut x = uniform(13, len(&norm));
                x[at] = bad;
                let map = [vec![1.0; 4], vec![0.0; 4]];
                let (y, statistics) = forward(level, &norm, &x, &map[0], &map[1]);
                assert!(
                    y[..98].iter().all(|y| y.is_nan()),
                    "{level:?}: {bad} at {at}"
                );
                assert!(y[98..].iter().all(|y| y.is_finite()));
                let dy = vec![1.0; x.len()];
                let [dx, ..] = backward(level, &norm, &x, &statistics, &map, &dy);
                assert!(dx[..98].iter().all(|dx| dx.is_nan()));
            }
        }
    }
}

#[test]
#[should_panic(expected = "6 channels of 4 pixels in 4 groups")]
fn groups_divide_the_channels() {
    let norm = sizes([1, 6, 4, 4], false);
    forward(Level::best(), &norm, &[0.0; 24], &[1.0; 6], &[0.0; 6]);
}
