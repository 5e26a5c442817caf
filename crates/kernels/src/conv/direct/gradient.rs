//! The gradient with respect to the weights: the product of the patches of `x` with `dy`, summed over all pixels of all images.

use std::ops::Range;

use rayon::prelude::*;

use super::patches::{Gather, Patches, runs, zeros};
use super::plan::patches;
use super::product::most_rows;
use crate::Level;
use crate::conv::Convolution;
use crate::gemm::{ByLanes, Depth, Operands, VECTORS, balanced, multiply};
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{MOST_LANES, Simd, Task};

/// Pixels whose patches and gradients are in the second cache at a time.
const PIXELS: usize = 256;

/// Rows of patches, and columns of gradients, of a task.
const ROWS: usize = 288;
const OUTPUTS: usize = 256;

/// Tasks wanted, pixels that are worth one, and numbers that their sums may take.
const TASKS: usize = 16;
const WORTH: usize = 1 << 10;
const SUMS: usize = 1 << 21;

/// How the sum is cut: by the shape alone, so that its rounding is the same for any number of threads.
struct Cut {
    /// First input channels and numbers of them.
    inputs: Vec<(usize, usize)>,
    outputs: Vec<(usize, usize)>,
    /// Pixels, the parts of a sum.
    parts: Vec<Range<usize>>,
}

impl Cut {
    fn new(c: &Convolution, pixels: usize) -> Self {
        let taps = c.kernel[0] * c.kernel[1];
        let inputs: Vec<_> = balanced(c.inputs, (ROWS / taps).max(1)).collect();
        let outputs: Vec<_> = balanced(c.outputs, OUTPUTS).collect();
        let wanted = TASKS.div_ceil(inputs.len() * outputs.len());
        let parts = wanted
            .min(pixels / WORTH)
            .min(SUMS / c.weights().max(1))
            .max(1);
        let len = pixels.div_ceil(parts).next_multiple_of(PIXELS);
        let parts = (0..pixels.div_ceil(len)).map(|i| i * len..pixels.min((i + 1) * len));
        Self {
            inputs,
            outputs,
            parts: parts.collect(),
        }
    }
}

/// See [`crate::conv::weight_gradient`].
pub(super) fn run(level: Level, c: &Convolution, x: &[f32], dy: &[f32]) -> Vec<f32> {
    if exchanges(level, c) {
        turned(c, &sum(level, &c.flipped(), dy, x))
    } else {
        sum(level, c, x, dy)
    }
}

/// Whether patches are rather taken of `dy`, which has fewer channels than fill a vector: of the convolution of `dy` with the
/// turned kernel, `x` is the gradient with respect to the result.
fn exchanges(level: Level, c: &Convolution) -> bool {
    let turns = |axis: usize| {
        c.padding[axis]
            .iter()
            .all(|padding| *padding < c.kernel[axis])
    };
    c.stride == [1, 1] && turns(0) && turns(1) && c.outputs < c.inputs.min(level.lanes())
}

/// The weights of the convolution of which `weights` are those of the turned one.
fn turned(c: &Convolution, weights: &[f32]) -> Vec<f32> {
    let taps = c.kernel[0] * c.kernel[1];
    let mut result = Vec::with_capacity(weights.len());
    for output in 0..c.outputs {
        for input in 0..c.inputs {
            let kernel = &weights[(input * c.outputs + output) * taps..][..taps];
            result.extend(kernel.iter().rev());
        }
    }
    result
}

fn sum(level: Level, c: &Convolution, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (weights, patches) = (c.weights(), patches(c));
    let pixels = c.batch * patches.points[0] * patches.points[1];
    if weights == 0 || pixels == 0 {
        return vec![0.0; weights];
    }
    let cut = Cut::new(c, pixels);
    let width = VECTORS * level.lanes();
    let sums = |part: usize, result: Shared, result_at: usize| {
        let tasks = cut.inputs.len() * cut.outputs.len();
        (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
            let inputs = cut.inputs[task % cut.inputs.len()];
            let outputs = cut.outputs[task / cut.inputs.len()];
            let rows = inputs.1 * patches.taps();
            let outputs_len = outputs.1.next_multiple_of(width);
            let len =
                PIXELS * (rows + outputs_len) + rows.next_multiple_of(level.lanes()) * outputs_len;
            lend(len, |scratch| {
                let (columns, scratch) = scratch.split_at_mut(PIXELS * rows);
                let (gradients, sums) = scratch.split_at_mut(PIXELS * outputs_len);
                level.run(Part {
                    patches: &patches,
                    x,
                    dy,
                    inputs,
                    outputs,
                    channels: c.outputs,
                    pixels: cut.parts[part].clone(),
                    most_rows: most_rows(level),
                    columns,
                    gradients,
                    sums,
                    outputs_len,
                    result,
                    result_at,
                });
            });
        });
    };
    let others = (cut.parts.len() - 1) * weights;
    // SAFETY: the tasks of a part write all of its numbers, each in one task.
    unsafe {
        let mut rest = Vec::new();
        let mut first = written(weights, |first| {
            rest = written(others, |rest| {
                (0..cut.parts.len())
                    .into_par_iter()
                    .with_max_len(1)
                    .for_each(|part| {
                        let (to, at) = if part == 0 {
                            (first, 0)
                        } else {
                            (rest, (part - 1) * weights)
                        };
                        sums(part, to, at);
                    });
            });
        });
        for part in rest.chunks_exact(weights) {
            first
                .iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        first
    }
}

