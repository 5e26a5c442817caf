//! The products of a [`Plan`]: a group of columns at a time, gathered into cache and multiplied with all rows of weights.

use std::ops::Range;

use rayon::prelude::*;

use super::patches::{Gather, Run, runs};
use super::plan::{Phase, Plan};
use crate::Level;
use crate::gemm::{ByOne, Depth, Operands, VECTORS, balanced, multiply};
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// Numbers of a task that stay in the second cache.
const CACHE: usize = 1 << 18;

/// Panels that a block of weights is used for once it is in the first cache, at least, if there are as many.
const PANELS: usize = 2;

/// Multiplications that are worth a task.
const WORK: usize = 1 << 19;

/// What a thread does at a time.
#[derive(Clone, Copy)]
struct Cut {
    /// Panels of columns.
    panels: usize,
    groups: usize,
    /// Blocks of rows.
    blocks: usize,
    chunks: usize,
}

impl Cut {
    fn new(plan: &Plan, width: usize, blocks: &[(usize, usize)]) -> Self {
        let panels = plan.columns().div_ceil(width);
        let depth = plan.phases.iter().map(Phase::depth).max().unwrap_or(0);
        let taps: usize = plan.phases.iter().map(|phase| phase.patches.taps()).sum();
        let work = plan.columns() * plan.rows * taps * plan.phases[0].patches.channels;
        let threads = rayon::current_num_threads();
        let wanted = if threads == 1 {
            1
        } else {
            (work / WORK).clamp(1, 4 * threads)
        };

        // As many rows as leave room for the columns, then as many columns as fit.
        let block = blocks[0].1.max(1) * plan.phases.len();
        let most = (CACHE / 2 / (width * block)).clamp(1, blocks.len());
        let chunks = blocks.len().div_ceil(most);
        let fits = CACHE / (width * (depth + most * block));
        let group = fits
            .min(panels.div_ceil(wanted).max(PANELS))
            .clamp(1, panels);
        let groups = panels.div_ceil(group);
        let more = wanted
            .min(2 * threads)
            .div_ceil(groups)
            .min(blocks.len() / 4);
        let chunks = chunks.max(more);
        Self {
            panels: panels.div_ceil(groups),
            groups,
            blocks: blocks.len().div_ceil(chunks),
            chunks,
        }
    }
}

/// The result of all phases.
pub(super) fn run(
    level: Level,
    plan: &Plan,
    images: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let len = plan.batch * plan.rows * plan.size[0] * plan.size[1];
    if len == 0 {
        return Vec::new();
    }
    let width = VECTORS * level.lanes();
    let blocks: Vec<_> = balanced(plan.rows, most_rows(level)).collect();
    let cut = Cut::new(plan, width, &blocks);
    let depth = plan.phases.iter().map(Phase::depth).max().unwrap_or(0);
    let columns = plan.columns();
    let task = |task: usize, result: Shared| {
        let first = (task / cut.chunks) * cut.panels * width;
        let columns = first.min(columns)..(first + cut.panels * width).min(columns);
        let block = (task % cut.chunks) * cut.blocks;
        let blocks = &blocks[block.min(blocks.len())..(block + cut.blocks).min(blocks.len())];
        if columns.is_empty() || blocks.is_empty() {
            return;
        }
        let rows = blocks.iter().map(|block| block.1).sum();
        // A vector more, so that rows do not all fall on the same lines of the cache.
        let sum_step = cut.panels * width + level.lanes();
        lend(cut.panels * depth * width, |panels| {
            lend(plan.phases.len() * rows * sum_step, |sums| {
                level.run(Part {
                    plan,
                    images,
                    weights,
                    bias,
                    columns,
                    blocks,
                    rows,
                    panels,
                    sums,
                    sum_step,
                    result,
                });
            });
        });
    };
    // SAFETY: the tasks cover all columns and rows, hence all numbers, each in one task.
    unsafe {
        written(len, |result| match cut.groups * cut.chunks {
            1 => task(0, result),
            tasks => (0..tasks)
                .into_par_iter()
                .with_max_len(1)
                .for_each(|i| task(i, result)),
        })
    }
}

/// Rows of a block of the product.
pub(super) fn most_rows(level: Level) -> usize {
    struct Rows;
    impl Task for Rows {
        type Output = usize;
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> usize {
            S::ROWS
        }
    }
    level.run(Rows)
}

/// Some columns and rows of the result.
struct Part<'a> {
    plan: &'a Plan,
    images: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    columns: Range<usize>,
    blocks: &'a [(usize, usize)],
    /// Of all blocks.
    rows: usize,
    /// Patches, `[panel][row][column]`.
    panels: &'a mut [f32],
    /// `[phase][row][column]`.
    sums: &'a mut [f32],
    sum_step: usize,
    result: Shared,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        for phase in 0..self.plan.phases.len() {
            // SAFETY: as this function.
            unsafe { self.multiply::<S>(phase) };
        }
        // SAFETY: as this function; the sums of all phases are written.
        unsafe { self.write::<S>() };
    }
}

