//! Between images, where the pixels of a channel lie side by side, and strips, where the channels of a pixel do.

use std::mem::MaybeUninit;

use crate::simd::{MOST_LANES, Simd};

/// Columns up to which a transposition number by number is the faster.
const FEW: usize = 3;

/// A channel block of an image: `channels <= LANES` planes of `height x width` numbers.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Rows and columns of an image, the first of which may lie before it and the last behind.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) row: isize,
    pub(super) rows: usize,
    pub(super) column: isize,
    pub(super) columns: usize,
}

impl Window {
    /// The columns that the image has, of those of the window.
    #[inline(always)]
    fn inside(&self, width: usize) -> (usize, usize) {
        let end = (width as isize - self.column).clamp(0, self.columns as isize) as usize;
        ((-self.column).clamp(0, end as isize) as usize, end)
    }
}

/// Writes the window as `[rows][columns][LANES]`, with zeros beyond the image and beyond its channels.
///
/// # Safety
/// The machine has the instructions of `S`; `from` holds the planes and `to` the window.
#[inline(always)]
pub(super) unsafe fn gather<S: Simd>(from: *const f32, planes: Planes, w: Window, to: *mut f32) {
    debug_assert!(planes.channels <= S::LANES);
    let step = planes.height * planes.width;
    // SAFETY: as this function; rows and columns of the image are those that it has.
    unsafe {
        let (start, end) = w.inside(planes.width);
        if end - start == planes.width && narrow::<S>(planes.width) {
            gather_narrow::<S>(from, planes, w, to);
            return;
        }
        for row in 0..w.rows {
            let to = to.add(row * w.columns * S::LANES);
            let y = w.row + row as isize;
            if y < 0 || y >= planes.height as isize || start == end {
                clear::<S>(to, 0, w.columns);
                continue;
            }
            clear::<S>(to, 0, start);
            clear::<S>(to, end, w.columns);
            let from = from.add(y as usize * planes.width);
            let run = Run {
                rows: planes.channels,
                len: end - start,
            };
            let from = from.offset(w.column + start as isize);
            turn_run::<S>(from, step, run, to.add(start * S::LANES));
        }
    }
}

/// Whether the rows of an image are better transposed as one run of pixels.
#[inline(always)]
fn narrow<S: Simd>(width: usize) -> bool {
    !width.is_multiple_of(S::LANES) && width < 4 * S::LANES
}

/// [`gather`] of rows in full width.
#[inline(always)]
unsafe fn gather_narrow<S: Simd>(from: *const f32, planes: Planes, w: Window, to: *mut f32) {
    let Planes {
        channels,
        height,
        width,
    } = planes;
    let left = (-w.column) as usize;
    let end = (height as isize - w.row).clamp(0, w.rows as isize) as usize;
    let start = (-w.row).clamp(0, end as isize) as usize;
    let pixels = (end - start) * width;
    // SAFETY: as the caller. The run is written at the end of the window, and from there no row is moved back onto one that
    // has not been moved yet, since those of the window are at least as long and as many.
    unsafe {
        let run = to.add((w.rows * w.columns - pixels) * S::LANES);
        let from = from.offset((w.row + start as isize) * width as isize);
        turn_run::<S>(
            from,
            height * width,
            Run {
                rows: channels,
                len: pixels,
            },
            run,
        );
        clear::<S>(to, 0, start * w.columns);
        for row in start..end {
            let to = to.add(row * w.columns * S::LANES);
            let run = run.add((row - start) * width * S::LANES);
            clear::<S>(to, 0, left);
            for pixel in 0..width {
                S::store(
                    to.add((left + pixel) * S::LANES),
                    S::load(run.add(pixel * S::LANES)),
                );
            }
            clear::<S>(to, left + width, w.columns);
        }
        clear::<S>(to, end * w.columns, w.rows * w.columns);
    }
}

/// The reverse for a window within the image, of rows of `stride` pixels, which may be moved.
///
/// # Safety
/// As [`gather`], `from` and `to` exchanged.
#[inline(always)]
pub(super) unsafe fn scatter<S: Simd>(
    from: *mut f32,
    stride: usize,
    w: Window,
    planes: Planes,
    to: *mut f32,
) {
    debug_assert!(planes.channels <= S::LANES);
    debug_assert!(w.row >= 0 && w.row as usize + w.rows <= planes.height);
    debug_assert!(w.column >= 0 && w.column as usize + w.columns <= planes.width);
    let step = planes.height * planes.width;
    // SAFETY: as this function.
    unsafe {
        let to = to.add(w.row as usize * planes.width + w.column as usize);
        if w.columns == planes.width && narrow::<S>(planes.width) {
            scatter_narrow::<S>(from, stride, w.rows, planes, to);
            return;
        }
        for row in 0..w.rows {
            let mut column = 0;
            while column < w.columns {
                let rows = (w.columns - column).min(S::LANES);
                let from = from.add((row * stride + column) * S::LANES);
                let square = Square {
                    rows,
                    columns: planes.channels,
                    written: rows,
                };
                transpose::<S>(
                    from,
                    S::LANES,
                    square,
                    to.add(row * planes.width + column),
                    step,
                );
                column += rows;
            }
        }
    }
}

