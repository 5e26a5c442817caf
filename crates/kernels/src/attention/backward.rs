//! The gradient.

use rayon::prelude::*;

use super::{
    Attention, gather, largest, pack, pack_transposed, pad, product, transposed_product, width,
};
use crate::Level;
use crate::gemm::{Depth, Operands, RowStep, VECTORS, balanced, multiply};
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{MOST_LANES, Simd, Task};

/// Queries whose weights are summed over at once, in a whole number of panels: the sums of keys and values are read and
/// written once for so many.
const TURN: usize = 64;

/// Queries that have sums of their own, at least; and how many such strips there are at most. They set how much of one
/// head may be done in parallel, and depend on its length alone, so that the order of all sums does.
const STRIP: usize = 2 * TURN;
const STRIPS: usize = 8;

/// The gradient with respect to `qkv`, `[batch, 3 channels, length]`, of a function with gradient `dy`, `[batch, channels,
/// length]`, with respect to [`forward`](super::forward) of `qkv`.
///
/// # Panics
/// If the heads do not divide the channels, or a length is not that of the sizes.
pub fn backward(level: Level, attention: &Attention, qkv: &[f32], dy: &[f32]) -> Vec<f32> {
    attention.check(qkv);
    assert_eq!(dy.len(), attention.len(), "numbers of dy");
    if dy.is_empty() {
        return Vec::new();
    }
    let least = attention.queries_of_piece(5).div_ceil(attention.length);
    let all = |gradient: Shared| {
        let heads = (0..attention.batch * attention.heads).into_par_iter();
        heads.with_min_len(least).for_each(|head| {
            let len = attention.depth() * attention.length;
            let [q, k, v] = attention.head(qkv, head);
            let parts = Head {
                level,
                length: attention.length,
                depth: attention.depth(),
                scale: attention.scale(),
                q,
                k,
                v,
                dy: &dy[head * len..][..len],
                gradient,
                start: attention.start(head),
            };
            parts.write();
        });
    };
    // SAFETY: the heads cover the gradient, which is read after them only.
    unsafe { written(qkv.len(), all) }
}

/// One head of one image.
struct Head<'a> {
    level: Level,
    length: usize,
    depth: usize,
    scale: f32,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    dy: &'a [f32],
    /// Of all heads; and where those with respect to `Q`, `K` and `V` begin, which nothing else reads or writes.
    gradient: Shared,
    start: [usize; 3],
}

impl Head<'_> {
    /// Writes the gradients with respect to `Q`, `K` and `V`.
    fn write(&self) {
        let Self {
            level,
            length,
            depth,
            ..
        } = *self;
        let (lanes, len) = (level.lanes(), depth * length);
        let strips = length.div_ceil(STRIP).min(STRIPS);
        let turns = length.div_ceil(TURN);
        let padded = length.next_multiple_of(lanes);
        lend(2 * len + depth * padded, |packed| {
            level.run(Pack {
                head: self,
                to: packed,
            });
            let packed = &*packed;
            lend(strips * 2 * len, |sums| {
                sums.par_chunks_exact_mut(2 * len)
                    .enumerate()
                    .for_each(|(strip, sums)| {
                        let turns = strip * turns / strips..(strip + 1) * turns / strips;
                        lend(Scratch::len(self, lanes), |scratch| {
                            level.run(Strip {
                                head: self,
                                packed,
                                turns,
                                sums,
                                scratch,
                            });
                        });
                    });
                let sums = &*sums;
                let blocks = (0..length.div_ceil(TURN)).into_par_iter();
                blocks.for_each(|block| {
                    let keys = block * TURN..length.min((block + 1) * TURN);
                    level.run(Collect {
                        head: self,
                        sums,
                        keys,
                    });
                });
            });
        });
    }
}

/// The left factors of a head: the transposed keys and values, and the keys times the scale.
struct Pack<'a> {
    head: &'a Head<'a>,
    to: &'a mut [f32],
}

impl Task for Pack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Head {
            length,
            k,
            v,
            scale,
            ..
        } = *self.head;
        let (keys, rest) = self.to.split_at_mut(k.len());
        let (values, scaled) = rest.split_at_mut(v.len());
        // SAFETY: of a task; the factors have room for the matrices, the last in whole vectors.
        unsafe {
            pack_transposed::<S>(k, length, keys.as_mut_ptr());
            pack_transposed::<S>(v, length, values.as_mut_ptr());
            pack::<S>(k, length, scale, scaled.as_mut_ptr());
        }
    }
}

/// The numbers of a turn.
struct Scratch {
    /// Panels of the queries, or of `dy`: as many rows as there are channels, in whole vectors.
    queries: *mut f32,
    gradients: *mut f32,
    /// Their transposes, one panel after the other.
    queries_of_turn: *mut f32,
    gradients_of_turn: *mut f32,
    /// Panels of `P` and `T`, one after the other.
    weights: *mut f32,
    tangents: *mut f32,
}

