//! How uncertain `x_0` is when `x_sigma` is known: the same for each pixel, `Cov[x_0 | x_sigma] = r^2 I`.
//!
//! `r^2 = v sigma^2 / (v + sigma^2)`, exact when the prior is Gaussian with covariance `v I`. With `v = 1` it is the
//! choice `r^2 = sigma^2 / (1 + sigma^2)` of Song et al. 2023, <https://openreview.net/forum?id=9_gsMA8MRKQ>, who work
//! with pixels in [-1, 1].

use burn::tensor::Tensor;

use crate::{FidelityError, TweedieCovariance, error::require_positive};

/// `Cov[x_0 | x_sigma] = v sigma^2 / (v + sigma^2) I`.
///
/// ```
/// let spread = tweedie_fidelity::Isotropic::default();
/// assert_eq!(spread.variance_at(0.5), 0.125);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Isotropic {
    variance: f64,
}

impl Default for Isotropic {
    /// `v = 1/4`: unit variance for pixels in [-1, 1], and the largest variance that a pixel in [0, 1] can have. The
    /// variance of the data, where it is known, gives less spread in the draws.
    fn default() -> Self {
        Self { variance: 0.25 }
    }
}

impl Isotropic {
    /// The prior's variance `v` of a pixel, in the units of pixels in [0, 1].
    ///
    /// # Errors
    /// Unless `variance` is finite and above 0.
    pub fn new(variance: f64) -> Result<Self, FidelityError> {
        require_positive("prior variance", variance)?;
        Ok(Self { variance })
    }

    /// `r^2` at noise level `sigma`.
    pub fn variance_at(&self, sigma: f64) -> f64 {
        let noise = sigma * sigma;
        self.variance * (noise / (self.variance + noise))
    }
}

impl<const D: usize> TweedieCovariance<D> for Isotropic {
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        v.mul_scalar(self.variance_at(sigma))
    }
}