impl Part<'_> {
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&mut self, index: usize) {
        let phase = &self.plan.phases[index];
        let (width, taps) = (VECTORS * S::LANES, phase.patches.taps());
        let sums = &mut self.sums[index * self.rows * self.sum_step..][..self.rows * self.sum_step];
        let panel_step = phase.depth() * width;
        let mut gather = Gather::new(&phase.patches, width, panel_step);
        gather.aim(self.columns.clone());
        let starts = self.columns.clone().step_by(width);
        debug_assert!(starts.len() * panel_step <= self.panels.len());
        let mut accumulate = false;
        for channels in phase.channel_blocks() {
            let depth = channels.1 * taps;
            // SAFETY: the panels hold all columns of this depth.
            unsafe {
                let channels = channels.0..channels.0 + channels.1;
                gather.copy::<S>(self.images.as_ptr(), channels, self.panels.as_mut_ptr());
            }
            for &rows in self.blocks {
                let a = &self.weights[self.plan.block(phase, channels, rows)..][..depth * rows.1];
                let row = rows.0 - self.blocks[0].0;
                for (i, start) in starts.clone().enumerate() {
                    // SAFETY: the block of weights and the panel are of this depth, and the sums have room for all panels.
                    unsafe {
                        let o = Operands {
                            a: a.as_ptr(),
                            depth: Depth::strided(depth, rows.1),
                            b: self.panels.as_ptr().add(i * panel_step),
                            b_step: width,
                            c: sums.as_mut_ptr().add(row * self.sum_step + i * width),
                            c_step: self.sum_step,
                            columns: width.min(self.columns.end - start),
                            accumulate,
                        };
                        multiply::<S, ByOne>(rows.1, o);
                    }
                }
            }
            accumulate = true;
        }
        if !accumulate {
            sums.fill(0.0);
        }
    }

    /// # Safety
    /// The machine has the instructions of `S`, and the sums are written.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self) {
        let (spread, points) = (self.plan.spread, self.plan.points());
        // Without remainders the points of an image lie as the pixels of the result.
        let (points, size) = match spread {
            [1, 1] => (
                [1, points[0] * points[1]],
                [1, self.plan.size[0] * self.plan.size[1]],
            ),
            _ => (points, self.plan.size),
        };
        let runs: Vec<Run> = runs(points, self.columns.clone()).collect();
        let phase_step = self.rows * self.sum_step;
        for row in 0..self.rows {
            let channel = self.blocks[0].0 + row;
            for run in &runs {
                let plane = run.image * self.plan.rows + channel;
                let bias = self.bias.map_or(0.0, |bias| {
                    if bias.len() == self.plan.rows {
                        bias[channel]
                    } else {
                        bias[plane]
                    }
                });
                let column = spread[1] * run.column;
                let len = (spread[1] * run.len).min(size[1] - column);
                for a in 0..spread[0].min(size[0] - spread[0] * run.row) {
                    let from = a * spread[1] * phase_step + row * self.sum_step + run.at;
                    let to = (plane * size[0] + spread[0] * run.row + a) * size[1] + column;
                    // SAFETY: the run lies in the columns of this part, and its pixels in the image.
                    unsafe {
                        let (from, to) = (self.sums.as_ptr().add(from), self.result.at(to));
                        match spread[1] {
                            1 => shifted::<S>(from, to, len, bias),
                            2 => interleaved::<2>(from, phase_step, to, len, 2, bias),
                            n => interleaved::<0>(from, phase_step, to, len, n, bias),
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The machine has the instructions of `S`; both sides hold `len` numbers.
#[inline(always)]
unsafe fn shifted<S: Simd>(from: *const f32, to: *mut f32, len: usize, bias: f32) {
    // SAFETY: as this function.
    unsafe {
        let bias = S::splat(bias);
        let mut at = 0;
        while at + S::LANES <= len {
            S::store(to.add(at), S::add(S::load(from.add(at)), bias));
            at += S::LANES;
        }
        if at < len {
            let v = S::add(S::load_first(from.add(at), len - at), bias);
            S::store_first(to.add(at), len - at, v);
        }
    }
}

/// The numbers of `parts` rows in turn.
///
/// # Safety
/// `to` holds `len` numbers, and the rows, `step` numbers apart, those that they have of them; `PARTS` is `parts` or 0.
#[inline(always)]
unsafe fn interleaved<const PARTS: usize>(
    from: *const f32,
    step: usize,
    to: *mut f32,
    len: usize,
    parts: usize,
    bias: f32,
) {
    let parts = if PARTS == 0 { parts } else { PARTS };
    let (whole, rest) = (len / parts, len % parts);
    // SAFETY: as this function.
    unsafe {
        for i in 0..whole {
            for part in 0..parts {
                *to.add(i * parts + part) = *from.add(part * step + i) + bias;
            }
        }
        for part in 0..rest {
            *to.add(whole * parts + part) = *from.add(part * step + whole) + bias;
        }
    }
}
