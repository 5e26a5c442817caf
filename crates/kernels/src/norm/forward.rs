//! The normalised image.

use rayon::prelude::*;

use super::{Affine, GroupNorm, PIECE, STATISTICS};
use crate::Level;
use crate::elementwise::sigmoid;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// `y`, and the statistics that [`backward_in_place`](super::backward_in_place) needs, `[batch, groups, 3]`: mean, its rounding
/// error, and `r`.
///
/// ```
/// use tweedie_kernels::{Level, norm};
///
/// let sizes = norm::GroupNorm {
///     batch: 1, channels: 2, pixels: 2, groups: 1, epsilon: 0.0, silu: false,
/// };
/// let x = [5.0, 7.0, 5.0, 7.0];
/// let (y, _) = norm::forward(Level::best(), &sizes, &x, &[1.0, 2.0], &[0.0, 3.0]);
/// assert_eq!(y, [-1.0, 1.0, 1.0, 5.0]);
/// ```
///
/// # Panics
/// If the groups do not divide the channels, or a length is not that of the sizes.
pub fn forward(
    level: Level,
    norm: &GroupNorm,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let affine = Affine { scale, shift };
    norm.check(x, affine);
    let mut statistics = Vec::new();
    // SAFETY: all groups are written.
    let y = unsafe {
        written(x.len(), |y| {
            statistics = groups(level, norm, Some(x), y, affine)
        })
    };
    (y, statistics)
}

/// As [`forward`], in the memory of `x`.
///
/// # Panics
/// As [`forward`].
pub fn forward_in_place(
    level: Level,
    norm: &GroupNorm,
    x: &mut [f32],
    scale: &[f32],
    shift: &[f32],
) {
    let affine = Affine { scale, shift };
    norm.check(x, affine);
    // SAFETY: nothing else holds `x`.
    unsafe { groups(level, norm, None, Shared::new(x), affine) };
}

/// Normalises all groups, and returns their statistics.
///
/// # Safety
/// `y` is as large as the image, and nothing else reads or writes it; already written where there is no `x`.
unsafe fn groups(
    level: Level,
    norm: &GroupNorm,
    x: Option<&[f32]>,
    y: Shared,
    affine: Affine<'_>,
) -> Vec<f32> {
    let mut statistics = vec![0.0; norm.batch * norm.groups * STATISTICS];
    let group = |(group, statistics): (usize, &mut [f32])| {
        let first = group * norm.group_len();
        // SAFETY: each group is within `y`, and has its part of it alone.
        let y = unsafe { y.at(first) };
        let x = x.map_or(y.cast_const(), |x| x[first..][..norm.group_len()].as_ptr());
        level.run(Group {
            norm,
            affine,
            group,
            x,
            y,
            statistics,
        });
    };
    if norm.len() < 2 * PIECE {
        statistics
            .chunks_exact_mut(STATISTICS)
            .enumerate()
            .for_each(group);
    } else {
        let all = statistics.par_chunks_exact_mut(STATISTICS).enumerate();
        all.with_min_len(norm.groups_of_piece()).for_each(group);
    }
    statistics
}

/// One group of one image.
struct Group<'a> {
    norm: &'a GroupNorm,
    affine: Affine<'a>,
    /// Counted through all images.
    group: usize,
    x: *const f32,
    y: *mut f32,
    statistics: &'a mut [f32],
}

impl Task for Group<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            norm,
            affine,
            group,
            x,
            y,
            statistics,
        } = self;
        // SAFETY: of a task; `Group` is made with pointers to a whole group.
        unsafe {
            let moments = moments_of::<S>(x, norm.group_len());
            let (mean, r) = (moments.mean, moments.inverse_deviation(norm.epsilon));
            let centre = mean as f32;
            let rest = mean - f64::from(centre);
            statistics.copy_from_slice(&[centre, rest as f32, r as f32]);
            for member in 0..norm.members() {
                let [scale, shift] = affine.of(group * norm.members() + member);
                let slope = scale * r;
                let line = Line {
                    centre,
                    slope: slope as f32,
                    intercept: (shift - slope * rest) as f32,
                };
                let first = member * norm.pixels;
                let (x, y) = (x.add(first), y.add(first));
                if norm.silu {
                    line.write::<S, true>(x, y, norm.pixels);
                } else {
                    line.write::<S, false>(x, y, norm.pixels);
                }
            }
        }
    }
}

