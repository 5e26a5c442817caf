//! Memory that kernels reuse: a few buffers a thread, in cache lines.

use std::cell::RefCell;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Lines that a thread keeps in all, 32 MiB: a larger buffer is freed after use.
const KEPT: usize = 1 << 19;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `work` a buffer of `len` numbers, aligned to 64 bytes, whatever was in them last.
///
/// Buffers may be nested, also through work that the thread takes over while it waits for others.
pub(crate) fn lend<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let lines = len.div_ceil(LINE);
    let mut buffer = BUFFERS.with_borrow_mut(|buffers| take(buffers, lines));
    if buffer.len() < lines {
        buffer.resize(lines, Line([0.0; LINE]));
    }
    // SAFETY: a line is 16 numbers without padding, and the slice lies within the buffer.
    let numbers = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), len) };
    let result = work(numbers);
    BUFFERS.with_borrow_mut(|buffers| {
        let kept: usize = buffers.iter().map(Vec::len).sum();
        if kept + buffer.len() <= KEPT {
            buffers.push(buffer);
        }
    });
    result
}

/// The smallest buffer that is large enough, or else the largest, to grow.
fn take(buffers: &mut Vec<Vec<Line>>, lines: usize) -> Vec<Line> {
    let fits = (0..buffers.len()).filter(|&i| buffers[i].len() >= lines);
    let smallest = fits.min_by_key(|&i| buffers[i].len());
    let found = smallest.or_else(|| (0..buffers.len()).max_by_key(|&i| buffers[i].len()));
    found.map_or_else(Vec::new, |i| buffers.swap_remove(i))
}
