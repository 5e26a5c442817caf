//! `y = A' [sum_c (G w_c G') * (B' x_c B)] A + b`, block of tiles by block of tiles.
//!
//! The sum over channels is a matrix product for each of the 36 positions; its terms are added in one order, so that an image
//! has the same result in any batch and with any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::{Planes, Window, gather, scatter};
use super::pack::{depth, panel_len, panels};
use super::rows::{Products, between_len, inputs, outputs, width_in};
use super::tiles::{Block, blocks};
use super::transform::{OUT, PRODUCTS};
use crate::Level;
use crate::conv::Convolution;
use crate::gemm::{ByLanes, Depth, Operands, VECTORS, balanced, multiply};
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// Numbers of transformed input that a task should have at most: half of a second-level cache.
const CACHED: usize = 1 << 19;
/// Channels that are summed at a time, a multiple of all vectors: the sums of parts err less than one long sum, and the weights
/// of a part stay in a first-level cache.
const PART: usize = 64;
/// Tiles of a block: the fewest, for the sake of the weights that each block reads, and the most.
const TILES: Range<usize> = 14..64;

/// See [`crate::conv::forward`].
pub(in crate::conv) fn forward(
    level: Level,
    c: &Convolution,
    x: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let lanes = level.lanes();
    let panels = panels(c.outputs, lanes);
    debug_assert_eq!(packed.len(), panels * panel_len(c.inputs, lanes));
    let depth = c.inputs.next_multiple_of(lanes);
    let most = (CACHED / (PRODUCTS * depth)).clamp(TILES.start, TILES.end);
    let blocks = blocks(c, most);
    // With few blocks several tasks share one, each for some of the panels, and each transforms the input anew.
    let tasks = 2 * rayon::current_num_threads();
    let groups = if tasks <= 2 {
        1
    } else {
        tasks.div_ceil(blocks.len().max(1)).min(panels)
    };
    // SAFETY: every pixel of every channel is in one block and one panel.
    unsafe {
        written(c.output_len(), |y| {
            (0..blocks.len() * groups).into_par_iter().for_each(|task| {
                let (block, group) = (blocks[task / groups], task % groups);
                let panels = group * panels / groups..(group + 1) * panels / groups;
                let lengths = Lengths::new(c, &block, lanes);
                lend(lengths.all(), |buffer| {
                    level.run(Forward {
                        c,
                        block,
                        panels,
                        x,
                        packed,
                        bias,
                        y,
                        lengths,
                        buffer,
                    });
                });
            });
        })
    }
}

struct Forward<'a> {
    c: &'a Convolution,
    block: Block,
    panels: Range<usize>,
    x: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    y: Shared,
    lengths: Lengths,
    buffer: &'a mut [f32],
}

/// Numbers of the buffers of a task.
struct Lengths {
    /// From one of the 36 positions to the next, of transformed input and of products: an odd number of vectors, so that
    /// the 36 do not meet in one set of the cache.
    v_step: usize,
    m_step: usize,
    strip: usize,
    between: usize,
}

impl Lengths {
    fn new(c: &Convolution, block: &Block, lanes: usize) -> Self {
        Self {
            v_step: ((c.inputs.div_ceil(lanes) * block.tiles()) | 1) * lanes,
            m_step: ((VECTORS * block.tiles()) | 1) * lanes,
            strip: (block.rows * OUT + 2) * width_in(block.columns) * lanes,
            between: between_len(block.columns, lanes),
        }
    }

    fn all(&self) -> usize {
        PRODUCTS * (self.v_step + self.m_step) + self.strip + self.between
    }
}

