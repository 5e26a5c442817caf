//! The covariance that follows from a Gaussian prior with correlated pixels.
//! Rozet et al. 2024, section 4.2, use it for the moments of a data set, <https://arxiv.org/abs/2405.13712>.
//!
//! `Cov[x_0 | x_sigma] = sigma^2 C (C + sigma^2 I)^-1`, exact when the prior is Gaussian with covariance `C`.

use burn::tensor::Tensor;
use tweedie_core::FullGaussian;

use crate::TweedieCovariance;

/// `Cov[x_0 | x_sigma]` of a [`FullGaussian`], for images small enough to have a dense covariance.
///
/// The prior may be the one that is sampled, or a Gaussian with the covariance of a data set in place of a network's
/// Jacobian.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::FullGaussian;
/// use tweedie_fidelity::{Full, TweedieCovariance};
///
/// # fn main() -> Result<(), tweedie_core::PriorError> {
/// let device = Device::flex();
/// let covariance = Tensor::from_floats([[2.0, 1.0], [1.0, 2.0]], &device);
/// let prior = FullGaussian::new(Tensor::<2>::zeros([1, 2], &device), covariance)?;
/// let pushed = Full::new(prior).apply(Tensor::from_floats([[1.0, -1.0]], &device), 1.0);
/// let pushed = pushed.into_data().to_vec::<f32>().unwrap();
/// assert!((pushed[0] - 0.5).abs() < 1e-6 && (pushed[1] + 0.5).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Full<const D: usize = 4> {
    prior: FullGaussian<D>,
}

impl<const D: usize> Full<D> {
    /// Shares the decomposition of `prior`; its mean plays no part.
    pub fn new(prior: FullGaussian<D>) -> Self {
        Self { prior }
    }
}

impl<const D: usize> TweedieCovariance<D> for Full<D> {
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        self.prior.posterior_covariance(v, sigma)
    }
}
