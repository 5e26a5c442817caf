//! What is multiplied with what: a convolution or its input gradient as products of weights with patches.
//!
//! The input gradient for a stride of `s` falls apart by the remainders of the pixel `u = s t + a`: the taps that reach it
//! are `p = r + s m` with `r = (a + top) mod s`, from the pixels `(a + top - r)/s + t - m` of `dy`. Each remainder is thus a
//! convolution of `dy` of stride 1 with some of the taps, in the opposite order.

use std::ops::Range;

use rayon::prelude::*;

use super::patches::Patches;
use crate::conv::Convolution;
use crate::gemm::balanced;
use crate::shared::written;

/// The depth of a product that is summed in registers, at most, if one channel is not more: its factors stay in the first
/// and the second cache.
const DEPTH: usize = 288;

/// Products with the same columns, each with its taps.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) batch: usize,
    /// Channels of the result.
    pub(super) rows: usize,
    /// By remainder of the row and the column of the result.
    pub(super) phases: Vec<Phase>,
    /// Remainders.
    pub(super) spread: [usize; 2],
    /// Height and width of the result.
    pub(super) size: [usize; 2],
    /// Weights from one row, and from one channel, to the next.
    row_step: usize,
    channel_step: usize,
}

/// The taps of one remainder.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) patches: Patches,
    /// First of its weights among the packed ones.
    pub(super) weights: usize,
    /// Its first tap in the kernel, and numbers from one to the next, down and to the right.
    tap: usize,
    tap_step: [isize; 2],
}

impl Phase {
    /// First channels and lengths of the blocks of depth.
    pub(super) fn channel_blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let taps = self.patches.taps();
        let channels = if taps == 0 { 0 } else { self.patches.channels };
        balanced(channels, (DEPTH / taps.max(1)).max(1)).filter(|block| block.1 > 0)
    }

    /// Rows of the largest block.
    pub(super) fn depth(&self) -> usize {
        let channels = self.channel_blocks().map(|block| block.1).max();
        channels.unwrap_or(0) * self.patches.taps()
    }
}

impl Plan {
    pub(super) fn forward(c: &Convolution) -> Self {
        let taps = c.kernel[0] * c.kernel[1];
        let phase = Phase {
            patches: patches(c),
            weights: 0,
            tap: 0,
            tap_step: [c.kernel[1] as isize, 1],
        };
        Self {
            batch: c.batch,
            rows: c.outputs,
            phases: vec![phase],
            spread: [1, 1],
            size: c.output_size(),
            row_step: c.inputs * taps,
            channel_step: taps,
        }
    }

    /// One tap at each pixel of some rows of one image.
    pub(super) fn pointwise(
        inputs: usize,
        outputs: usize,
        size: [usize; 2],
        rows: Range<usize>,
    ) -> Self {
        let points = [rows.len(), size[1]];
        let phase = Phase {
            patches: Patches {
                channels: inputs,
                size,
                taps: [1, 1],
                step: [1, 1],
                first: [rows.start as isize, 0],
                points,
            },
            weights: 0,
            tap: 0,
            tap_step: [1, 1],
        };
        Self {
            batch: 1,
            rows: outputs,
            phases: vec![phase],
            spread: [1, 1],
            size: points,
            row_step: inputs,
            channel_step: 1,
        }
    }

    pub(super) fn input_gradient(c: &Convolution) -> Self {
        let (taps, mut weights) = (c.kernel[0] * c.kernel[1], 0);
        let size = c.output_size();
        let points = [0, 1].map(|axis| c.size[axis].div_ceil(c.stride[axis]));
        let mut phases = Vec::new();
        for a in 0..c.stride[0] {
            for b in 0..c.stride[1] {
                let axes = [remainder(c, 0, a), remainder(c, 1, b)];
                let patches = Patches {
                    channels: c.outputs,
                    size,
                    taps: axes.map(|axis| axis.taps),
                    step: [1, 1],
                    first: axes.map(|axis| axis.first),
                    points,
                };
                let step = c.stride.map(|stride| -(stride as isize));
                phases.push(Phase {
                    patches,
                    weights,
                    tap: axes[0].tap * c.kernel[1] + axes[1].tap,
                    tap_step: [step[0] * c.kernel[1] as isize, step[1]],
                });
                weights += c.outputs * c.inputs * patches.taps();
            }
        }
        Self {
            batch: c.batch,
            rows: c.inputs,
            phases,
            spread: c.stride,
            size: c.size,
            row_step: taps,
            channel_step: c.inputs * taps,
        }
    }

