//! Self-attention of images, and its gradient, without a stored square of weights.
//!
//! `Y = V P`, `P = softmax(K^T Q / sqrt(d))` over the keys, for each head: `Q`, `K`, `V` and `Y` are `[d, length]`
//!
//! (Vaswani et al. 2017, eq. (1), <https://arxiv.org/abs/1706.03762>, transposed: channels come first in an image.) Backward,
//! with `G` the gradient with respect to `Y` and `T = P o (V^T G - 1 t^T)`, `t_i = sum_j P_ji (V^T G)_ji`:
//!
//! `dQ = K T / sqrt(d)`, `dK = Q T^T / sqrt(d)`, `dV = G P^T`
//!
//! As in FlashAttention (Dao et al. 2022, <https://arxiv.org/abs/2205.14135>) the weights of a block of queries live in the
//! cache, and backward computes them anew. Unlike there such a block has all its keys at once, which for the lengths of
//! images costs a thread no more than some hundred numbers a pixel: so nothing is rescaled, and nothing need be saved.
//!
//! A block holds its queries along the vectors and its keys one after the other: products read and write images as they
//! are, and maxima and sums over keys are those of whole vectors.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

use crate::gemm::{ByLanes, ByOne, Depth, Operands, VECTORS, balanced, multiply};
use crate::simd::Simd;

/// Sizes. The images that go in, `[batch, 3 channels, length]`, hold `Q`, `K` and `V` one after the other; the channels of each
/// are those of its heads, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attention {
    /// Images.
    pub batch: usize,
    /// Heads, a divisor of the channels.
    pub heads: usize,
    /// Channels of `Y`, and of each of `Q`, `K`, `V`.
    pub channels: usize,
    /// Pixels of a channel.
    pub length: usize,
}

/// Multiply-adds that are worth a piece of parallel work.
const PIECE: usize = 1 << 19;

impl Attention {
    /// Numbers of the result.
    fn len(&self) -> usize {
        self.batch * self.channels * self.length
    }

    /// Channels of a head, `d`.
    fn depth(&self) -> usize {
        self.channels / self.heads
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.depth() as f64).sqrt()) as f32
    }

    /// Queries that are worth a piece, where one costs `products` by all keys of its head.
    fn queries_of_piece(&self, products: usize) -> usize {
        PIECE.div_ceil((products * self.depth() * self.length).max(1))
    }

    /// Where `Q` of head `head`, counted through all images, begins, and from there `K` and `V`.
    fn start(&self, head: usize) -> [usize; 3] {
        let part = self.channels * self.length;
        let (image, head) = (head / self.heads, head % self.heads);
        let first = image * 3 * part + head * self.depth() * self.length;
        [first, first + part, first + 2 * part]
    }

    /// The numbers of `Q`, `K` and `V` of a head.
    fn head<'a>(&self, qkv: &'a [f32], head: usize) -> [&'a [f32]; 3] {
        let len = self.depth() * self.length;
        self.start(head).map(|start| &qkv[start..][..len])
    }

    fn check(&self, qkv: &[f32]) {
        let Self {
            channels, heads, ..
        } = *self;
        assert!(
            heads > 0 && channels.is_multiple_of(heads),
            "{channels} channels of {heads} heads"
        );
        assert_eq!(
            qkv.len(),
            3 * self.len(),
            "numbers of the queries, keys and values"
        );
    }
}

/// Numbers of a row of a panel: as many queries as a block of the matrix product has columns.
const fn width<S: Simd>() -> usize {
    VECTORS * S::LANES
}

/// The transposed matrix as left factor: for each block of columns of `from`, `[depth, columns]`, these columns of each row.
///
/// # Safety
/// The machine has the instructions of `S`; `to` holds as many numbers as `from`.
#[inline(always)]
unsafe fn pack_transposed<S: Simd>(from: &[f32], columns: usize, to: *mut f32) {
    const { assert!(S::ROWS <= S::LANES) };
    let depth = from.len() / columns;
    for k in 0..depth {
        for (first, len) in balanced(columns, S::ROWS) {
            let row = &from[k * columns + first..][..len];
            // SAFETY: as this function; `first * depth + k * len` numbers come before these.
            unsafe {
                let v = S::load_first(row.as_ptr(), len);
                S::store_first(to.add(first * depth + k * len), len, v);
            }
        }
    }
}

