//! Sparse wavelet coefficients: `f(x) = weight |details of W x|_1`, `W` an orthonormal wavelet transform.
//!
//! One level splits each axis by a low-pass filter `h` and a high-pass filter `g_j = (-1)^j h_{n-1-j}` of `n` taps,
//! `a_k = sum_j h_j x_{2k+j}`, `d_k = sum_j g_j x_{2k+j}`, indices modulo the length; the next splits what passed `h`
//! on both axes (Mallat 1989, <https://doi.org/10.1109/34.192463>). Filters: Haar and the four taps of Daubechies 1988,
//! table 1, <https://doi.org/10.1002/cpa.3160410705>. `W` is orthonormal, so the proximal operator is exact: soft
//! thresholding of the details by `step weight`. The coarsest averages are free.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::Tensor;

use crate::{
    DataFidelity, FidelityError, Gradient, Proximal, Smooth, error::require_positive,
    shrink::shrink, sum::sum,
};

/// An orthonormal wavelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wavelet {
    /// Sums and differences of neighbours: 2 taps.
    Haar,
    /// 4 taps, blind to linear ramps.
    Daubechies4,
}

impl Wavelet {
    fn low_pass(self) -> Vec<f64> {
        match self {
            Self::Haar => vec![FRAC_1_SQRT_2; 2],
            Self::Daubechies4 => {
                let root = 3.0_f64.sqrt();
                [1.0 + root, 3.0 + root, 3.0 - root, 1.0 - root]
                    .map(|tap| tap * FRAC_1_SQRT_2 / 4.0)
                    .to_vec()
            }
        }
    }

    /// Low-pass and high-pass.
    fn filters(self) -> [Vec<f64>; 2] {
        let low = self.low_pass();
        let mirrored = low.iter().rev().enumerate();
        let high = mirrored.map(|(index, tap)| if index % 2 == 0 { *tap } else { -tap });
        let high = high.collect();
        [low, high]
    }
}

/// `f(x) = weight |details of W x|_1` for images `[batch, channels, height, width]`.
///
/// The gradient is the subgradient `weight W^T sign(details)` with `sign(0) = 0`. The methods panic for an image with a
/// side that `2^levels` does not divide.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{DataFidelity, Wavelet, WaveletL1};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let prior = WaveletL1::new([8, 16], Wavelet::Haar, 3, 0.1)?;
/// let grey = Tensor::<4>::full([1, 3, 8, 16], 0.5, &Device::flex());
/// assert!(prior.value(grey).into_scalar::<f32>() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WaveletL1 {
    filters: [Vec<f64>; 2],
    levels: usize,
    weight: f64,
}

impl WaveletL1 {
    /// For images of `[height, width] = size` and all others whose sides `2^levels` divides; `weight > 0`.
    ///
    /// # Errors
    /// If `levels` is 0 or `2^levels` does not divide both sides, or unless `weight` is finite and above 0.
    pub fn new(
        size: [usize; 2],
        wavelet: Wavelet,
        levels: usize,
        weight: f64,
    ) -> Result<Self, FidelityError> {
        require_positive("weight", weight)?;
        if levels == 0 || size.iter().any(|&side| !can_be_halved(side, levels)) {
            return Err(FidelityError::Levels { size, levels });
        }
        Ok(Self {
            filters: wavelet.filters(),
            levels,
            weight,
        })
    }

    /// `W^T` of the averages after `coarsest` and the details after `detail`.
    fn map(
        &self,
        x: Tensor<4>,
        levels: usize,
        coarsest: &impl Fn(Tensor<4>) -> Tensor<4>,
        detail: &impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        if levels == 0 {
            return coarsest(x);
        }
        let [[averages, rows], columns] = self.split(x);
        let averages = self.map(averages, levels - 1, coarsest, detail);
        let low = self.join([averages, detail(rows)], 2);
        let high = self.join(columns.map(detail), 2);
        self.join([low, high], 3)
    }

    /// One level: `[[averages, details], [details, details]]`.
    fn split(&self, x: Tensor<4>) -> [[Tensor<4>; 2]; 2] {
        self.analyse(x, 3).map(|half| self.analyse(half, 2))
    }