/// `slope (x - centre) + intercept`.
#[derive(Clone, Copy)]
struct Line {
    centre: f32,
    slope: f32,
    intercept: f32,
}

impl Line {
    /// # Safety
    /// The machine has the instructions of `S`; `x` and `y` point to `len` numbers, those of `y` nobody else's.
    #[inline(always)]
    unsafe fn write<S: Simd, const SILU: bool>(self, x: *const f32, y: *mut f32, len: usize) {
        let whole = len - len % S::LANES;
        // SAFETY: as this method.
        unsafe {
            for i in (0..whole).step_by(S::LANES) {
                S::store(y.add(i), self.of::<S, SILU>(S::load(x.add(i))));
            }
            let left = len - whole;
            if left > 0 {
                let w = self.of::<S, SILU>(S::load_first(x.add(whole), left));
                S::store_first(y.add(whole), left, w);
            }
        }
    }

    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn of<S: Simd, const SILU: bool>(self, x: S::V) -> S::V {
        // SAFETY: as this method.
        unsafe {
            let centred = S::sub(x, S::splat(self.centre));
            let w = S::fma(centred, S::splat(self.slope), S::splat(self.intercept));
            if SILU { S::mul(w, sigmoid::<S>(w)) } else { w }
        }
    }
}

/// Count, mean, and sum of the squared distances from it.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn joined(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = other.count / count;
        let distance = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + distance * share,
            squares: self.squares + other.squares + distance * distance * self.count * share,
        }
    }

    /// `1/sqrt(var + epsilon)`; no number where the squares do not fit in `f32`.
    fn inverse_deviation(self, epsilon: f64) -> f64 {
        let variance = self.squares / self.count;
        if variance.is_finite() {
            1.0 / (variance + epsilon).sqrt()
        } else {
            f64::NAN
        }
    }
}

/// Numbers whose sums are taken in `f32`, twice: first from memory, then from the nearest cache.
const BLOCK: usize = 2048;

/// # Safety
/// The machine has the instructions of `S`; `x` points to `len` numbers.
#[inline(always)]
unsafe fn moments_of<S: Simd>(x: *const f32, len: usize) -> Moments {
    let mut moments = Moments::default();
    for first in (0..len).step_by(BLOCK) {
        let len = BLOCK.min(len - first);
        // SAFETY: as this function; the block lies within.
        unsafe {
            let x = x.add(first);
            let [sum, _] = sums::<S>(x, len, 0.0);
            let count = len as f64;
            let near = sum / len as f32;
            let [rest, squares] = sums::<S>(x, len, near).map(f64::from);
            let squares = squares - rest * rest / count;
            // What is no number stays none.
            let squares = if squares < 0.0 { 0.0 } else { squares };
            let mean = f64::from(near) + rest / count;
            moments = moments.joined(Moments {
                count,
                mean,
                squares,
            });
        }
    }
    moments
}

/// The sums of `x - centre` and its square.
///
/// # Safety
/// The machine has the instructions of `S`; `x` points to `len` numbers.
#[inline(always)]
unsafe fn sums<S: Simd>(x: *const f32, len: usize, centre: f32) -> [f32; 2] {
    const SUMS: usize = 4;
    let strip = SUMS * S::LANES;
    // SAFETY: as this function.
    unsafe {
        let mut first = [S::zero(); SUMS];
        let mut second = [S::zero(); SUMS];
        let centres = S::splat(centre);
        let whole = len - len % strip;
        for start in (0..whole).step_by(strip) {
            for k in 0..SUMS {
                let d = S::sub(S::load(x.add(start + k * S::LANES)), centres);
                first[k] = S::add(first[k], d);
                second[k] = S::fma(d, d, second[k]);
            }
        }
        // Lanes past the end are zero minus zero.
        for (k, start) in (whole..len).step_by(S::LANES).enumerate() {
            let left = S::LANES.min(len - start);
            let centres = S::splat_first(centre, left);
            let d = S::sub(S::load_first(x.add(start), left), centres);
            first[k] = S::add(first[k], d);
            second[k] = S::fma(d, d, second[k]);
        }
        let total =
            |sums: [S::V; SUMS]| S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
        [total(first), total(second)]
    }
}
