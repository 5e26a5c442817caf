//! Noise of transmission tomography: `y = -ln(k / photons) / mu`, photon counts `k ~ Poisson(photons e^(-mu clean))`.
//!
//! As in Leuschner, Schmidt, Baguer & Maass 2021, <https://doi.org/10.1038/s41597-021-00893-z>; a count of 0, which
//! has no logarithm, is set to 0.1.

use burn::tensor::Tensor;
use tweedie_core::Rng;

use super::host::{LARGEST_RATE, check_values, poisson_count, positive};
use super::poisson::log_probability;
use super::{LikelihoodScore, NoiseModel, VarianceStabiliser, anscombe};
use crate::PhysicsError;

/// What a count of 0 is set to.
const DARK: f64 = 0.1;

/// `y = -ln(k / photons) / mu`, `k ~ Poisson(photons e^(-mu clean))`, with 0.1 for a count of 0.
///
/// `clean` is a line integral of absorption in units of `1 / mu`. For many photons the variance of `y` is about
/// `e^(mu clean) / (photons mu^2)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogPoissonNoise {
    photons: f64,
    mu: f64,
}

impl LogPoissonNoise {
    /// Rays of `photons > 0` on average before the object; `mu > 0` is the absorption that a clean measurement of 1
    /// stands for.
    ///
    /// # Errors
    /// If one of them is not finite and above 0.
    pub fn new(photons: f64, mu: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            photons: positive("photons", photons)?,
            mu: positive("mu", mu)?,
        })
    }

    /// The mean number of photons of a ray that nothing absorbs.
    pub fn photons(&self) -> f64 {
        self.photons
    }

    /// The absorption that a clean measurement of 1 stands for.
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// The measurement that stands for `count` photons.
    fn measured(&self, count: f64) -> f64 {
        -(count.max(DARK) / self.photons).ln() / self.mu
    }

    /// `photons e^(-mu x)`.
    fn rates<const Y: usize>(&self, x: Tensor<Y>) -> Tensor<Y> {
        x.mul_scalar(-self.mu).exp().mul_scalar(self.photons)
    }

    /// The counts that `y` stands for; those below 1/2 are 0.
    fn counts<const Y: usize>(&self, y: Tensor<Y>) -> Tensor<Y> {
        let counts = self.rates(y);
        let dark = counts.clone().lower_elem(0.5);
        counts.mask_fill(dark, 0.0)
    }
}

impl<const Y: usize> NoiseModel<Y> for LogPoissonNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        rng.draw_from(clean, |value, stream| {
            let rate = self.photons * (-self.mu * value).exp();
            self.measured(poisson_count(rate, stream))
        })
    }

    /// The log-probability of the counts, `sum k ln r - r - ln Gamma(k + 1)`: `k = photons e^(-mu y)`, 0 below 1/2, and
    /// `r = photons e^(-mu clean)`.
    ///
    /// Continued by the Gamma function between the counts. Reads `y` back for it.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        log_probability(self.counts(y), self.rates(clean))
    }

    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        check_values(
            clean,
            "such that photons e^(-mu clean) is at most 1.8e19",
            |value| (0.0..=LARGEST_RATE).contains(&(self.photons * (-self.mu * value).exp())),
        )
    }
}

impl<const Y: usize> LikelihoodScore<Y> for LogPoissonNoise {
    /// `mu (r - k)`: expected less measured photons.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        (self.rates(clean) - self.counts(y)).mul_scalar(self.mu)
    }
}

impl<const Y: usize> VarianceStabiliser<Y> for LogPoissonNoise {
    /// Anscombe's transform of the counts.
    fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y> {
        anscombe::transform(self.counts(y), 0.0)
    }

    /// The closed form of Makitalo & Foi 2011 for the mean count, taken as 0.1 where it is less, and its logarithm.
    fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y> {
        anscombe::mean_counts(mean)
            .clamp_min(DARK)
            .mul_scalar(1.0 / self.photons)
            .log()
            .mul_scalar(-1.0 / self.mu)
    }
}
