//! Winograd's F(4 x 4, 3 x 3): `y = A' [(G g G') * (B' d B)] A` for tiles of 4 x 4 outputs, of 6 x 6 inputs each. Lavin & Gray
//! 2016, sections 4.1 and 4.3, <https://arxiv.org/abs/1509.09308>. 36 multiplications in the place of 144.
//!
//! # Rounding
//! A number errs, to first order, by at most `(C + 30) 2^-24 |A'| [sum_c (|G| |g| |G'|) * (|B'| |d| |B|)] |A|`, for sums over
//! `C` channels: 30 are the roundings of the transforms. That sum is at most 256 times the largest that `sum |w| |x|` can be with
//! numbers of the same magnitudes, 77 times on average over the 16 outputs of a tile (Barabasz et al. 2020 derive bounds of this
//! kind, <https://arxiv.org/abs/1803.10986>). Errors are random and mostly cancel. Measured with uniform numbers in -1..1: 1.1e-6
//! in the mean square relative to the output for 16 channels and 1.9e-6 for 512, where the direct algorithm has 2e-7 and 3e-7;
//! the largest error was 6e-6 of the largest output.
//!
//! An input that is not finite makes all the outputs of its tiles not finite.

mod forward;
mod gradient;
mod layout;
mod pack;
mod rows;
mod tiles;
mod transform;

use super::{Convolution, Pass};
use transform::OUT;

pub(super) use forward::forward;
pub(super) use gradient::weight_gradient;
pub(super) use pack::pack;

/// Whether the algorithm is one for this convolution.
pub(super) fn applies(c: &Convolution) -> bool {
    c.kernel == [3, 3] && c.stride == [1, 1] && c.padding.iter().flatten().all(|&p| p <= 2)
}

/// Channels below which the transforms cost more than they save.
const FEW: usize = 8;

/// Whether it is likely faster than the direct algorithm, where it applies.
///
/// What is summed image by image must not depend on the batch, and nor must this.
pub(super) fn pays(c: &Convolution, pass: Pass) -> bool {
    let size = if pass == Pass::InputGradient {
        c.size
    } else {
        c.output_size()
    };
    let tiles = size
        .map(|len| len.div_ceil(OUT))
        .into_iter()
        .product::<usize>();
    let pairs = c.inputs * c.outputs;
    let enough = match pass {
        // Transformed kernels are four times as large, and few tiles wait for them to come from memory.
        Pass::Forward | Pass::InputGradient if tiles == 1 => pairs <= 1 << 13,
        Pass::Forward | Pass::InputGradient => pairs <= tiles << 14,
        Pass::WeightGradient => c.batch * tiles >= 8,
    };
    c.inputs.min(c.outputs) >= FEW && enough
}