impl Task for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let lengths = &self.lengths;
        let (v, rest) = std::mem::take(&mut self.buffer).split_at_mut(PRODUCTS * lengths.v_step);
        let (m, rest) = rest.split_at_mut(PRODUCTS * lengths.m_step);
        let (strip, between) = rest.split_at_mut(lengths.strip);
        let v_products = Products {
            step: lengths.v_step,
            tile: S::LANES,
        };
        let m_products = Products {
            step: lengths.m_step,
            tile: VECTORS * S::LANES,
        };
        // SAFETY: as this method; the buffers are of the lengths that the steps need.
        unsafe {
            self.transform_inputs::<S>(v, v_products, strip, between);
            for panel in self.panels.clone() {
                self.multiply::<S>(panel, v, v_products, m, m_products);
                self.transform_outputs::<S>(panel, m, m_products, strip, between);
            }
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    unsafe fn transform_inputs<S: Simd>(
        &self,
        v: &mut [f32],
        products: Products,
        strip: &mut [f32],
        between: &mut [f32],
    ) {
        let Self { c, block, x, .. } = self;
        let [height, width] = c.size;
        let window = Window {
            row: (block.row * OUT) as isize - c.padding[0][0] as isize,
            rows: block.rows * OUT + 2,
            column: (block.column * OUT) as isize - c.padding[1][0] as isize,
            columns: width_in(block.columns),
        };
        for image in 0..block.images {
            for first in (0..c.inputs).step_by(S::LANES) {
                let planes = Planes {
                    channels: (c.inputs - first).min(S::LANES),
                    height,
                    width,
                };
                let from = ((block.image + image) * c.inputs + first) * height * width;
                let tile = first / S::LANES * block.tiles() + image * block.rows * block.columns;
                // SAFETY: the planes lie within `x`, the window within the strip, the tiles within `v`.
                unsafe {
                    gather::<S>(x.as_ptr().add(from), planes, window, strip.as_mut_ptr());
                    for row in 0..block.rows {
                        let strip = strip.as_ptr().add(row * OUT * window.columns * S::LANES);
                        let to = v.as_mut_ptr().add((tile + row * block.columns) * S::LANES);
                        inputs::<S>(strip, block.columns, between.as_mut_ptr(), to, products);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        panel: usize,
        v: &[f32],
        from: Products,
        m: &mut [f32],
        to: Products,
    ) {
        let (c, tiles) = (self.c, self.block.tiles());
        let depth = depth(c.inputs, S::LANES);
        let width = VECTORS * S::LANES;
        let left = c.outputs - panel * width;
        let columns = if left > S::LANES { width } else { S::LANES };
        let panel = &self.packed[panel * panel_len(c.inputs, S::LANES)..];
        // Fewer channels than a vector are one part, and else parts are whole vectors.
        let inner_len = depth.min(S::LANES);
        for (k, part) in (0..PRODUCTS).flat_map(|k| (0..depth).step_by(PART).map(move |p| (k, p))) {
            for (first, rows) in balanced(tiles, S::ROWS) {
                // SAFETY: rows `first..first + rows` of product `k` lie within `v` and `m`, its weights within the panel.
                unsafe {
                    multiply::<S, ByLanes>(
                        rows,
                        Operands {
                            a: v.as_ptr()
                                .add(k * from.step + part * tiles + first * from.tile),
                            depth: Depth {
                                blocks: (depth - part).min(PART).div_ceil(inner_len),
                                block_step: tiles * from.tile,
                                inner_len,
                                inner_step: 1,
                            },
                            b: panel.as_ptr().add((k * depth + part) * width),
                            b_step: width,
                            c: m.as_mut_ptr().add(k * to.step + first * to.tile),
                            c_step: to.tile,
                            columns,
                            accumulate: part > 0,
                        },
                    );
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn transform_outputs<S: Simd>(
        &self,
        panel: usize,
        m: &[f32],
        products: Products,
        strip: &mut [f32],
        between: &mut [f32],
    ) {
        let Self {
            c, block, bias, y, ..
        } = self;
        let [height, width] = c.output_size();
        for half in 0..VECTORS {
            let first = (panel * VECTORS + half) * S::LANES;
            if first >= c.outputs {
                continue;
            }
            let planes = Planes {
                channels: (c.outputs - first).min(S::LANES),
                height,
                width,
            };
            for image in 0..block.images {
                let (number, column) = (block.image + image, block.column * OUT);
                // SAFETY: the tiles lie within `m`, their pixels within the strip, and those of the image within `y`.
                unsafe {
                    let bias = match bias {
                        None => S::zero(),
                        Some(bias) => {
                            let own = if bias.len() == c.outputs {
                                0
                            } else {
                                number * c.outputs
                            };
                            S::load_first(bias.as_ptr().add(own + first), planes.channels)
                        }
                    };
                    for row in 0..block.rows {
                        let tile = (image * block.rows + row) * block.columns;
                        let m = m.as_ptr().add(tile * products.tile + half * S::LANES);
                        let (strip, between) = (strip.as_mut_ptr(), between.as_mut_ptr());
                        outputs::<S>(m, products, block.columns, bias, between, strip);
                        let top = (block.row + row) * OUT;
                        let window = Window {
                            row: top as isize,
                            rows: (height - top).min(OUT),
                            column: column as isize,
                            columns: (width - column).min(block.columns * OUT),
                        };
                        let to = y.at((number * c.outputs + first) * height * width);
                        scatter::<S>(strip, block.columns * OUT, window, planes, to);
                    }
                }
            }
        }
    }
}
