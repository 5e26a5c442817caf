//! The attended image.

use rayon::prelude::*;

use super::{
    Attention, gather, largest, pack, pack_transposed, pad, product, transposed_product, width,
};
use crate::Level;
use crate::gemm::VECTORS;
use crate::scratch::lend;
use crate::shared::written;
use crate::simd::{Simd, Task};

/// `Y`, `[batch, channels, length]`, of `qkv`, `[batch, 3 channels, length]`.
///
/// ```
/// use tweedie_kernels::{Level, attention};
///
/// // Keys that are all the same: each pixel sees the mean of the values.
/// let sizes = attention::Attention { batch: 1, heads: 1, channels: 1, length: 2 };
/// let y = attention::forward(Level::best(), &sizes, &[3.0, 5.0, 1.0, 1.0, 2.0, 4.0]);
/// assert_eq!(y, [3.0, 3.0]);
/// ```
///
/// # Panics
/// If the heads do not divide the channels, or the length is not that of the sizes.
pub fn forward(level: Level, attention: &Attention, qkv: &[f32]) -> Vec<f32> {
    attention.check(qkv);
    let (depth, length) = (attention.depth(), attention.length);
    if attention.len() == 0 {
        return Vec::new();
    }
    let lanes = level.lanes();
    let (w, padded) = (VECTORS * lanes, length.next_multiple_of(lanes));
    let least = attention.queries_of_piece(2);
    let all = |y: crate::shared::Shared| {
        let heads = (0..attention.batch * attention.heads).into_par_iter();
        heads.with_min_len(least.div_ceil(length)).for_each(|head| {
            let [q, k, v] = attention.head(qkv, head);
            lend(depth * (length + padded), |packed| {
                let (keys, values) = packed.split_at_mut(depth * length);
                level.run(Pack {
                    k,
                    v,
                    length,
                    keys,
                    values,
                });
                let (keys, values) = (&*keys, &*values);
                let panels = (0..length.div_ceil(w)).into_par_iter();
                panels.with_min_len(least.div_ceil(w)).for_each(|panel| {
                    lend((depth + padded) * w, |scratch| {
                        let (queries, weights) = scratch.split_at_mut(depth * w);
                        let first = panel * w;
                        // SAFETY: heads and panels are within `y`, each its own part.
                        let y = unsafe { y.at(head * depth * length + first) };
                        let scale = attention.scale();
                        level.run(Panel {
                            q,
                            keys,
                            values,
                            length,
                            first,
                            scale,
                            queries,
                            weights,
                            y,
                        });
                    });
                });
            });
        });
    };
    // SAFETY: the panels of all heads cover the output, which is read after them only.
    unsafe { written(attention.len(), all) }
}

/// The left factors of a head.
struct Pack<'a> {
    k: &'a [f32],
    v: &'a [f32],
    length: usize,
    keys: &'a mut [f32],
    values: &'a mut [f32],
}

impl Task for Pack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: of a task; the factors have room for the matrices, that of the values in whole vectors.
        unsafe {
            pack_transposed::<S>(self.k, self.length, self.keys.as_mut_ptr());
            pack::<S>(self.v, self.length, 1.0, self.values.as_mut_ptr());
        }
    }
}

/// The queries of a panel.
struct Panel<'a> {
    q: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    length: usize,
    first: usize,
    scale: f32,
    queries: &'a mut [f32],
    weights: &'a mut [f32],
    y: *mut f32,
}

impl Task for Panel<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            q,
            keys,
            values,
            length,
            first,
            scale,
            queries,
            weights,
            y,
        } = self;
        let depth = q.len() / length;
        let columns = width::<S>().min(length - first);
        let (queries, weights) = (queries.as_mut_ptr(), weights.as_mut_ptr());
        // SAFETY: of a task; the slices have the sizes of `forward`, `y` the columns of this panel to itself.
        unsafe {
            gather::<S>(q, length, first, scale, queries);
            transposed_product::<S>(keys.as_ptr(), [length, depth], queries, weights);
            let sums = exponents::<S>(weights, length);
            pad::<S>(weights, length);
            product::<S>(
                values.as_ptr(),
                [depth, length],
                weights,
                y,
                length,
                columns,
            );
            for (n, sum) in sums.into_iter().enumerate() {
                let (start, factor) = (n * S::LANES, S::div(S::splat(1.0), sum));
                let len = S::LANES.min(columns.saturating_sub(start));
                for row in 0..depth {
                    let y = y.wrapping_add(row * length + start);
                    S::store_first(y, len, S::mul(S::load_first(y, len), factor));
                }
            }
        }
    }
}

/// Each number of a panel becomes the exponential of its distance from the largest of its column; their sums.
///
/// # Safety
/// The machine has the instructions of `S`; the panel has these rows, one at least.
#[inline(always)]
unsafe fn exponents<S: Simd>(panel: *mut f32, rows: usize) -> [S::V; VECTORS] {
    // SAFETY: as this function.
    unsafe {
        let most = largest::<S>(panel, rows);
        let mut sums = [S::zero(); VECTORS];
        for row in 0..rows {
            for n in 0..VECTORS {
                let at = panel.add(row * width::<S>() + n * S::LANES);
                let e = S::exp(S::sub(S::load(at), most[n]));
                S::store(at, e);
                sums[n] = S::add(sums[n], e);
            }
        }
        sums
    }
}