    /// `a` and `d` along an axis.
    fn analyse(&self, x: Tensor<4>, axis: usize) -> [Tensor<4>; 2] {
        let phases = [phase(x.clone(), axis, 0), phase(x, axis, 1)];
        [&self.filters[0], &self.filters[1]].map(|filter| {
            total(filter.iter().enumerate().map(|(index, &tap)| {
                rotate(phases[index % 2].clone(), axis, index / 2).mul_scalar(tap)
            }))
        })
    }

    /// The inverse, which is the adjoint, of `analyse`.
    fn join(&self, halves: [Tensor<4>; 2], axis: usize) -> Tensor<4> {
        let length = halves[0].dims()[axis];
        let phases = [0, 1].map(|parity| {
            total(self.filters.iter().zip(&halves).flat_map(|(filter, half)| {
                (parity..filter.len()).step_by(2).map(move |index| {
                    let back = (length - index / 2 % length) % length;
                    rotate(half.clone(), axis, back).mul_scalar(filter[index])
                })
            }))
        });
        interleave(phases, axis)
    }
}

fn can_be_halved(side: usize, levels: usize) -> bool {
    let block = u32::try_from(levels)
        .ok()
        .and_then(|levels| 1_usize.checked_shl(levels));
    side > 0 && block.is_some_and(|block| side.is_multiple_of(block))
}

fn total(terms: impl Iterator<Item = Tensor<4>>) -> Tensor<4> {
    terms
        .reduce(|sum, term| sum + term)
        .expect("a filter has taps")
}

/// Entries `2k + parity` of an axis of even length.
fn phase(x: Tensor<4>, axis: usize, parity: usize) -> Tensor<4> {
    let mut halved = x.dims();
    halved[axis] /= 2;
    paired(x, axis).narrow(axis + 1, parity, 1).reshape(halved)
}

/// The axis as pairs of neighbours.
fn paired(x: Tensor<4>, axis: usize) -> Tensor<5> {
    let [batch, channels, height, width] = x.dims();
    x.reshape(match axis {
        2 => [batch, channels, height / 2, 2, width],
        _ => [batch, channels, height, width / 2, 2],
    })
}

/// The inverse of `phase` for both parities.
fn interleave([even, odd]: [Tensor<4>; 2], axis: usize) -> Tensor<4> {
    let mut doubled = even.dims();
    doubled[axis] *= 2;
    Tensor::stack::<5>(vec![even, odd], axis + 1).reshape(doubled)
}

/// Entry `k + by` at `k`, modulo the length.
fn rotate(x: Tensor<4>, axis: usize, by: usize) -> Tensor<4> {
    let length = x.dims()[axis];
    let by = by % length;
    if by == 0 {
        return x;
    }
    let ahead = x.clone().narrow(axis, by, length - by);
    Tensor::cat(vec![ahead, x.narrow(axis, 0, by)], axis)
}

/// No constant: the gradient jumps where a detail is 0.
impl Smooth for WaveletL1 {}

impl Gradient for WaveletL1 {
    fn grad(&self, x: Tensor<4>) -> Tensor<4> {
        let flat = |averages: Tensor<4>| averages.zeros_like();
        self.map(x, self.levels, &flat, &Tensor::sign)
            .mul_scalar(self.weight)
    }
}

impl DataFidelity for WaveletL1 {
    fn value(&self, x: Tensor<4>) -> Tensor<1> {
        let mut averages = x;
        let levels = (0..self.levels).map(|_| {
            let [[coarser, a], [b, c]] = self.split(averages.clone());
            averages = coarser;
            sum(a.abs()) + sum(b.abs()) + sum(c.abs())
        });
        levels
            .reduce(|sum, level| sum + level)
            .expect("the constructor refuses 0 levels")
            .mul_scalar(self.weight)
    }
}

impl Proximal for WaveletL1 {
    fn prox(&self, x: Tensor<4>, step: f64) -> Tensor<4> {
        let threshold = step * self.weight;
        self.map(x, self.levels, &|averages| averages, &|detail| {
            shrink(detail, threshold)
        })
    }
}
