//! `dw = G' [sum_tiles (B' x B) * (A dy A')] G`, the adjoint of the forward algorithm with respect to the weights.
//!
//! The sum over tiles is a matrix product for each of the 36 positions. Tiles are summed in parts, whose number depends on the
//! sizes alone, and the parts in their order: the result is the same with any number of threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::layout::{Planes, Square, Window, gather, transpose};
use super::pack::KERNEL;
use super::rows::{Products, between_len, inputs, load, output_adjoints, width_in};
use super::tiles::{Block, blocks};
use super::transform::{IN, OUT, PRODUCTS, TAPS, kernel_adjoint};
use crate::Level;
use crate::conv::Convolution;
use crate::gemm::{ByOne, Depth, Operands, VECTORS, balanced, multiply};
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{MOST_LANES, Simd, Task};

/// Channels of a group: the sums of a pair of groups, 36 x 64 x 64, and the transformed tiles stay in a second-level cache.
const GROUP: usize = 64;
/// The most tiles that are transformed at a time.
const TILES: usize = 56;
/// Tasks for which the tiles are summed in parts where groups of channels are few.
const TASKS: usize = 16;

/// Channels `first..first + real`, in `width` numbers: whole vectors.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    real: usize,
    width: usize,
}

fn groups(channels: usize, lanes: usize) -> Vec<Group> {
    let of = |(block, blocks): (usize, usize)| {
        let (first, width) = (block * lanes, blocks * lanes);
        Group {
            first,
            real: width.min(channels - first),
            width,
        }
    };
    balanced(channels.div_ceil(lanes), GROUP / lanes)
        .map(of)
        .collect()
}

/// See [`crate::conv::weight_gradient`].
pub(in crate::conv) fn weight_gradient(
    level: Level,
    c: &Convolution,
    x: &[f32],
    dy: &[f32],
) -> Vec<f32> {
    let lanes = level.lanes();
    let (in_groups, out_groups) = (groups(c.inputs, lanes), groups(c.outputs, lanes));
    let pairs = in_groups.len() * out_groups.len();
    let blocks = blocks(c, TILES);
    let parts = TASKS.div_ceil(pairs).min(blocks.len());
    let part_len = c.inputs * KERNEL * c.outputs.next_multiple_of(lanes);
    lend(parts * part_len, |partial| {
        let to = Shared::new(partial);
        (0..parts * pairs).into_par_iter().for_each(|task| {
            let (part, pair) = (task / pairs, task % pairs);
            let blocks = &blocks[part * blocks.len() / parts..(part + 1) * blocks.len() / parts];
            let input = in_groups[pair / out_groups.len()];
            let output = out_groups[pair % out_groups.len()];
            let lengths = Lengths::new(input, output, blocks, lanes);
            let first = part * part_len;
            lend(lengths.all(), |buffer| {
                let part = Part {
                    c,
                    blocks,
                    input,
                    output,
                    x,
                    dy,
                    first,
                    to,
                    lengths,
                    buffer,
                };
                level.run(part);
            });
        });
        let partial = &*partial;
        // SAFETY: every block of outputs is written by one task.
        unsafe {
            written(c.weights(), |to| {
                (0..c.outputs.div_ceil(lanes))
                    .into_par_iter()
                    .for_each(|block| {
                        level.run(Sum {
                            c,
                            block,
                            parts,
                            partial,
                            to,
                        });
                    });
            })
        }
    })
}

/// The sums of some tiles for a pair of groups.
struct Part<'a> {
    c: &'a Convolution,
    blocks: &'a [Block],
    input: Group,
    output: Group,
    x: &'a [f32],
    dy: &'a [f32],
    /// Where the part, `[block of outputs][inputs][9][LANES]`, is in `to`.
    first: usize,
    to: Shared,
    lengths: Lengths,
    buffer: &'a mut [f32],
}

/// Numbers of the buffers of a task.
struct Lengths {
    /// From one of the 36 positions to the next: an odd number of vectors, so that the 36 do not meet in one set of the cache.
    x_step: usize,
    y_step: usize,
    sum_step: usize,
    strip: usize,
    between: usize,
}