impl Scratch {
    fn len(head: &Head<'_>, lanes: usize) -> usize {
        let (depth, rows) = (
            head.depth.next_multiple_of(lanes),
            head.length.next_multiple_of(lanes),
        );
        2 * (VECTORS * lanes + TURN) * depth + 2 * TURN * rows
    }

    /// # Safety
    /// `numbers` is of the length for these lanes.
    unsafe fn of(numbers: &mut [f32], head: &Head<'_>, lanes: usize) -> Self {
        debug_assert_eq!(numbers.len(), Self::len(head, lanes));
        let (depth, rows) = (
            head.depth.next_multiple_of(lanes),
            head.length.next_multiple_of(lanes),
        );
        let mut rest = numbers.as_mut_ptr();
        let mut part = |len| {
            let part = rest;
            // SAFETY: the parts sum to the length.
            rest = unsafe { rest.add(len) };
            part
        };
        Self {
            queries: part(VECTORS * lanes * depth),
            gradients: part(VECTORS * lanes * depth),
            queries_of_turn: part(TURN * depth),
            gradients_of_turn: part(TURN * depth),
            weights: part(TURN * rows),
            tangents: part(TURN * rows),
        }
    }
}

/// Some turns of a head: their part of `dQ`, and their sums of `dK` and `dV`, both transposed.
struct Strip<'a> {
    head: &'a Head<'a>,
    packed: &'a [f32],
    turns: std::ops::Range<usize>,
    sums: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Task for Strip<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            head,
            packed,
            turns,
            sums,
            scratch,
        } = self;
        let (length, depth, w) = (head.length, head.depth, width::<S>());
        let len = depth * length;
        let [keys, values, scaled] = [0, len, 2 * len].map(|start| packed[start..].as_ptr());
        let (key_sums, value_sums) = sums.split_at_mut(len);
        let (deep, rows) = (
            depth.next_multiple_of(S::LANES),
            length.next_multiple_of(S::LANES),
        );
        let first_turn = turns.start;
        // SAFETY: of a task; the slices have the sizes of `Head::write`, and these panels of `dQ` are this strip's.
        unsafe {
            let s = Scratch::of(scratch, head, S::LANES);
            for rest in [s.queries, s.gradients] {
                std::slice::from_raw_parts_mut(rest.add(depth * w), (deep - depth) * w).fill(0.0);
            }
            for turn in turns {
                let panels = (length - turn * TURN).min(TURN).div_ceil(w);
                for panel in 0..panels {
                    let first = turn * TURN + panel * w;
                    let weights = s.weights.add(panel * rows * w);
                    let tangents = s.tangents.add(panel * rows * w);
                    gather::<S>(head.q, length, first, head.scale, s.queries);
                    gather::<S>(head.dy, length, first, 1.0, s.gradients);
                    transpose::<S>(s.queries, deep, s.queries_of_turn.add(panel * w * deep));
                    transpose::<S>(s.gradients, deep, s.gradients_of_turn.add(panel * w * deep));
                    // Loops, so that the product is compiled once.
                    let factors = [(keys, s.queries, weights), (values, s.gradients, tangents)];
                    for (a, b, c) in factors {
                        transposed_product::<S>(a, [length, depth], b, c);
                    }
                    weigh::<S>(weights, tangents, length);
                    pad::<S>(tangents, length);
                    let columns = w.min(length - first);
                    let dq = head.gradient.at(head.start[0] + first);
                    product::<S>(scaled, [depth, length], tangents, dq, length, columns);
                }
                let sum = Sum {
                    panels,
                    rows,
                    length,
                    depth,
                    accumulate: turn > first_turn,
                };
                let factors = [
                    (s.tangents, s.queries_of_turn, key_sums.as_mut_ptr()),
                    (s.weights, s.gradients_of_turn, value_sums.as_mut_ptr()),
                ];
                for (a, b, c) in factors {
                    sum.add::<S>(a, b, c);
                }
            }
        }
    }
}

/// The transpose of a panel of `deep` rows, a whole number of vectors.
///
/// # Safety
/// The machine has the instructions of `S`; both have these numbers.
#[inline(always)]
unsafe fn transpose<S: Simd>(panel: *const f32, deep: usize, to: *mut f32) {
    for row in (0..deep).step_by(S::LANES) {
        for column in (0..width::<S>()).step_by(S::LANES) {
            // SAFETY: as this function.
            unsafe {
                let from = panel.add(row * width::<S>() + column);
                S::transpose(from, width::<S>(), to.add(column * deep + row), deep);
            }
        }
    }
}

