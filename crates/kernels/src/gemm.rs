//! The block of all matrix products: `C (+)= A B` for as many rows of `C` as registers hold, and one or two vectors of columns.
//!
//! The sums stay in registers over the whole depth; each step of it loads a row of `B` and broadcasts one number of each row
//! of `A` (Goto & van de Geijn 2008, section 4, <https://doi.org/10.1145/1356052.1356053>).

use crate::simd::Simd;

/// Vectors of columns in a panel of `B`.
pub(crate) const VECTORS: usize = 2;

/// Where the numbers of `A` lie: that of row `r` and depth `k = block inner_len + inner` is at
/// `r row_step + inner inner_step + block block_step`.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) blocks: usize,
    pub(crate) block_step: usize,
    pub(crate) inner_len: usize,
    pub(crate) inner_step: usize,
}

impl Depth {
    /// Of `len` steps, `step` numbers apart.
    pub(crate) fn strided(len: usize, step: usize) -> Self {
        Self {
            blocks: 1,
            block_step: 0,
            inner_len: len,
            inner_step: step,
        }
    }
}

/// The two factors and the product.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    pub(crate) a: *const f32,
    pub(crate) depth: Depth,
    pub(crate) b: *const f32,
    /// From one depth to the next.
    pub(crate) b_step: usize,
    pub(crate) c: *mut f32,
    /// From one row to the next.
    pub(crate) c_step: usize,
    /// At most `VECTORS` vectors; those of `B` are read in whole vectors.
    pub(crate) columns: usize,
    /// Whether `C` is added to.
    pub(crate) accumulate: bool,
}

/// Rows of `A` that lie one number apart, or one vector apart.
pub(crate) trait RowStep {
    /// The step, in numbers.
    fn of<S: Simd>() -> usize;
}

/// One number apart.
pub(crate) struct ByOne;
/// One vector apart.
pub(crate) struct ByLanes;

impl RowStep for ByOne {
    #[inline(always)]
    fn of<S: Simd>() -> usize {
        1
    }
}

impl RowStep for ByLanes {
    #[inline(always)]
    fn of<S: Simd>() -> usize {
        S::LANES
    }
}

/// `rows <= S::ROWS` rows of the product.
///
/// # Safety
/// The machine has the instructions of `S`; `A` holds what `depth` and `rows` reach, `B` whole vectors of each depth, `C`
/// `columns` numbers of each row, and nothing else reads or writes that part of `C`.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd, A: RowStep>(rows: usize, o: Operands) {
    debug_assert!(rows <= S::ROWS && o.columns <= VECTORS * S::LANES);
    // SAFETY: as this function.
    unsafe {
        if o.columns > S::LANES {
            by_rows::<S, A, 2>(rows, o);
        } else {
            by_rows::<S, A, 1>(rows, o);
        }
    }
}

/// # Safety
/// As [`multiply`]; `columns` lie in the last of `N` vectors.
#[inline(always)]
unsafe fn by_rows<S: Simd, A: RowStep, const N: usize>(rows: usize, o: Operands) {
    // SAFETY: as this function.
    unsafe {
        match rows {
            0 => {}
            1 => block::<S, A, 1, N>(o),
            2 => block::<S, A, 2, N>(o),
            3 => block::<S, A, 3, N>(o),
            4 => block::<S, A, 4, N>(o),
            5 if S::ROWS >= 5 => block::<S, A, 5, N>(o),
            6 if S::ROWS >= 6 => block::<S, A, 6, N>(o),
            7 if S::ROWS >= 7 => block::<S, A, 7, N>(o),
            8 if S::ROWS >= 8 => block::<S, A, 8, N>(o),
            9 if S::ROWS >= 9 => block::<S, A, 9, N>(o),
            10 if S::ROWS >= 10 => block::<S, A, 10, N>(o),
            11 if S::ROWS >= 11 => block::<S, A, 11, N>(o),
            12 if S::ROWS >= 12 => block::<S, A, 12, N>(o),
            13 if S::ROWS >= 13 => block::<S, A, 13, N>(o),
            14 if S::ROWS >= 14 => block::<S, A, 14, N>(o),
            _ => unreachable!("{rows} rows in a block of {}", S::ROWS),
        }
    }
}

/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn block<S: Simd, A: RowStep, const R: usize, const N: usize>(o: Operands) {
    // SAFETY: as this function.
    unsafe {
        let mut sums = [[S::zero(); N]; R];
        let (mut a_block, mut b) = (o.a, o.b);
        for _ in 0..o.depth.blocks {
            let mut a = a_block;
            for _ in 0..o.depth.inner_len {
                let mut row = [S::zero(); N];
                for (n, v) in row.iter_mut().enumerate() {
                    *v = S::load(b.add(n * S::LANES));
                }
                for (r, sum) in sums.iter_mut().enumerate() {
                    let factor = S::splat(*a.add(r * A::of::<S>()));
                    for n in 0..N {
                        sum[n] = S::fma(factor, row[n], sum[n]);
                    }
                }
                a = a.wrapping_add(o.depth.inner_step);
                b = b.wrapping_add(o.b_step);
            }
            a_block = a_block.wrapping_add(o.depth.block_step);
        }
        // A copy, so that a loop that chooses rows by number does not keep the sums above in memory.
        let sums = sums;
        for (r, sum) in sums.iter().enumerate() {
            let c = o.c.add(r * o.c_step);
            for (n, v) in sum.iter().enumerate() {
                let (c, left) = (c.add(n * S::LANES), o.columns - n * S::LANES);
                if left >= S::LANES {
                    let v = if o.accumulate {
                        S::add(S::load(c), *v)
                    } else {
                        *v
                    };
                    S::store(c, v);
                } else {
                    let v = if o.accumulate {
                        S::add(S::load_first(c, left), *v)
                    } else {
                        *v
                    };
                    S::store_first(c, left, v);
                }
            }
        }
    }
}

/// `rows` cut into the fewest blocks of at most `most`, none more than one row larger than another: first rows and lengths.
pub(crate) fn balanced(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = rows.div_ceil(most).max(1);
    let (len, longer) = (rows / blocks, rows % blocks);
    (0..blocks).map(move |block| {
        let first = block * len + block.min(longer);
        (first, len + usize::from(block < longer))
    })
}
