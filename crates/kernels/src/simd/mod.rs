//! Vectors of `f32`, by instruction set.
//!
//! A kernel is a [`Task`]: code over any [`Simd`], compiled once for each [`Level`] and entered by [`Level::run`]. The
//! methods of a task must be `#[inline(always)]`, and so must every function that they call with vectors: only then are
//! they compiled with the instructions of the level.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// Numbers in the longest vector.
pub(crate) const MOST_LANES: usize = 16;

const _: () = assert!(Portable::LANES <= MOST_LANES);
#[cfg(target_arch = "x86_64")]
const _: () = assert!(Avx2::LANES <= MOST_LANES && Avx512::LANES <= MOST_LANES);

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Vectors of 16 numbers on x86-64.
    Avx512,
    /// Vectors of 8 numbers and fused multiply-add on x86-64.
    Avx2,
    /// What the compiler makes of loops over 4 numbers: SSE2 on x86-64, NEON on aarch64.
    Portable,
}

impl Level {
    /// The levels that this machine has, the fastest first.
    ///
    /// ```
    /// use tweedie_kernels::Level;
    ///
    /// assert_eq!(Level::available().last(), Some(&Level::Portable));
    /// ```
    pub fn available() -> &'static [Self] {
        const ALL: [Level; 3] = [Level::Avx512, Level::Avx2, Level::Portable];
        &ALL[ALL.len() - Self::count()..]
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::available()[0]
    }

    #[cfg(target_arch = "x86_64")]
    fn count() -> usize {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f");
        match (avx512 && avx2, avx2) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 1,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn count() -> usize {
        1
    }

    /// Numbers in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::LANES,
            _ => Portable::LANES,
        }
    }

    /// Runs `task` with the instructions of this level.
    ///
    /// # Panics
    /// If the machine lacks them.
    #[inline]
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        assert!(
            Self::available().contains(&self),
            "{self:?} on a machine without it"
        );
        match self {
            // SAFETY: the machine has the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::run(task) },
            // SAFETY: the machine has the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::run(task) },
            // SAFETY: no instruction beyond those of the target is used.
            _ => unsafe { task.run::<Portable>() },
        }
    }
}

/// Code over vectors of any length.
pub(crate) trait Task {
    /// What it returns.
    type Output;

    /// Does the work; `#[inline(always)]`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Vectors of `f32` of one instruction set.
///
/// # Safety of all methods
/// The machine has the instructions. Pointers are valid for the numbers read or written; no alignment is asked.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows of a block of the matrix product ([`crate::gemm`]): as many as leave all sums in registers.
    const ROWS: usize;
    /// A vector.
    type V: Copy;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// The first `n <= LANES` numbers, and zeros.
    unsafe fn load_first(from: *const f32, n: usize) -> Self::V;
    /// Writes the first `n <= LANES` numbers.
    unsafe fn store_first(to: *mut f32, n: usize, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a b`.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; the second where one is no number.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; the second where one is no number.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `y`, but zero where `x <= 0`.
    unsafe fn gate(x: Self::V, y: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// To the nearest integer.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `x 2^n` for integral `n` in -126..=127.
    unsafe fn scale_by_power(x: Self::V, n: Self::V) -> Self::V;
    /// The sum of all numbers.
    unsafe fn sum(a: Self::V) -> f32;
    /// Numbers 0, 2, 4 ... of `a` and then of `b`.
    unsafe fn evens(a: Self::V, b: Self::V) -> Self::V;
    /// The transposed square of `LANES` rows at `from`, `from_stride` numbers apart, written at `to`, `to_stride` apart.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);

    /// `1/a` within 2 units in the last place for positive `a` up to 2^126; beyond, 0 or that.
    #[inline(always)]
    unsafe fn reciprocal(a: Self::V) -> Self::V {
        // SAFETY: as this method.
        unsafe { Self::div(Self::splat(1.0), a) }
    }

    /// `x` in the first `n <= LANES` lanes, and zeros.
    #[inline(always)]
    unsafe fn splat_first(x: f32, n: usize) -> Self::V {
        // SAFETY: as this method; no more than `LANES` numbers are read.
        unsafe { Self::load_first([x; MOST_LANES].as_ptr(), n) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: as this method.
        unsafe { Self::splat(0.0) }
    }

    /// `e^x` within 2 units in the last place for `x` in [-87, 88]; beyond, the value at the bound.
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        // SAFETY: as this method.
        unsafe {
            // In this order what is no number stays none.
            let x = Self::max(Self::splat(-87.0), Self::min(Self::splat(88.0), x));
            let n = Self::round(Self::mul(x, Self::splat(std::f32::consts::LOG2_E)));
            // ln 2 in two parts, so that n times the first is exact.
            let r = Self::fnma(n, Self::splat(0.693_359_4), x);
            let r = Self::fnma(n, Self::splat(-2.121_944_4e-4), r);
            // Taylor's polynomial of degree 7: its rest on |r| <= ln(2)/2 is below 2^-27.
            let mut p = Self::splat(1.0 / 5040.0);
            for c in [
                1.0 / 720.0,
                1.0 / 120.0,
                1.0 / 24.0,
                1.0 / 6.0,
                0.5,
                1.0,
                1.0,
            ] {
                p = Self::fma(p, r, Self::splat(c));
            }
            Self::scale_by_power(p, n)
        }
    }
}
