//! The matrices of F(4, 3) with the points 0, 1, -1, 2, -2 and infinity, along one axis, on vectors of channels.
//!
//! `y = A' ((G g) (B' d))` for four outputs `y`, a kernel `g` of three numbers and six inputs `d`: Lavin & Gray 2016,
//! section 4.3, <https://arxiv.org/abs/1509.09308>.

use crate::simd::Simd;

/// Outputs of a tile along an axis.
pub(super) const OUT: usize = 4;
/// Inputs of a tile along an axis, and products.
pub(super) const IN: usize = 6;
/// Products of a tile.
pub(super) const PRODUCTS: usize = IN * IN;
/// Numbers of a kernel along an axis.
pub(super) const TAPS: usize = 3;

/// `B' d`.
#[inline(always)]
pub(super) unsafe fn input<S: Simd>(d: [S::V; IN]) -> [S::V; IN] {
    // SAFETY: the caller's instructions.
    unsafe {
        let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
        let even = S::fnma(four, d[2], d[4]);
        let odd = S::fnma(four, d[1], d[3]);
        let (far_even, far_odd) = (S::sub(d[4], d[2]), S::sub(d[3], d[1]));
        [
            S::fma(four, d[0], S::fnma(five, d[2], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::fma(two, far_odd, far_even),
            S::fnma(two, far_odd, far_even),
            S::fma(four, d[1], S::fnma(five, d[3], d[5])),
        ]
    }
}

/// `A' m`.
#[inline(always)]
pub(super) unsafe fn output<S: Simd>(m: [S::V; IN]) -> [S::V; OUT] {
    // SAFETY: the caller's instructions.
    unsafe {
        let (near_even, near_odd) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (far_even, far_odd) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(S::add(m[0], near_even), far_even),
            S::fma(S::splat(2.0), far_odd, near_odd),
            S::fma(S::splat(4.0), far_even, near_even),
            S::add(S::fma(S::splat(8.0), far_odd, near_odd), m[5]),
        ]
    }
}

/// `A y`, the adjoint of [`output`].
#[inline(always)]
pub(super) unsafe fn output_adjoint<S: Simd>(y: [S::V; OUT]) -> [S::V; IN] {
    // SAFETY: the caller's instructions.
    unsafe {
        let (near_even, near_odd) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
        let far_even = S::fma(S::splat(4.0), y[2], y[0]);
        let far_odd = S::mul(S::splat(2.0), S::fma(S::splat(4.0), y[3], y[1]));
        [
            y[0],
            S::add(near_even, near_odd),
            S::sub(near_even, near_odd),
            S::add(far_even, far_odd),
            S::sub(far_even, far_odd),
            y[3],
        ]
    }
}

/// `G g`.
#[inline(always)]
pub(super) unsafe fn kernel<S: Simd>(g: [S::V; TAPS]) -> [S::V; IN] {
    // SAFETY: the caller's instructions.
    unsafe {
        let sixth = S::splat(1.0 / 6.0);
        let near_even = S::mul(S::splat(-1.0 / 6.0), S::add(g[0], g[2]));
        let near_odd = S::mul(sixth, g[1]);
        let far_even = S::mul(sixth, S::fma(S::splat(0.25), g[0], g[2]));
        let far_odd = S::mul(S::splat(1.0 / 12.0), g[1]);
        [
            S::mul(S::splat(0.25), g[0]),
            S::sub(near_even, near_odd),
            S::add(near_even, near_odd),
            S::add(far_even, far_odd),
            S::sub(far_even, far_odd),
            g[2],
        ]
    }
}

/// `G' u`, the adjoint of [`kernel`].
#[inline(always)]
pub(super) unsafe fn kernel_adjoint<S: Simd>(u: [S::V; IN]) -> [S::V; TAPS] {
    // SAFETY: the caller's instructions.
    unsafe {
        let (near_even, near_odd) = (S::add(u[1], u[2]), S::sub(u[2], u[1]));
        let (far_even, far_odd) = (S::add(u[3], u[4]), S::sub(u[3], u[4]));
        let sixth = S::splat(1.0 / 6.0);
        // The part that g[0] and g[2] share, and what each adds to it.
        let first = S::fma(S::splat(0.25), far_even, S::sub(S::zero(), near_even));
        [
            S::fma(S::splat(0.25), u[0], S::mul(sixth, first)),
            S::mul(sixth, S::fma(S::splat(0.5), far_odd, near_odd)),
            S::fma(sixth, S::sub(far_even, near_even), u[5]),
        ]
    }
}
