//! The transforms of a row of tiles, one axis after the other: what neighbours share along the rows is computed once.

use super::transform::{IN, OUT, input, output, output_adjoint};
use crate::simd::Simd;

/// Where products lie: `[36]` at `k step`, of which tile `t` is at `t tile`.
#[derive(Clone, Copy)]
pub(super) struct Products {
    pub(super) step: usize,
    pub(super) tile: usize,
}

/// Pixels of a strip that `tiles` tiles read in a row.
pub(super) fn width_in(tiles: usize) -> usize {
    tiles * OUT + IN - OUT
}

/// Numbers of `between` that the transforms of a row of `tiles` tiles need.
pub(super) fn between_len(tiles: usize, lanes: usize) -> usize {
    IN * width_in(tiles) * lanes
}

/// `N` vectors, `step` numbers apart.
#[inline(always)]
pub(super) unsafe fn load<S: Simd, const N: usize>(from: *const f32, step: usize) -> [S::V; N] {
    // SAFETY: the caller's.
    unsafe {
        let mut all = [S::zero(); N];
        for (i, v) in all.iter_mut().enumerate() {
            *v = S::load(from.add(i * step));
        }
        all
    }
}

/// `B' d B` of a row of tiles from six rows of a strip.
///
/// # Safety
/// The machine has the instructions of `S`; `strip` holds six rows of [`width_in`] vectors, `between` is of
/// [`between_len`], and `to` holds the products.
#[inline(always)]
pub(super) unsafe fn inputs<S: Simd>(
    strip: *const f32,
    tiles: usize,
    between: *mut f32,
    to: *mut f32,
    products: Products,
) {
    let row = width_in(tiles) * S::LANES;
    // SAFETY: as this function.
    unsafe {
        for at in (0..row).step_by(S::LANES) {
            let column = load::<S, IN>(strip.add(at), row);
            for (i, v) in input::<S>(column).into_iter().enumerate() {
                S::store(between.add(i * row + at), v);
            }
        }
        for i in 0..IN {
            for t in 0..tiles {
                let from = between.add(i * row + t * OUT * S::LANES);
                let d = load::<S, IN>(from, S::LANES);
                let to = to.add(i * IN * products.step + t * products.tile);
                for (j, v) in input::<S>(d).into_iter().enumerate() {
                    S::store(to.add(j * products.step), v);
                }
            }
        }
    }
}

/// `A' m A + bias` of a row of tiles, to four rows of a strip.
///
/// # Safety
/// As [`inputs`]; `strip` holds four rows of `4 tiles` vectors.
#[inline(always)]
pub(super) unsafe fn outputs<S: Simd>(
    from: *const f32,
    products: Products,
    tiles: usize,
    bias: S::V,
    between: *mut f32,
    strip: *mut f32,
) {
    let row = tiles * OUT * S::LANES;
    // SAFETY: as this function.
    unsafe {
        for i in 0..IN {
            for t in 0..tiles {
                let from = from.add(i * IN * products.step + t * products.tile);
                let m = load::<S, IN>(from, products.step);
                let to = between.add(i * row + t * OUT * S::LANES);
                for (j, v) in output::<S>(m).into_iter().enumerate() {
                    S::store(to.add(j * S::LANES), v);
                }
            }
        }
        for at in (0..row).step_by(S::LANES) {
            let column = load::<S, IN>(between.add(at), row);
            for (i, v) in output::<S>(column).into_iter().enumerate() {
                S::store(strip.add(i * row + at), S::add(v, bias));
            }
        }
    }
}

/// `A dy A'` of a row of tiles from four rows of a strip.
///
/// # Safety
/// As [`outputs`].
#[inline(always)]
pub(super) unsafe fn output_adjoints<S: Simd>(
    strip: *const f32,
    tiles: usize,
    between: *mut f32,
    to: *mut f32,
    products: Products,
) {
    let row = tiles * OUT * S::LANES;
    // SAFETY: as this function.
    unsafe {
        for at in (0..row).step_by(S::LANES) {
            let column = load::<S, OUT>(strip.add(at), row);
            for (i, v) in output_adjoint::<S>(column).into_iter().enumerate() {
                S::store(between.add(i * row + at), v);
            }
        }
        for i in 0..IN {
            for t in 0..tiles {
                let from = between.add(i * row + t * OUT * S::LANES);
                let d = load::<S, OUT>(from, S::LANES);
                let to = to.add(i * IN * products.step + t * products.tile);
                for (j, v) in output_adjoint::<S>(d).into_iter().enumerate() {
                    S::store(to.add(j * products.step), v);
                }
            }
        }
    }
}