impl Lengths {
    fn new(input: Group, output: Group, blocks: &[Block], lanes: usize) -> Self {
        let most = |f: &dyn Fn(&Block) -> usize| blocks.iter().map(f).max().unwrap_or(0);
        let tiles = most(&Block::tiles);
        let step = |len: usize| ((len / lanes) | 1) * lanes;
        Self {
            x_step: step(tiles * input.width),
            y_step: step(tiles * output.width.next_multiple_of(VECTORS * lanes)),
            sum_step: step(input.width * output.width),
            strip: most(&|block| (block.rows * OUT + 2) * width_in(block.columns) * lanes),
            between: most(&|block| between_len(block.columns, lanes)),
        }
    }

    fn all(&self) -> usize {
        PRODUCTS * (self.x_step + self.y_step + self.sum_step) + self.strip + self.between
    }
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let lengths = &self.lengths;
        let buffer = std::mem::take(&mut self.buffer);
        let (x, rest) = buffer.split_at_mut(PRODUCTS * lengths.x_step);
        let (y, rest) = rest.split_at_mut(PRODUCTS * lengths.y_step);
        let (sums, rest) = rest.split_at_mut(PRODUCTS * lengths.sum_step);
        let (strip, between) = rest.split_at_mut(lengths.strip);
        // SAFETY: as this method; the buffers are of the lengths that the steps need.
        unsafe {
            for (n, block) in self.blocks.iter().enumerate() {
                self.transform_x::<S>(block, x, strip, between);
                self.transform_y::<S>(block, y, strip, between);
                self.multiply::<S>(block.tiles(), x, y, sums, n > 0);
            }
            self.finish::<S>(sums);
        }
    }
}

