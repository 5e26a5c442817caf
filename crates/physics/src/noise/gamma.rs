//! Speckle, multiplicative Gamma noise: `y = clean g`, `g ~ Gamma(looks, 1 / looks)`.
//!
//! The law of the mean of `looks` independent intensities of coherent light: Goodman 1976,
//! <https://doi.org/10.1364/JOSA.66.001145>.

use burn::tensor::Tensor;
use rand_distr::{Distribution, Gamma};
use tweedie_core::Rng;

use super::host::{check_values, digamma, positive, trigamma};
use super::{LikelihoodScore, NoiseModel, VarianceStabiliser, entries, sum_entries};
use crate::PhysicsError;

/// `y = clean g`, `g ~ Gamma(looks, 1 / looks)`: mean `clean`, variance `clean^2 / looks`.
///
/// The clean measurement is an intensity and must not be negative; where it is 0 there is no density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaNoise {
    looks: f64,
    law: Gamma<f64>,
}

impl GammaNoise {
    /// The mean of `looks > 0` intensities; 1 is fully developed speckle.
    ///
    /// # Errors
    /// If `looks` is not finite and above 0.
    pub fn new(looks: f64) -> Result<Self, PhysicsError> {
        let looks = positive("looks", looks)?;
        let law = Gamma::new(looks, 1.0 / looks).map_err(|_| PhysicsError::NoiseSetting {
            name: "looks",
            expected: "finite and above 0",
            found: looks,
        })?;
        Ok(Self { looks, law })
    }

    /// The number of looks.
    pub fn looks(&self) -> f64 {
        self.looks
    }
}

impl<const Y: usize> NoiseModel<Y> for GammaNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        rng.draw_from(clean, |value, stream| {
            assert!(
                value >= 0.0 && value.is_finite(),
                "an intensity must be finite and at least 0, found {value}"
            );
            value * self.law.sample(stream)
        })
    }

    /// `sum l ln(l / clean) + (l - 1) ln y - l y / clean - ln Gamma(l)`, `l` the number of looks; negative infinity
    /// where `y` is negative.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let looks = self.looks;
        let constant = entries(&y) * (looks * looks.ln() - libm::lgamma(looks));
        let impossible = y.clone().lower_elem(0.0);
        // One look has no power of `y`, not even 0 times the logarithm of 0.
        let power = if looks == 1.0 {
            y.zeros_like()
        } else {
            y.clone().log().mul_scalar(looks - 1.0)
        };
        let of_y = sum_entries(power.mask_fill(impossible, f64::NEG_INFINITY));
        let of_both = sum_entries(y / clean.clone() + clean.log()).mul_scalar(-looks);
        (of_both + of_y).add_scalar(constant)
    }

    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        check_values(clean, "finite and at least 0", |value| {
            value >= 0.0 && value.is_finite()
        })
    }
}

impl<const Y: usize> LikelihoodScore<Y> for GammaNoise {
    /// `looks (y / clean - 1) / clean`.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        ((y / clean.clone()).sub_scalar(1.0) / clean).mul_scalar(self.looks)
    }
}

impl<const Y: usize> VarianceStabiliser<Y> for GammaNoise {
    /// `ln y / sqrt(psi'(looks))`: variance exactly 1.
    fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y> {
        y.log().mul_scalar(1.0 / trigamma(self.looks).sqrt())
    }

    /// Exact, by `E ln y = ln clean + psi(looks) - ln looks`.
    fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y> {
        let bias = digamma(self.looks) - self.looks.ln();
        mean.mul_scalar(trigamma(self.looks).sqrt())
            .sub_scalar(bias)
            .exp()
    }
}
