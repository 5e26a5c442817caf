//! Standard normal numbers: the ziggurat of Doornik 2005, <https://www.doornik.com/research/ziggurat.pdf>, as
//! [`StandardNormal`] has it, number for number.
//!
//! A word names a layer `i` by its last 8 bits and a place `x = u e_i`, `u` in [-1, 1), by its first 52; `e_i` is the
//! layer's edge. With `|x| < e_{i+1}` the number is `x`: so end 99 in 100, and they are found here, without a call. The
//! others are left to the library.

use std::array;
use std::convert::Infallible;
use std::sync::LazyLock;

use rand::rand_core::utils::fill_bytes_via_next_word;
use rand::{RngExt, TryRng};
use rand_distr::StandardNormal;

/// Of each layer, its edge and that of the next: `e_i` and `e_{i+1}`.
pub(crate) type Edges = [[f64; 2]; LAYERS];

const LAYERS: usize = 256;

/// The library keeps its table to itself, but shows it: in layer `i` the number of `u = -1/2` is `-e_i/2`.
static EDGES: LazyLock<Edges> = LazyLock::new(|| {
    let edge = |layer: usize| match layer {
        LAYERS => 0.0,
        _ => -2.0 * Told::new(1 << 62 | layer as u64).sample::<f64, _>(StandardNormal),
    };
    array::from_fn(|layer| [edge(layer), edge(layer + 1)])
});

/// The table of the ziggurat.
pub(crate) fn edges() -> &'static Edges {
    &EDGES
}

/// The number of a word that needs no other.
#[inline(always)]
pub(crate) fn of_word(word: u64, edges: &Edges) -> Option<f64> {
    let [edge, next] = edges[word as usize % LAYERS];
    // The first 52 bits as those of a number in [2, 4).
    let u = f64::from_bits(word >> 12 | 1024 << 52) - 3.0;
    let x = u * edge;
    (x.abs() < next).then_some(x)
}

/// A word, and then ones: whatever is tested against a uniform number passes.
struct Told(Option<u64>);

impl Told {
    fn new(word: u64) -> Self {
        Self(Some(word))
    }
}

impl TryRng for Told {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.take().unwrap_or(u64::MAX))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}
