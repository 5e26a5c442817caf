//! The transformed kernels, `[panel][36][depth][2 LANES]`: of each panel of outputs one sequential stream.

use rayon::prelude::*;

use super::layout::{Run, turn_run};
use super::transform::{IN, PRODUCTS, TAPS, kernel};
use crate::Level;
use crate::conv::{Convolution, Pass};
use crate::gemm::VECTORS;
use crate::scratch::lend;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// Numbers of a 3 x 3 kernel.
pub(super) const KERNEL: usize = TAPS * TAPS;

/// Steps of the sum over `inputs` channels: whole vectors of them, but for less than one.
pub(super) fn depth(inputs: usize, lanes: usize) -> usize {
    if inputs <= lanes {
        inputs
    } else {
        inputs.next_multiple_of(lanes)
    }
}

/// Panels of `outputs` channels.
pub(super) fn panels(outputs: usize, lanes: usize) -> usize {
    outputs.div_ceil(VECTORS * lanes)
}

/// Numbers of a panel.
pub(super) fn panel_len(inputs: usize, lanes: usize) -> usize {
    PRODUCTS * depth(inputs, lanes) * VECTORS * lanes
}

/// See [`crate::conv::Packed::new`].
pub(in crate::conv) fn pack(level: Level, pass: Pass, c: &Convolution, w: &[f32]) -> Vec<f32> {
    let turned = match pass {
        Pass::Forward => false,
        Pass::InputGradient => true,
        Pass::WeightGradient => unreachable!("reads no weights"),
    };
    let (inputs, outputs) = if turned {
        (c.outputs, c.inputs)
    } else {
        (c.inputs, c.outputs)
    };
    debug_assert_eq!(w.len(), inputs * outputs * KERNEL);
    let (panels, len) = (
        panels(outputs, level.lanes()),
        panel_len(inputs, level.lanes()),
    );
    // SAFETY: each panel is written whole, by one task.
    unsafe {
        written(panels * len, |to| {
            (0..panels).into_par_iter().for_each(|panel| {
                let len = if turned { KERNEL } else { inputs * KERNEL };
                lend(len * level.lanes(), |g| {
                    level.run(Pack {
                        turned,
                        inputs,
                        outputs,
                        panel,
                        w,
                        g,
                        to,
                    });
                });
            });
        })
    }
}

struct Pack<'a> {
    turned: bool,
    inputs: usize,
    outputs: usize,
    panel: usize,
    w: &'a [f32],
    g: &'a mut [f32],
    to: Shared,
}

impl Task for Pack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            turned,
            inputs,
            outputs,
            panel,
            w,
            g,
            to,
        } = self;
        let (depth, width) = (depth(inputs, S::LANES), VECTORS * S::LANES);
        // SAFETY: the task writes panel `panel` only, which lies within the output; kernels are read within `w`.
        unsafe {
            let to = to.at(panel * panel_len(inputs, S::LANES));
            for half in 0..VECTORS {
                let first = panel * width + half * S::LANES;
                let count = outputs.saturating_sub(first).min(S::LANES);
                let to = to.add(half * S::LANES);
                let zeros = if count == 0 { 0 } else { inputs };
                for k in 0..PRODUCTS {
                    for i in zeros..depth {
                        S::store(to.add((k * depth + i) * width), S::zero());
                    }
                }
                if count == 0 {
                    continue;
                }
                if turned {
                    for i in 0..inputs {
                        let from = w.as_ptr().add((i * outputs + first) * KERNEL);
                        turn_run::<S>(
                            from,
                            KERNEL,
                            Run {
                                rows: count,
                                len: KERNEL,
                            },
                            g.as_mut_ptr(),
                        );
                        transform::<S, true>(g.as_ptr(), to.add(i * width), depth * width);
                    }
                } else {
                    let len = inputs * KERNEL;
                    let from = w.as_ptr().add(first * len);
                    turn_run::<S>(from, len, Run { rows: count, len }, g.as_mut_ptr());
                    for i in 0..inputs {
                        let g = g.as_ptr().add(i * KERNEL * S::LANES);
                        transform::<S, false>(g, to.add(i * width), depth * width);
                    }
                }
            }
        }
    }
}

/// `G g G'` of a vector of kernels, or of the kernels turned by half a turn; product `k` goes to `to + k step`.
#[inline(always)]
unsafe fn transform<S: Simd, const TURNED: bool>(g: *const f32, to: *mut f32, step: usize) {
    // SAFETY: the caller's.
    unsafe {
        let mut columns = [[S::zero(); TAPS]; IN];
        for q in 0..TAPS {
            let mut taps = [S::zero(); TAPS];
            for (p, tap) in taps.iter_mut().enumerate() {
                let at = p * TAPS + q;
                *tap = S::load(g.add(if TURNED { KERNEL - 1 - at } else { at } * S::LANES));
            }
            for (column, v) in columns.iter_mut().zip(kernel::<S>(taps)) {
                column[q] = v;
            }
        }
        for (i, column) in columns.into_iter().enumerate() {
            let row = kernel::<S>(column);
            for (j, v) in row.into_iter().enumerate() {
                S::store(to.add((i * IN + j) * step), v);
            }
        }
    }
}
