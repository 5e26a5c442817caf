//! Salt-and-pepper noise: some entries turn black, some white, the others stay.

use burn::tensor::Tensor;
use tweedie_core::Rng;

use super::host::setting;
use super::{NoiseModel, matched, sum_entries};
use crate::PhysicsError;

/// Each entry of `y` is 0 with probability `pepper`, 1 with probability `salt`, else that of the clean measurement.
///
/// The law has no density, hence no score: it is concentrated on at most three values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SaltPepperNoise {
    pepper: f64,
    salt: f64,
}

impl SaltPepperNoise {
    /// Noise that turns the fraction `pepper` of the entries black and the fraction `salt` white.
    ///
    /// # Errors
    /// If one of them is not in [0, 1], or their sum is above 1.
    pub fn new(pepper: f64, salt: f64) -> Result<Self, PhysicsError> {
        let unit = 0.0..=1.0;
        setting("pepper", "in [0, 1]", pepper, unit.contains(&pepper))?;
        setting("salt", "in [0, 1]", salt, unit.contains(&salt))?;
        let sum = pepper + salt;
        setting("pepper + salt", "at most 1", sum, sum <= 1.0)?;
        Ok(Self { pepper, salt })
    }

    /// The probability of 0.
    pub fn pepper(&self) -> f64 {
        self.pepper
    }

    /// The probability of 1.
    pub fn salt(&self) -> f64 {
        self.salt
    }
}

impl<const Y: usize> NoiseModel<Y> for SaltPepperNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        let unit = rng.uniform(clean.dims());
        let black = unit.clone().lower_elem(self.pepper);
        let spoilt = unit.lower_elem(self.pepper + self.salt);
        clean.mask_fill(spoilt, 1.0).mask_fill(black, 0.0)
    }

    /// The log-probability `sum log(pepper [y = 0] + salt [y = 1] + (1 - pepper - salt) [y = clean])`, with respect
    /// to counting measure.
    ///
    /// Negative infinity as soon as one entry is none of the three. The comparison is exact: `clean` must be the very
    /// numbers that were corrupted, not numbers that differ by rounding.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let (y, clean) = matched(y, clean);
        let zeros = y.zeros_like();
        let atom = |here, probability: f64| zeros.clone().mask_fill(here, probability);
        let pepper = atom(y.clone().equal_elem(0.0), self.pepper);
        let salt = atom(y.clone().equal_elem(1.0), self.salt);
        let kept = atom(y.equal(clean), 1.0 - (self.pepper + self.salt));
        sum_entries((pepper + salt + kept).log())
    }
}
