//! Functions of each number by itself, and doubling of the size of images: on all threads, in one pass over memory.

use rayon::prelude::*;

use crate::Level;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// Numbers below which one thread is faster than two.
const PARALLEL: usize = 1 << 16;

/// Numbers of a parallel piece of work.
const PIECE: usize = 1 << 14;

/// `x / (1 + e^-x)`.
pub fn silu(level: Level, x: &[f32]) -> Vec<f32> {
    map(level, Silu, x, [])
}

/// As [`silu`], in the memory of `x`.
pub fn silu_in_place(level: Level, x: &mut [f32]) {
    update(level, Silu, x, []);
}

/// The gradient with respect to `x` of a function with gradient `dy` with respect to `silu(x)`:
/// `dy s (1 + x (1 - s))`, `s = 1/(1 + e^-x)`.
///
/// # Panics
/// If the lengths differ.
pub fn silu_gradient(level: Level, dy: &[f32], x: &[f32]) -> Vec<f32> {
    map(level, SiluGradient, dy, [x])
}

/// `max(x, 0)`.
pub fn relu(level: Level, x: &[f32]) -> Vec<f32> {
    map(level, Relu, x, [])
}

/// As [`relu`], in the memory of `x`.
pub fn relu_in_place(level: Level, x: &mut [f32]) {
    update(level, Relu, x, []);
}

/// The gradient with respect to `x` of a function with gradient `dy` with respect to `relu(x)`: `dy`, but zero where
/// `x <= 0`. As `relu(x) > 0` where `x > 0`, either may be given.
///
/// # Panics
/// If the lengths differ.
pub fn relu_gradient(level: Level, dy: &[f32], x: &[f32]) -> Vec<f32> {
    map(level, ReluGradient, dy, [x])
}

/// Each pixel of the planes, `[planes, height, width]`, repeated to two by two: `[planes, 2 height, 2 width]`.
///
/// # Panics
/// If `x` is no whole number of planes.
pub fn double(level: Level, [height, width]: [usize; 2], x: &[f32]) -> Vec<f32> {
    check_planes(x.len(), height * width);
    let double = |to: Shared| {
        let rows = x.par_chunks_exact(width.max(1)).enumerate();
        rows.with_min_len(PIECE.div_ceil(width.max(1)))
            .for_each(|(row, from)| {
                // SAFETY: each row of `x` has two rows of the output to itself.
                level.run(unsafe {
                    Double {
                        from,
                        to: to.at(4 * width * row),
                    }
                });
            });
    };
    // SAFETY: two rows of twice the width for each row are all of the output.
    unsafe { written(4 * x.len(), double) }
}

/// The gradient with respect to `x` of a function with gradient `dy`, `[planes, 2 height, 2 width]`, with respect to
/// [`double`] of `x`, `[planes, height, width]`: the sum of each two by two pixels.
///
/// # Panics
/// If `dy` is no whole number of planes.
pub fn double_gradient(level: Level, [height, width]: [usize; 2], dy: &[f32]) -> Vec<f32> {
    check_planes(dy.len(), 4 * height * width);
    let halve = |to: Shared| {
        let rows = dy.par_chunks_exact((4 * width).max(1)).enumerate();
        rows.with_min_len(PIECE.div_ceil(width.max(1)))
            .for_each(|(row, from)| {
                // SAFETY: each two rows of `dy` have a row of the output to themselves.
                level.run(unsafe {
                    Halve {
                        from,
                        to: to.at(width * row),
                    }
                });
            });
    };
    // SAFETY: a row of half the width for each two rows is all of the output.
    unsafe { written(dy.len() / 4, halve) }
}

fn check_planes(len: usize, plane: usize) {
    let whole = if plane == 0 {
        len == 0
    } else {
        len.is_multiple_of(plane)
    };
    assert!(
        whole,
        "{len} numbers are no whole number of planes of {plane}"
    );
}

/// A function of numbers, lane by lane.
pub(crate) trait Function<const N: usize>: Copy + Send + Sync {
    /// Its value; `#[inline(always)]`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    unsafe fn of<S: Simd>(self, first: S::V, rest: [S::V; N]) -> S::V;
}

/// `f` of each number of the slices.
fn map<const N: usize>(
    level: Level,
    f: impl Function<N>,
    first: &[f32],
    rest: [&[f32]; N],
) -> Vec<f32> {
    // SAFETY: all numbers are written, those of the slices read only.
    unsafe {
        written(first.len(), |to| {
            each(level, f, first.len(), Some(first), rest, to)
        })
    }
}

/// Puts `f` of each number of the slices in the place of the first.
pub(crate) fn update<const N: usize>(
    level: Level,
    f: impl Function<N>,
    first: &mut [f32],
    rest: [&[f32]; N],
) {
    // SAFETY: nothing else holds the first slice.
    unsafe { each(level, f, first.len(), None, rest, Shared::new(first)) };
}

