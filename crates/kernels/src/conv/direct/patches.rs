//! The patches of images as a matrix, gathered in panels of a few columns.
//!
//! Row `(c, p, q)` and column `(n, i, j)` hold pixel `(step i + first + p, step j + first + q)` of channel `c` of image `n`,
//! and zero outside of the image.

use std::ops::Range;

use crate::simd::{MOST_LANES, Simd};

/// Channels gathered at a time, so that what is the same for all is found once.
const TOGETHER: usize = 4;

/// Which pixels meet which taps of a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    /// Channels of an image.
    pub(super) channels: usize,
    /// Its height and width.
    pub(super) size: [usize; 2],
    /// Rows and columns of the kernel.
    pub(super) taps: [usize; 2],
    /// Pixels from one point to the next.
    pub(super) step: [usize; 2],
    /// Pixel of the first tap at the first point.
    pub(super) first: [isize; 2],
    /// Rows and columns of points in an image.
    pub(super) points: [usize; 2],
}

impl Patches {
    /// Rows of the matrix that a channel has.
    pub(super) fn taps(&self) -> usize {
        self.taps[0] * self.taps[1]
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

/// Columns of the matrix that lie side by side in one row of points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) len: usize,
    /// Columns of the range before it.
    pub(super) at: usize,
}

/// The runs of a range of columns, of images of `points`.
pub(super) fn runs(points: [usize; 2], columns: Range<usize>) -> impl Iterator<Item = Run> {
    let start = columns.start;
    let mut next = start;
    std::iter::from_fn(move || {
        if next >= columns.end {
            return None;
        }
        let (row, column) = (next / points[1], next % points[1]);
        let run = Run {
            image: row / points[0],
            row: row % points[0],
            column,
            len: (points[1] - column).min(columns.end - next),
            at: next - start,
        };
        next += run.len;
        Some(run)
    })
}

/// One tap of a run in one panel: zeros, pixels, zeros.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Where it goes for the first channel.
    to: usize,
    /// Where it comes from, in the first channel.
    from: usize,
    before: u32,
    pixels: u32,
    after: u32,
}

/// Panels of columns to be gathered.
///
/// A channel is gathered for all columns before the next one: they lie near each other in memory.
pub(super) struct Gather<'a> {
    patches: &'a Patches,
    /// Points of a row, from and to, at which each column of taps is inside of the image.
    inside: Vec<[usize; 2]>,
    segments: Vec<Segment>,
    width: usize,
    panel_step: usize,
}

impl<'a> Gather<'a> {
    /// Of panels of `width` columns, `panel_step` numbers apart.
    pub(super) fn new(patches: &'a Patches, width: usize, panel_step: usize) -> Self {
        let inside = (0..patches.taps[1]).map(|tap| {
            let first = patches.first[1] + tap as isize;
            let reach = |pixel: isize| (pixel - first).max(0) as usize;
            [0, patches.size[1]].map(|pixel| reach(pixel as isize).div_ceil(patches.step[1]))
        });
        Self {
            patches,
            inside: inside.collect(),
            segments: Vec::new(),
            width,
            panel_step,
        }
    }

    /// Chooses the columns; zeros fill the rest of the last panel.
    pub(super) fn aim(&mut self, columns: Range<usize>) {
        self.segments.clear();
        for (panel, start) in columns.clone().step_by(self.width).enumerate() {
            let columns = start..columns.end.min(start + self.width);
            let at = panel * self.panel_step;
            for run in runs(self.patches.points, columns.clone()) {
                self.aim_at(run, at + run.at);
            }
            let rest = self.width - columns.len();
            if rest > 0 {
                let zeros = |tap: usize| Segment {
                    to: at + tap * self.width + columns.len(),
                    from: 0,
                    before: rest as u32,
                    pixels: 0,
                    after: 0,
                };
                self.segments.extend((0..self.patches.taps()).map(zeros));
            }
        }
    }

    #[inline(always)]
    fn aim_at(&mut self, run: Run, at: usize) {
        let Patches {
            channels,
            size,
            taps,
            step,
            first,
            ..
        } = *self.patches;
        for p in 0..taps[0] {
            let row = (step[0] * run.row) as isize + first[0] + p as isize;
            let row_inside = (0..size[0] as isize).contains(&row);
            for (q, inside) in self.inside.iter().enumerate() {
                let end = run.column + run.len;
                let from = inside[0].clamp(run.column, end);
                let to = if row_inside {
                    inside[1].clamp(from, end)
                } else {
                    from
                };
                let column = (step[1] * from) as isize + first[1] + q as isize;
                let pixel = if to > from {
                    row * size[1] as isize + column
                } else {
                    0
                };
                self.segments.push(Segment {
                    to: at + (p * taps[1] + q) * self.width,
                    from: run.image * channels * self.patches.plane() + pixel as usize,
                    before: (from - run.column) as u32,
                    pixels: (to - from) as u32,
                    after: (end - to) as u32,
                });
            }
        }
    }

