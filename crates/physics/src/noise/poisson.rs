//! Poisson noise of photon counts with a gain, `y = gain k`, `k ~ Poisson(clean / gain)`.

use burn::tensor::Tensor;
use tweedie_core::Rng;

use super::host::{LARGEST_RATE, check_values, log_poisson_at_mean, map, poisson_count, positive};
use super::{LikelihoodScore, NoiseModel, VarianceStabiliser, anscombe, matched, sum_entries};
use crate::PhysicsError;

/// `y = gain k`, `k ~ Poisson(clean / gain)`: mean `clean`, variance `gain clean`.
///
/// The clean measurement must not be negative. The smaller the gain, the more photons make a pixel of 1, the less
/// noise.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_physics::{NoiseModel, PoissonNoise};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let noise = PoissonNoise::new(0.01)?;
/// let clean = Tensor::<4>::full([1, 1, 8, 8], 0.5, &device);
/// noise.check(&clean)?;
/// let y = noise.corrupt(clean, &mut Rng::seeded(1, &device));
/// assert_eq!(y.dims(), [1, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonNoise {
    gain: f64,
}

impl PoissonNoise {
    /// One photon adds `gain > 0`, in the units of pixels in [0, 1].
    ///
    /// # Errors
    /// If `gain` is not finite and above 0.
    pub fn new(gain: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            gain: positive("gain", gain)?,
        })
    }

    /// What one photon adds.
    pub fn gain(&self) -> f64 {
        self.gain
    }
}

impl<const Y: usize> NoiseModel<Y> for PoissonNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        rng.draw_from(clean, |value, stream| {
            self.gain * poisson_count(value / self.gain, stream)
        })
    }

    /// The log-probability of the counts `k = y / gain`, `sum k ln r - r - ln Gamma(k + 1)` with `r = clean / gain`.
    ///
    /// Continued by the Gamma function between the counts, and negative infinity below 0. Reads `y` back for the Gamma
    /// function.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let to_counts = 1.0 / self.gain;
        log_probability(y.mul_scalar(to_counts), clean.mul_scalar(to_counts))
    }

    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        check_rates(clean, self.gain)
    }
}

/// Refuses values that are negative or too many counts.
pub(super) fn check_rates<const Y: usize>(
    clean: &Tensor<Y>,
    gain: f64,
) -> Result<(), PhysicsError> {
    check_values(
        clean,
        "at least 0 and at most 1.8e19 times the gain",
        |value| (0.0..=LARGEST_RATE).contains(&(value / gain)),
    )
}

/// `sum k ln r - r - ln Gamma(k + 1)` of each sample.
///
/// As `k ln(r/k) - (r - k)` plus a function of `k` alone: no two large terms cancel, which single precision needs.
pub(super) fn log_probability<const Y: usize>(k: Tensor<Y>, rate: Tensor<Y>) -> Tensor<1> {
    let at_mean = sum_entries(map(&k, log_poisson_at_mean));
    let (k, rate) = matched(k.clamp_min(0.0), rate);
    let excess = rate - k.clone();
    let relative = excess.clone() / where_zero_one(k.clone());
    sum_entries(k * relative.log1p() - excess) + at_mean
}

/// `x`, with 1 for 0.
fn where_zero_one<const Y: usize>(x: Tensor<Y>) -> Tensor<Y> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero, 1.0)
}

impl<const Y: usize> LikelihoodScore<Y> for PoissonNoise {
    /// `(y / clean - 1) / gain`; where `y` is 0 it is `-1 / gain` for every `clean`, 0 included.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        let (y, clean) = matched(y, clean);
        let dark = y.clone().equal_elem(0.0);
        (y / clean.mask_fill(dark, 1.0))
            .sub_scalar(1.0)
            .mul_scalar(1.0 / self.gain)
    }
}

impl<const Y: usize> VarianceStabiliser<Y> for PoissonNoise {
    /// Anscombe's transform, `2 sqrt(y / gain + 3/8)`: variance 1 within 0.3 % from a mean of 4 photons on.
    fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y> {
        anscombe::transform(y.mul_scalar(1.0 / self.gain), 0.0)
    }

    /// The closed form of Makitalo & Foi 2011, within `0.02 gain`.
    fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y> {
        anscombe::mean_counts(mean).mul_scalar(self.gain)
    }
}