/// From `K^T Q` and `V^T G` to `P` and `T`.
///
/// # Safety
/// The machine has the instructions of `S`; the panels have these rows, one at least.
#[inline(always)]
unsafe fn weigh<S: Simd>(weights: *mut f32, tangents: *mut f32, rows: usize) {
    let numbers = rows * width::<S>();
    // SAFETY: as this function.
    unsafe {
        let most = largest::<S>(weights, rows);
        let mut sums = [S::zero(); VECTORS];
        let mut means = [S::zero(); VECTORS];
        for row in (0..numbers).step_by(width::<S>()) {
            for n in 0..VECTORS {
                let at = row + n * S::LANES;
                let e = S::exp(S::sub(S::load(weights.add(at)), most[n]));
                S::store(weights.add(at), e);
                sums[n] = S::add(sums[n], e);
                means[n] = S::fma(e, S::load(tangents.add(at)), means[n]);
            }
        }
        let factors = sums.map(|sum| S::div(S::splat(1.0), sum));
        let means = [0, 1].map(|n| S::mul(means[n], factors[n]));
        for row in (0..numbers).step_by(width::<S>()) {
            for n in 0..VECTORS {
                let at = row + n * S::LANES;
                let p = S::mul(S::load(weights.add(at)), factors[n]);
                S::store(weights.add(at), p);
                let t = S::sub(S::load(tangents.add(at)), means[n]);
                S::store(tangents.add(at), S::mul(p, t));
            }
        }
    }
}

/// Rows of a panel as rows of a left factor.
struct ByPanel;

impl RowStep for ByPanel {
    #[inline(always)]
    fn of<S: Simd>() -> usize {
        width::<S>()
    }
}

/// A product with the panels of a turn as left factor, `[length, queries]`.
struct Sum {
    panels: usize,
    /// Of a panel.
    rows: usize,
    length: usize,
    depth: usize,
    accumulate: bool,
}

impl Sum {
    /// Writes `panels` times `right`, `[queries, depth]`, into `to`, `[length, depth]`, or adds it.
    ///
    /// # Safety
    /// The machine has the instructions of `S`; all have these sizes, the rows of `right` in whole vectors.
    #[inline(always)]
    unsafe fn add<S: Simd>(&self, panels: *const f32, right: *const f32, to: *mut f32) {
        let w = width::<S>();
        let deep = self.depth.next_multiple_of(S::LANES);
        for column in (0..self.depth).step_by(w) {
            for (first, rows) in balanced(self.length, S::ROWS) {
                // SAFETY: as this method.
                unsafe {
                    let operands = Operands {
                        a: panels.add(first * w),
                        depth: Depth {
                            blocks: self.panels,
                            block_step: self.rows * w,
                            inner_len: w,
                            inner_step: 1,
                        },
                        b: right.add(column),
                        b_step: deep,
                        c: to.add(first * self.depth + column),
                        c_step: self.depth,
                        columns: w.min(self.depth - column),
                        accumulate: self.accumulate,
                    };
                    multiply::<S, ByPanel>(rows, operands);
                }
            }
        }
    }
}

/// Writes some keys of `dK` and `dV` from the sums of all strips, each of both one after the other, `[length, depth]`.
struct Collect<'a> {
    head: &'a Head<'a>,
    sums: &'a [f32],
    keys: std::ops::Range<usize>,
}

impl Task for Collect<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { head, sums, keys } = self;
        let Head { depth, length, .. } = *head;
        let len = depth * length;
        let mut square = [0.0; MOST_LANES * MOST_LANES];
        let mut turned = square;
        // SAFETY: of a task; the keys are within both, and this task's alone.
        unsafe {
            for (part, start) in head.start[1..].iter().enumerate() {
                for channel in (0..depth).step_by(S::LANES) {
                    let columns = S::LANES.min(depth - channel);
                    for key in keys.clone().step_by(S::LANES) {
                        let rows = S::LANES.min(keys.end - key);
                        for row in 0..rows {
                            let mut sum = S::zero();
                            let mut at = part * len + (key + row) * depth + channel;
                            while at < sums.len() {
                                let from = &sums[at..][..columns];
                                sum = S::add(sum, S::load_first(from.as_ptr(), columns));
                                at += 2 * len;
                            }
                            S::store(square.as_mut_ptr().add(row * S::LANES), sum);
                        }
                        S::transpose(square.as_ptr(), S::LANES, turned.as_mut_ptr(), S::LANES);
                        for column in 0..columns {
                            let to = head.gradient.at(start + (channel + column) * length + key);
                            let v = S::load(turned.as_ptr().add(column * S::LANES));
                            S::store_first(to, rows, v);
                        }
                    }
                }
            }
        }
    }
}