impl Part<'_> {
    #[inline(always)]
    unsafe fn transform_x<S: Simd>(
        &self,
        block: &Block,
        to: &mut [f32],
        strip: &mut [f32],
        between: &mut [f32],
    ) {
        let Self {
            c, input: group, x, ..
        } = self;
        let [height, width] = c.size;
        let window = Window {
            row: (block.row * OUT) as isize - c.padding[0][0] as isize,
            rows: block.rows * OUT + 2,
            column: (block.column * OUT) as isize - c.padding[1][0] as isize,
            columns: width_in(block.columns),
        };
        let products = Products {
            step: self.lengths.x_step,
            tile: group.width,
        };
        for image in 0..block.images {
            for channel in (0..group.real).step_by(S::LANES) {
                let planes = Planes {
                    channels: (group.real - channel).min(S::LANES),
                    height,
                    width,
                };
                let plane = (block.image + image) * c.inputs + group.first + channel;
                // SAFETY: the planes lie within `x`, the window within the strip, the tiles within `to`.
                unsafe {
                    let from = x.as_ptr().add(plane * height * width);
                    gather::<S>(from, planes, window, strip.as_mut_ptr());
                    for row in 0..block.rows {
                        let strip = strip.as_ptr().add(row * OUT * window.columns * S::LANES);
                        let tile = (image * block.rows + row) * block.columns;
                        let to = to.as_mut_ptr().add(tile * products.tile + channel);
                        inputs::<S>(strip, block.columns, between.as_mut_ptr(), to, products);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn transform_y<S: Simd>(
        &self,
        block: &Block,
        to: &mut [f32],
        strip: &mut [f32],
        between: &mut [f32],
    ) {
        let Self {
            c,
            output: group,
            dy,
            ..
        } = self;
        let [height, width] = c.output_size();
        let window = Window {
            row: (block.row * OUT) as isize,
            rows: block.rows * OUT,
            column: (block.column * OUT) as isize,
            columns: block.columns * OUT,
        };
        let panel = VECTORS * S::LANES;
        let products = Products {
            step: self.lengths.y_step,
            tile: panel,
        };
        for image in 0..block.images {
            for channel in (0..group.real).step_by(S::LANES) {
                let planes = Planes {
                    channels: (group.real - channel).min(S::LANES),
                    height,
                    width,
                };
                let plane = (block.image + image) * c.outputs + group.first + channel;
                // SAFETY: as above.
                unsafe {
                    let from = dy.as_ptr().add(plane * height * width);
                    gather::<S>(from, planes, window, strip.as_mut_ptr());
                    for row in 0..block.rows {
                        let strip = strip.as_ptr().add(row * OUT * window.columns * S::LANES);
                        let tile = (image * block.rows + row) * block.columns;
                        let first = channel / panel * block.tiles() * panel + channel % panel;
                        let to = to.as_mut_ptr().add(first + tile * panel);
                        let between = between.as_mut_ptr();
                        output_adjoints::<S>(strip, block.columns, between, to, products);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        tiles: usize,
        x: &[f32],
        y: &[f32],
        sums: &mut [f32],
        accumulate: bool,
    ) {
        let Self {
            input,
            output,
            lengths,
            ..
        } = self;
        let panel = VECTORS * S::LANES;
        for k in 0..PRODUCTS {
            for column in (0..output.width).step_by(panel) {
                for (first, rows) in balanced(input.real, S::ROWS) {
                    // SAFETY: channels and tiles of position `k` lie within the buffers.
                    unsafe {
                        let sums = sums.as_mut_ptr().add(k * lengths.sum_step);
                        multiply::<S, ByOne>(
                            rows,
                            Operands {
                                a: x.as_ptr().add(k * lengths.x_step + first),
                                depth: Depth::strided(tiles, input.width),
                                b: y.as_ptr().add(k * lengths.y_step + column * tiles),
                                b_step: panel,
                                c: sums.add(first * output.width + column),
                                c_step: output.width,
                                columns: (output.width - column).min(panel),
                                accumulate,
                            },
                        );
                    }
                }
            }
        }
    }

    /// `G' sums G`.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, sums: &[f32]) {
        let Self {
            c,
            input,
            output,
            first,
            to,
            ..
        } = self;
        for channel in 0..input.real {
            for column in (0..output.width).step_by(S::LANES) {
                // SAFETY: the sums lie within the buffer, and this pair's part of the output is this task's.
                unsafe {
                    let sums = sums.as_ptr().add(channel * output.width + column);
                    let mut columns = [[S::zero(); IN]; TAPS];
                    for j in 0..IN {
                        let sums = sums.add(j * self.lengths.sum_step);
                        let u = load::<S, IN>(sums, IN * self.lengths.sum_step);
                        for (column, v) in columns.iter_mut().zip(kernel_adjoint::<S>(u)) {
                            column[j] = v;
                        }
                    }
                    let row = output.first + column;
                    let row = row * c.inputs + (input.first + channel) * S::LANES;
                    let to = to.at(first + row * KERNEL);
                    for (p, u) in columns.into_iter().enumerate() {
                        for (q, v) in kernel_adjoint::<S>(u).into_iter().enumerate() {
                            S::store(to.add((p * TAPS + q) * S::LANES), v);
                        }
                    }
                }
            }
        }
    }
}

/// The sum of the parts for a block of outputs, `[outputs][inputs][9]`.
struct Sum<'a> {
    c: &'a Convolution,
    block: usize,
    parts: usize,
    partial: &'a [f32],
    to: Shared,
}

impl Task for Sum<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            c,
            block,
            parts,
            partial,
            to,
        } = self;
        let len = c.inputs * KERNEL;
        let first = block * S::LANES;
        let columns = (c.outputs - first).min(S::LANES);
        let part_len = partial.len() / parts.max(1);
        let mut square = [MaybeUninit::<f32>::uninit(); MOST_LANES * MOST_LANES];
        let square = square.as_mut_ptr().cast::<f32>();
        for at in (0..len).step_by(S::LANES) {
            let rows = (len - at).min(S::LANES);
            // SAFETY: the rows lie within each part, the square holds them, and the outputs of the block are this task's.
            unsafe {
                for r in 0..rows {
                    let from = partial.as_ptr().add(first * len + (at + r) * S::LANES);
                    let mut sum = S::zero();
                    for part in 0..parts {
                        sum = S::add(sum, S::load(from.add(part * part_len)));
                    }
                    S::store(square.add(r * S::LANES), sum);
                }
                let part = Square {
                    rows,
                    columns,
                    written: rows,
                };
                transpose::<S>(square, S::LANES, part, to.at(first * len + at), len);
            }
        }
    }
}