    /// Writes the rows of some channels, `width` numbers each, in all panels.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, `images` are those of the patches, with all columns chosen, and `panels` holds
    /// the rows.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd>(
        &self,
        images: *const f32,
        channels: Range<usize>,
        panels: *mut f32,
    ) {
        debug_assert!(channels.end <= self.patches.channels);
        let (groups, rest) = (channels.len() / TOGETHER, channels.len() % TOGETHER);
        let (plane, rows) = (self.patches.plane(), self.patches.taps() * self.width);
        // SAFETY: as this function.
        unsafe {
            let (mut from, mut to) = (images.add(channels.start * plane), panels);
            for _ in 0..groups {
                match self.patches.step[1] {
                    1 => self.copy_some::<S, Side, TOGETHER>(from, to),
                    2 => self.copy_some::<S, Halved, TOGETHER>(from, to),
                    _ => self.copy_some::<S, Strided, TOGETHER>(from, to),
                }
                from = from.wrapping_add(TOGETHER * plane);
                to = to.wrapping_add(TOGETHER * rows);
            }
            for _ in 0..rest {
                match self.patches.step[1] {
                    1 => self.copy_some::<S, Side, 1>(from, to),
                    2 => self.copy_some::<S, Halved, 1>(from, to),
                    _ => self.copy_some::<S, Strided, 1>(from, to),
                }
                from = from.wrapping_add(plane);
                to = to.wrapping_add(rows);
            }
        }
    }

    /// Of `N` channels.
    ///
    /// # Safety
    /// As [`Self::copy`].
    #[inline(always)]
    unsafe fn copy_some<S: Simd, R: Read, const N: usize>(
        &self,
        images: *const f32,
        panels: *mut f32,
    ) {
        let (plane, rows) = (self.patches.plane(), self.patches.taps() * self.width);
        let step = self.patches.step[1];
        // SAFETY: segments lie in the images and in the panels, by construction.
        unsafe {
            for s in &self.segments {
                let (from, to) = (images.add(s.from), panels.add(s.to));
                let (before, pixels, after) =
                    (s.before as usize, s.pixels as usize, s.after as usize);
                zeros::<S, N>(to, rows, before);
                let to = to.add(before);
                let mut at = 0;
                while at < pixels {
                    let len = (pixels - at).min(S::LANES);
                    for channel in 0..N {
                        let v = R::read::<S>(from.add(channel * plane + at * step), step, len);
                        S::store_first(to.add(channel * rows + at), len, v);
                    }
                    at += S::LANES;
                }
                zeros::<S, N>(to.add(pixels), rows, after);
            }
        }
    }
}

/// How pixels of a row are read.
trait Read {
    /// Of `len <= LANES` pixels, `step` numbers apart.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, and all the pixels are there.
    unsafe fn read<S: Simd>(from: *const f32, step: usize, len: usize) -> S::V;
}

/// A step of 1.
struct Side;
/// A step of 2.
struct Halved;
/// Any step.
struct Strided;

impl Read for Side {
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const f32, _: usize, len: usize) -> S::V {
        // SAFETY: as this function.
        unsafe { S::load_first(from, len) }
    }
}

impl Read for Halved {
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const f32, _: usize, len: usize) -> S::V {
        let len = 2 * len - 1;
        let first = len.min(S::LANES);
        // SAFETY: as this function; no pixel behind the last is read.
        unsafe {
            let b = S::load_first(from.wrapping_add(S::LANES), len - first);
            S::evens(S::load_first(from, first), b)
        }
    }
}

impl Read for Strided {
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const f32, step: usize, len: usize) -> S::V {
        let mut numbers = [0.0; MOST_LANES];
        // SAFETY: as this function.
        unsafe {
            for (i, number) in numbers[..len].iter_mut().enumerate() {
                *number = *from.add(i * step);
            }
            S::load(numbers.as_ptr())
        }
    }
}

/// Of `N` rows, `step` numbers apart.
///
/// # Safety
/// The machine has the instructions of `S`, and each row holds `len` numbers.
#[inline(always)]
pub(super) unsafe fn zeros<S: Simd, const N: usize>(to: *mut f32, step: usize, len: usize) {
    let mut at = 0;
    while at < len {
        for row in 0..N {
            // SAFETY: as this function.
            unsafe { S::store_first(to.add(row * step + at), (len - at).min(S::LANES), S::zero()) };
        }
        at += S::LANES;
    }
}