/// The product of a factor from [`pack_transposed`], whose rows are the `columns` of the matrix, with a panel `b`: a panel `c`.
///
/// # Safety
/// The machine has the instructions of `S`; `a` holds `columns * depth` numbers, the panels `depth` and `columns` rows, and
/// nothing else reads or writes `c`.
#[inline(always)]
unsafe fn transposed_product<S: Simd>(
    a: *const f32,
    [columns, depth]: [usize; 2],
    b: *const f32,
    c: *mut f32,
) {
    let w = width::<S>();
    for (first, rows) in balanced(columns, S::ROWS) {
        // SAFETY: as this function.
        unsafe {
            let operands = Operands {
                a: a.add(first * depth),
                depth: Depth::strided(depth, rows),
                b,
                b_step: w,
                c: c.add(first * w),
                c_step: w,
                columns: w,
                accumulate: false,
            };
            multiply::<S, ByOne>(rows, operands);
        }
    }
}

/// The matrix as left factor: for each block of rows of `from`, `[rows, depth]`, a vector of each row after the other, with
/// zeros after the last number; all times `factor`.
///
/// # Safety
/// The machine has the instructions of `S`; `to` holds as many numbers as `from` with its rows in whole vectors.
#[inline(always)]
unsafe fn pack<S: Simd>(from: &[f32], depth: usize, factor: f32, mut to: *mut f32) {
    for (first, rows) in balanced(from.len() / depth, S::ROWS) {
        for k in (0..depth).step_by(S::LANES) {
            let len = S::LANES.min(depth - k);
            for row in first..first + rows {
                let row = &from[row * depth + k..][..len];
                // SAFETY: as this function; each vector is written once, in order.
                unsafe {
                    let v = S::mul(S::load_first(row.as_ptr(), len), S::splat(factor));
                    S::store(to, v);
                    to = to.add(S::LANES);
                }
            }
        }
    }
}

/// The product of a factor from [`pack`] with a panel `b`, written into an image `c` of rows `c_step` apart.
///
/// # Safety
/// The machine has the instructions of `S`; `a` holds `rows` of `depth` in whole vectors, `b` as many rows, zeros after `depth`,
/// and nothing else reads or writes these `columns` of `c`.
#[inline(always)]
unsafe fn product<S: Simd>(
    a: *const f32,
    [rows, depth]: [usize; 2],
    b: *const f32,
    c: *mut f32,
    c_step: usize,
    columns: usize,
) {
    let vectors = depth.div_ceil(S::LANES);
    for (first, rows) in balanced(rows, S::ROWS) {
        // SAFETY: as this function.
        unsafe {
            let operands = Operands {
                a: a.add(first * vectors * S::LANES),
                depth: Depth {
                    blocks: vectors,
                    block_step: rows * S::LANES,
                    inner_len: S::LANES,
                    inner_step: 1,
                },
                b,
                b_step: width::<S>(),
                c: c.add(first * c_step),
                c_step,
                columns,
                accumulate: false,
            };
            multiply::<S, ByLanes>(rows, operands);
        }
    }
}

/// A panel of `columns` numbers of each row of an image, from column `first` on and times `factor`, then zeros.
///
/// # Safety
/// The machine has the instructions of `S`; `to` holds a row of a panel for each row of the image.
#[inline(always)]
unsafe fn gather<S: Simd>(image: &[f32], length: usize, first: usize, factor: f32, to: *mut f32) {
    for (row, image) in image.chunks_exact(length).enumerate() {
        for n in 0..VECTORS {
            let start = length.min(first + n * S::LANES);
            let part = &image[start..length.min(start + S::LANES)];
            // SAFETY: as this function.
            unsafe {
                let v = S::mul(S::load_first(part.as_ptr(), part.len()), S::splat(factor));
                S::store(to.add(row * width::<S>() + n * S::LANES), v);
            }
        }
    }
}

/// Makes a panel of `rows` rows ready for [`product`]: zeros up to the next whole vector.
///
/// # Safety
/// The machine has the instructions of `S`; the panel has these rows.
#[inline(always)]
unsafe fn pad<S: Simd>(panel: *mut f32, rows: usize) {
    let w = width::<S>();
    for row in rows..rows.next_multiple_of(S::LANES) {
        for n in 0..VECTORS {
            // SAFETY: as this function.
            unsafe { S::store(panel.add(row * w + n * S::LANES), S::zero()) };
        }
    }
}

/// The largest number of each column of a panel, two rows at a time.
///
/// # Safety
/// The machine has the instructions of `S`; the panel has these rows, one at least.
#[inline(always)]
unsafe fn largest<S: Simd>(panel: *const f32, rows: usize) -> [S::V; VECTORS] {
    let w = width::<S>();
    // SAFETY: as this function.
    unsafe {
        let mut most = [[S::load(panel), S::load(panel.add(S::LANES))]; 2];
        for row in 0..rows {
            let most = &mut most[row % 2];
            for (n, most) in most.iter_mut().enumerate() {
                *most = S::max(*most, S::load(panel.add(row * w + n * S::LANES)));
            }
        }
        [0, 1].map(|n| S::max(most[0][n], most[1][n]))
    }
}