    /// Columns of each product.
    pub(super) fn columns(&self) -> usize {
        let points = self.points();
        self.batch * points[0] * points[1]
    }

    pub(super) fn points(&self) -> [usize; 2] {
        self.phases[0].patches.points
    }

    /// The weights as `[phase][block of channels][block of rows][channel, tap][row]`.
    pub(super) fn pack(&self, weights: &[f32], rows: usize) -> Vec<f32> {
        let mut blocks = Vec::new();
        for phase in &self.phases {
            for channels in phase.channel_blocks() {
                blocks.extend(balanced(self.rows, rows).map(|rows| (phase, channels, rows)));
            }
        }
        let len = self
            .phases
            .iter()
            .map(|phase| phase.patches.taps() * phase.patches.channels);
        let len = len.sum::<usize>() * self.rows;
        // SAFETY: the blocks lie side by side, and each is written whole by one thread.
        unsafe {
            written(len, |packed| {
                blocks
                    .into_par_iter()
                    .with_min_len(8)
                    .for_each(|(phase, channels, rows)| {
                        let at = self.block(phase, channels, rows);
                        let to = std::slice::from_raw_parts_mut(
                            packed.at(at).cast(),
                            rows.1 * channels.1 * phase.patches.taps(),
                        );
                        self.pack_block(phase, channels, rows, weights, to);
                    });
            })
        }
    }

    /// First packed weight of a block of channels and rows.
    pub(super) fn block(
        &self,
        phase: &Phase,
        channels: (usize, usize),
        rows: (usize, usize),
    ) -> usize {
        let taps = phase.patches.taps();
        phase.weights + taps * (channels.0 * self.rows + rows.0 * channels.1)
    }

    /// Place of a weight in the kernel.
    #[inline(always)]
    pub(super) fn weight(
        &self,
        phase: &Phase,
        row: usize,
        channel: usize,
        tap: [usize; 2],
    ) -> usize {
        let at = phase.tap + channel * self.channel_step + row * self.row_step;
        let tap = [0, 1].map(|axis| tap[axis] as isize * phase.tap_step[axis]);
        (at as isize + tap[0] + tap[1]) as usize
    }

    fn pack_block(
        &self,
        phase: &Phase,
        channels: (usize, usize),
        rows: (usize, usize),
        weights: &[f32],
        to: &mut [std::mem::MaybeUninit<f32>],
    ) {
        let [down, right] = phase.patches.taps;
        let mut depths = to.chunks_exact_mut(rows.1);
        for channel in channels.0..channels.0 + channels.1 {
            for p in 0..down {
                for (q, depth) in (0..right).zip(&mut depths) {
                    let mut from = self.weight(phase, rows.0, channel, [p, q]);
                    for number in depth {
                        number.write(weights[from]);
                        from += self.row_step;
                    }
                }
            }
        }
    }
}

/// The patches of `x` that meet the kernel of a convolution.
pub(super) fn patches(c: &Convolution) -> Patches {
    Patches {
        channels: c.inputs,
        size: c.size,
        taps: c.kernel,
        step: c.stride,
        first: c.padding.map(|padding| -(padding[0] as isize)),
        points: c.output_size(),
    }
}

/// The taps of one remainder of an axis.
#[derive(Clone, Copy)]
struct Remainder {
    taps: usize,
    /// The tap that meets the first pixel.
    tap: usize,
    first: isize,
}

fn remainder(c: &Convolution, axis: usize, a: usize) -> Remainder {
    let (stride, before) = (c.stride[axis], c.padding[axis][0]);
    let r = (a + before) % stride;
    let taps = c.kernel[axis].saturating_sub(r).div_ceil(stride);
    let last = taps.saturating_sub(1);
    Remainder {
        taps,
        tap: r + stride * last,
        first: ((a + before) / stride) as isize - last as isize,
    }
}
