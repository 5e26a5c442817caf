//! Half precision: numbers of 16 bits made into single precision and back, rounded to the nearest, ties to even.
//!
//! The kernels compute in single precision and round once, at their end, whatever the type of what they are given.

use burn::tensor::{bf16, f16};
use rayon::prelude::*;

use crate::Level;
use crate::simd::{Simd, Task};

/// Numbers of a parallel piece of work.
const PIECE: usize = 1 << 15;

/// A type of 16 bits: [`struct@f16`] or [`bf16`].
pub trait Half: Copy + Send + Sync + Bits {}

impl Half for f16 {}
impl Half for bf16 {}

mod private {
    pub trait Bits {
        const ZERO: Self;
        fn wide(self) -> f32;
        fn nearest(x: f32) -> Self;
    }
}

use private::Bits;

/// Of an `f32`: all bits but that of the sign, those of infinity, and that which says that no number is meant to stay one.
const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITY: u32 = 0x7f80_0000;

/// 11 bits of mantissa, the first of them not stored, and exponents from -14 to 15: all subnormal numbers are kept.
impl Bits for f16 {
    const ZERO: Self = f16::ZERO;

    #[inline(always)]
    fn wide(self) -> f32 {
        let bits = u32::from(self.to_bits());
        let (sign, magnitude) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
        // The exponent is 112 less than it should be, also where it is that of a subnormal number.
        let scaled = f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23);
        let is_finite = magnitude < 0x7c00 << 13;
        let magnitude = if is_finite {
            scaled.to_bits()
        } else {
            magnitude | INFINITY
        };
        f32::from_bits(magnitude | sign)
    }

    #[inline(always)]
    fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        let (sign, magnitude) = ((bits >> 16) & 0x8000, bits & MAGNITUDE);
        let even = (magnitude >> 13) & 1;
        // A mantissa that overflows adds one to the exponent, as it should.
        let normal = (magnitude.wrapping_add(0x0fff + even)).wrapping_sub(112 << 23) >> 13;
        // The last bit of numbers from a half to one is worth 2^-24, as that of the subnormal ones.
        let subnormal = (f32::from_bits(magnitude) + 0.5)
            .to_bits()
            .wrapping_sub(0x3f00_0000);
        let finite = if magnitude < (127 - 14) << 23 {
            subnormal
        } else {
            normal
        };
        // From 65520 on, halfway to what would be the next number, that mantissa overflows too, to infinity.
        let at_most = if magnitude >= (127 + 16) << 23 {
            0x7c00
        } else {
            finite
        };
        let all = if magnitude > INFINITY {
            0x7e00
        } else {
            at_most
        };
        f16::from_bits((all | sign) as u16)
    }
}

/// The first half of an `f32`.
impl Bits for bf16 {
    const ZERO: Self = bf16::ZERO;

    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        let even = (bits >> 16) & 1;
        let rounded = bits.wrapping_add(0x7fff + even) >> 16;
        let all = if bits & MAGNITUDE > INFINITY {
            (bits >> 16) | 0x40
        } else {
            rounded
        };
        bf16::from_bits(all as u16)
    }
}

/// The same numbers in single precision.
pub fn widened<H: Half>(level: Level, x: &[H]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    in_pieces(level, x, &mut y, Widen);
    y
}

/// The nearest numbers of half precision; the one with the even mantissa where two are as near, infinity where none is
/// large enough.
pub fn narrowed<H: Half>(level: Level, x: &[f32]) -> Vec<H> {
    let mut y = vec![H::ZERO; x.len()];
    in_pieces(level, x, &mut y, Narrow);
    y
}

/// A conversion of one number; `#[inline(always)]`.
trait Conversion<A, B>: Copy + Sync {
    fn of(self, x: A) -> B;
}

#[derive(Clone, Copy)]
struct Widen;

impl<H: Half> Conversion<H, f32> for Widen {
    #[inline(always)]
    fn of(self, x: H) -> f32 {
        x.wide()
    }
}

#[derive(Clone, Copy)]
struct Narrow;

impl<H: Half> Conversion<f32, H> for Narrow {
    #[inline(always)]
    fn of(self, x: f32) -> H {
        H::nearest(x)
    }
}

fn in_pieces<A: Copy + Sync, B: Send>(
    level: Level,
    from: &[A],
    to: &mut [B],
    conversion: impl Conversion<A, B>,
) {
    let pieces = from.par_chunks(PIECE).zip(to.par_chunks_mut(PIECE));
    pieces.for_each(|(from, to)| {
        level.run(Convert {
            from,
            to,
            conversion,
        });
    });
}

struct Convert<'a, A, B, C> {
    from: &'a [A],
    to: &'a mut [B],
    conversion: C,
}

impl<A: Copy, B, C: Conversion<A, B>> Task for Convert<'_, A, B, C> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // A loop without branches, which the compiler makes vectors of.
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = self.conversion.of(*from);
        }
    }
}