/// # Safety
/// `to` are `len` numbers that nothing else reads or writes, already written where there is no `first`.
unsafe fn each<const N: usize>(
    level: Level,
    f: impl Function<N>,
    len: usize,
    first: Option<&[f32]>,
    rest: [&[f32]; N],
    to: Shared,
) {
    for slice in rest.iter().chain(&first) {
        assert_eq!(slice.len(), len, "lengths of slices taken together");
    }
    let piece = |(start, len): (usize, usize)| {
        let rest = rest.map(|slice| slice[start..][..len].as_ptr());
        // SAFETY: the piece lies within all slices, and no other has its part of `to`.
        let to = unsafe { to.at(start) };
        let first = first.map_or(to.cast_const(), |slice| slice[start..][..len].as_ptr());
        level.run(Map {
            f,
            first,
            rest,
            to,
            len,
        });
    };
    in_pieces(len, piece);
}

/// Does `work` on `start, len` of pieces that cover `0..len`, on all threads if they are worth it.
pub(crate) fn in_pieces(len: usize, work: impl Fn((usize, usize)) + Sync) {
    if len < PARALLEL {
        work((0, len));
    } else {
        let pieces = (0..len.div_ceil(PIECE)).into_par_iter();
        pieces.for_each(|i| work((i * PIECE, PIECE.min(len - i * PIECE))));
    }
}

/// `f` of `len` numbers at each pointer.
struct Map<F, const N: usize> {
    f: F,
    first: *const f32,
    rest: [*const f32; N],
    to: *mut f32,
    len: usize,
}

impl<F: Function<N>, const N: usize> Task for Map<F, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.len - self.len % S::LANES;
        // SAFETY: of a task; `Map` is made with pointers to `len` numbers.
        unsafe {
            for i in (0..whole).step_by(S::LANES) {
                let rest = self.rest.map(|from| S::load(from.add(i)));
                let y = self.f.of::<S>(S::load(self.first.add(i)), rest);
                S::store(self.to.add(i), y);
            }
            let left = self.len - whole;
            if left > 0 {
                let rest = self.rest.map(|from| S::load_first(from.add(whole), left));
                let y = self
                    .f
                    .of::<S>(S::load_first(self.first.add(whole), left), rest);
                S::store_first(self.to.add(whole), left, y);
            }
        }
    }
}

/// `1/(1 + e^-x)`.
///
/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe { S::reciprocal(S::add(S::splat(1.0), S::exp(S::sub(S::zero(), x)))) }
}

/// `s (1 + x (1 - s))`, the derivative of `x s`, `s = 1/(1 + e^-x)`.
///
/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn silu_slope<S: Simd>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let s = sigmoid::<S>(x);
        S::fma(S::mul(x, s), S::sub(S::splat(1.0), s), s)
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Function<0> for Silu {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, x: S::V, _: [S::V; 0]) -> S::V {
        // SAFETY: as this method.
        unsafe { S::mul(x, sigmoid::<S>(x)) }
    }
}

#[derive(Clone, Copy)]
struct SiluGradient;

impl Function<1> for SiluGradient {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, dy: S::V, [x]: [S::V; 1]) -> S::V {
        // SAFETY: as this method.
        unsafe { S::mul(dy, silu_slope::<S>(x)) }
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl Function<0> for Relu {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, x: S::V, _: [S::V; 0]) -> S::V {
        // SAFETY: as this method. In this order what is no number stays none.
        unsafe { S::max(S::zero(), x) }
    }
}

#[derive(Clone, Copy)]
struct ReluGradient;

impl Function<1> for ReluGradient {
    #[inline(always)]
    unsafe fn of<S: Simd>(self, dy: S::V, [x]: [S::V; 1]) -> S::V {
        // SAFETY: as this method.
        unsafe { S::gate(x, dy) }
    }
}

/// Two rows of twice the length from one.
struct Double<'a> {
    from: &'a [f32],
    to: *mut f32,
}

impl Task for Double<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = 2 * self.from.len();
        // SAFETY: `Double` is made with a pointer to two rows.
        unsafe {
            for (i, x) in self.from.iter().enumerate() {
                self.to
                    .add(2 * i)
                    .cast::<[f32; 2]>()
                    .write_unaligned([*x, *x]);
            }
            self.to.copy_to_nonoverlapping(self.to.add(width), width);
        }
    }
}

/// One row of half the length from two.
struct Halve<'a> {
    from: &'a [f32],
    to: *mut f32,
}

impl Task for Halve<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (upper, lower) = self.from.split_at(self.from.len() / 2);
        let pairs = upper
            .as_chunks::<2>()
            .0
            .iter()
            .zip(lower.as_chunks::<2>().0);
        for (i, (a, b)) in pairs.enumerate() {
            // SAFETY: `Halve` is made with a pointer to a row of half the length.
            unsafe { *self.to.add(i) = (a[0] + a[1]) + (b[0] + b[1]) };
        }
    }
}