/// Some inputs, outputs and pixels of the sum.
struct Part<'a> {
    patches: &'a Patches,
    x: &'a [f32],
    dy: &'a [f32],
    inputs: (usize, usize),
    outputs: (usize, usize),
    /// Of `dy`.
    channels: usize,
    pixels: Range<usize>,
    most_rows: usize,
    /// Patches, `[vector of pixels][row][pixel]`.
    columns: &'a mut [f32],
    /// Gradients, `[panel of outputs][pixel][output]`.
    gradients: &'a mut [f32],
    /// `[row][output]`.
    sums: &'a mut [f32],
    /// Numbers of a row of them: whole panels.
    outputs_len: usize,
    result: Shared,
    /// Where the weights start in it.
    result_at: usize,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let rows = self.inputs.1 * self.patches.taps();
        let mut gather = Gather::new(self.patches, S::LANES, rows * S::LANES);
        for start in self.pixels.clone().step_by(PIXELS) {
            let pixels = start..self.pixels.end.min(start + PIXELS);
            let vectors = pixels.len().div_ceil(S::LANES);
            gather.aim(pixels.clone());
            // SAFETY: the columns have room for as many vectors of pixels.
            unsafe {
                let channels = self.inputs.0..self.inputs.0 + self.inputs.1;
                gather.copy::<S>(self.x.as_ptr(), channels, self.columns.as_mut_ptr());
            }
            // SAFETY: as this function; columns and gradients of the pixels are written before their product.
            unsafe {
                self.transpose::<S>(pixels);
                self.multiply::<S>(vectors, start > self.pixels.start);
            }
        }
        // SAFETY: as this function; the sums are written, as there are pixels.
        unsafe { self.write::<S>() };
    }
}

impl Part<'_> {
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn transpose<S: Simd>(&mut self, pixels: Range<usize>) {
        let plane = self.patches.points[0] * self.patches.points[1];
        let (width, end) = (VECTORS * S::LANES, self.outputs.1);
        let rest = pixels.len().next_multiple_of(S::LANES) - pixels.len();
        for first in (0..end).step_by(S::LANES) {
            let outputs = S::LANES.min(end - first);
            // SAFETY: the pixels lie in `dy`, and their vectors in the panel of the outputs.
            unsafe {
                let to = self.gradients.as_mut_ptr();
                let to = to.add((first / width) * width * PIXELS + first % width);
                for run in runs([1, plane], pixels.clone()) {
                    let channel = run.image * self.channels + self.outputs.0 + first;
                    let from = self.dy.as_ptr().add(channel * plane + run.column);
                    let to = to.add(run.at * width);
                    let whole = if outputs == S::LANES {
                        run.len - run.len % S::LANES
                    } else {
                        0
                    };
                    for i in (0..whole).step_by(S::LANES) {
                        S::transpose(from.add(i), plane, to.add(i * width), width);
                    }
                    for i in whole..run.len {
                        for output in 0..outputs {
                            *to.add(i * width + output) = *from.add(output * plane + i);
                        }
                    }
                }
                for i in pixels.len()..pixels.len() + rest {
                    zeros::<S, 1>(to.add(i * width), 0, S::LANES);
                }
            }
        }
    }

    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&mut self, vectors: usize, accumulate: bool) {
        let width = VECTORS * S::LANES;
        let all = self.inputs.1 * self.patches.taps();
        for first in (0..self.outputs.1).step_by(width) {
            for (row, rows) in balanced(all, self.most_rows) {
                // SAFETY: the columns and the panel of gradients have as many vectors of pixels, and the sums all rows.
                unsafe {
                    multiply::<S, ByLanes>(
                        rows,
                        Operands {
                            a: self.columns.as_ptr().add(row * S::LANES),
                            depth: Depth {
                                blocks: vectors,
                                block_step: all * S::LANES,
                                inner_len: S::LANES,
                                inner_step: 1,
                            },
                            b: self.gradients.as_ptr().add(first * PIXELS),
                            b_step: width,
                            c: self.sums.as_mut_ptr().add(row * self.outputs_len + first),
                            c_step: self.outputs_len,
                            columns: width.min(self.outputs.1 - first),
                            accumulate,
                        },
                    );
                }
            }
        }
    }

    /// The sums, transposed.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, and the sums are written.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self) {
        let taps = self.patches.taps();
        let (rows, step) = (self.inputs.1 * taps, self.patches.channels * taps);
        let mut square = [0.0; MOST_LANES * MOST_LANES];
        for first in (0..self.outputs.1).step_by(S::LANES) {
            let outputs = S::LANES.min(self.outputs.1 - first);
            for row in (0..rows).step_by(S::LANES) {
                let len = S::LANES.min(rows - row);
                // SAFETY: the sums have room for whole squares, and the result for these rows of these outputs.
                unsafe {
                    let from = self.sums.as_ptr().add(row * self.outputs_len + first);
                    S::transpose(from, self.outputs_len, square.as_mut_ptr(), S::LANES);
                    for output in 0..outputs {
                        let to =
                            (self.outputs.0 + first + output) * step + self.inputs.0 * taps + row;
                        let v = S::load(square.as_ptr().add(output * S::LANES));
                        S::store_first(self.result.at(self.result_at + to), len, v);
                    }
                }
            }
        }
    }
}