/// [`scatter`] of rows in full width.
#[inline(always)]
unsafe fn scatter_narrow<S: Simd>(
    from: *mut f32,
    stride: usize,
    rows: usize,
    planes: Planes,
    to: *mut f32,
) {
    let Planes {
        channels,
        height,
        width,
    } = planes;
    // SAFETY: as the caller; rows are moved towards the first, each onto some that were moved already.
    unsafe {
        for row in 1..rows {
            for pixel in 0..width {
                let v = S::load(from.add((row * stride + pixel) * S::LANES));
                S::store(from.add((row * width + pixel) * S::LANES), v);
            }
        }
        let len = rows * width;
        let mut at = 0;
        while at < len {
            let rows = (len - at).min(S::LANES);
            let square = Square {
                rows,
                columns: channels,
                written: rows,
            };
            transpose::<S>(
                from.add(at * S::LANES),
                S::LANES,
                square,
                to.add(at),
                height * width,
            );
            at += rows;
        }
    }
}

/// Zeros in the vectors of pixels `start..end`.
#[inline(always)]
unsafe fn clear<S: Simd>(to: *mut f32, start: usize, end: usize) {
    for pixel in start..end {
        // SAFETY: the caller's.
        unsafe { S::store(to.add(pixel * S::LANES), S::zero()) };
    }
}

/// A part of the square that [`Simd::transpose`] transposes: `rows` of `columns` numbers are read, and of each column
/// `written >= rows` numbers are written, zeros beyond the rows.
#[derive(Clone, Copy)]
pub(super) struct Square {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) written: usize,
}

/// The transposed of a square or of a part of it.
///
/// # Safety
/// The machine has the instructions of `S`; `from` and `to` hold what is read and written; no side exceeds `LANES`.
#[inline(always)]
pub(super) unsafe fn transpose<S: Simd>(
    from: *const f32,
    from_stride: usize,
    square: Square,
    to: *mut f32,
    to_stride: usize,
) {
    let Square {
        rows,
        columns,
        written,
    } = square;
    debug_assert!(rows <= written && written <= S::LANES && columns <= S::LANES);
    // SAFETY: as this function; the buffers hold a square each, and are written before they are read.
    unsafe {
        if rows == S::LANES && columns == S::LANES {
            S::transpose(from, from_stride, to, to_stride);
            return;
        }
        if columns <= FEW && rows == written {
            for column in 0..columns {
                for row in 0..rows {
                    *to.add(column * to_stride + row) = *from.add(row * from_stride + column);
                }
            }
            return;
        }
        let mut whole = [MaybeUninit::<f32>::uninit(); MOST_LANES * MOST_LANES];
        let mut turned = [MaybeUninit::<f32>::uninit(); MOST_LANES * MOST_LANES];
        let (whole, turned) = (
            whole.as_mut_ptr().cast::<f32>(),
            turned.as_mut_ptr().cast::<f32>(),
        );
        for row in 0..rows {
            let v = S::load_first(from.add(row * from_stride), columns);
            S::store(whole.add(row * S::LANES), v);
        }
        for row in rows..S::LANES {
            S::store(whole.add(row * S::LANES), S::zero());
        }
        S::transpose(whole, S::LANES, turned, S::LANES);
        for column in 0..columns {
            let v = S::load(turned.add(column * S::LANES));
            S::store_first(to.add(column * to_stride), written, v);
        }
    }
}

/// `rows <= LANES` rows of `len` numbers.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) rows: usize,
    pub(super) len: usize,
}

/// The rows, `stride` numbers apart, as `[len][LANES]`, with zeros beyond them.
///
/// # Safety
/// As [`transpose`].
#[inline(always)]
pub(super) unsafe fn turn_run<S: Simd>(from: *const f32, stride: usize, run: Run, to: *mut f32) {
    let mut at = 0;
    while at < run.len {
        let columns = (run.len - at).min(S::LANES);
        let square = Square {
            rows: run.rows,
            columns,
            written: S::LANES,
        };
        // SAFETY: as this function.
        unsafe {
            transpose::<S>(
                from.add(at),
                stride,
                square,
                to.add(at * S::LANES),
                S::LANES,
            )
        };
        at += columns;
    }
}
