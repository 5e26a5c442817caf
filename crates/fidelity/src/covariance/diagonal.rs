//! Independent pixels, each as uncertain as its own prior variance makes it.
//! Peng et al. 2024, who optimise or measure such variances, <https://arxiv.org/abs/2402.02149>.
//!
//! `Cov[x_0 | x_sigma] = diag(r^2)`, `r_i^2 = v_i sigma^2 / (v_i + sigma^2)`: exact when the prior is Gaussian with
//! covariance `diag(v)`.

use burn::tensor::Tensor;

use crate::{FidelityError, TweedieCovariance};

/// `Cov[x_0 | x_sigma] = diag(v_i sigma^2 / (v_i + sigma^2))`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Diagonal, TweedieCovariance};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// // A pixel that is known, and one of variance 1.
/// let spread = Diagonal::new(Tensor::<2>::from_floats([[0.0, 1.0]], &device))?;
/// let pushed = spread.apply(Tensor::ones([3, 2], &device), 1.0).sum_dim(0);
/// assert_eq!(pushed.into_data().to_vec::<f32>().unwrap(), [0.0, 1.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Diagonal<const D: usize = 4> {
    variances: Tensor<D>,
}

impl<const D: usize> Diagonal<D> {
    /// The prior's variance of each pixel, `>= 0`, in one row for all images or one for each.
    ///
    /// # Errors
    /// Unless all variances are finite and at least 0, or when they cannot be read from their device.
    pub fn new(variances: Tensor<D>) -> Result<Self, FidelityError> {
        let each = variances.try_to_vec_as::<f64>()?;
        match each.iter().position(|v| !(*v >= 0.0 && v.is_finite())) {
            Some(index) => Err(FidelityError::Variance {
                index,
                found: each[index],
            }),
            None => Ok(Self { variances }),
        }
    }
}

impl<const D: usize> TweedieCovariance<D> for Diagonal<D> {
    /// # Panics
    /// Unless the variances have the shape of `v`, or of one row of it.
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        let (found, expected) = (self.variances.dims(), v.dims());
        assert!(
            found[1..] == expected[1..] && (found[0] == 1 || found[0] == expected[0]),
            "images of shape {expected:?} cannot have variances of shape {found:?}"
        );
        let noise = sigma * sigma;
        let left = self
            .variances
            .clone()
            .add_scalar(noise)
            .recip()
            .mul_scalar(noise);
        v * (self.variances.clone() * left)
    }
}
