//! Models of how uncertain `x_0` is when `x_sigma = x_0 + sigma n` is known: `V = Cov[x_0 | x_sigma]`.
//!
//! Tweedie's formula gives the true one, `V = sigma^2 J`, with `J` the Jacobian of the denoiser; [`Mmps`](crate::Mmps)
//! works with that. The models here follow from a Gaussian prior instead, `V = sigma^2 C (C + sigma^2 I)^-1`, and cost
//! no evaluation of the prior.

use burn::tensor::Tensor;

mod diagonal;
mod full;
mod isotropic;

pub use diagonal::Diagonal;
pub use full::Full;
pub use isotropic::Isotropic;

/// A model of `V = Cov[x_0 | x_sigma]`, the same for each `x_sigma` of a noise level.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Isotropic, TweedieCovariance};
///
/// let spread = Isotropic::default();
/// let pushed = spread.apply(Tensor::<2>::ones([1, 1], &Device::flex()), 0.5);
/// assert_eq!(pushed.into_scalar::<f32>(), 0.125);
/// ```
pub trait TweedieCovariance<const D: usize = 4> {
    /// `V v`, of the shape of `v`, row by row; symmetric and positive semi-definite. `sigma > 0` is in the units of
    /// pixels in [0, 1].
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D>;
}

impl<const D: usize, T: TweedieCovariance<D> + ?Sized> TweedieCovariance<D> for &T {
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        (**self).apply(v, sigma)
    }
}

impl<const D: usize, T: TweedieCovariance<D> + ?Sized> TweedieCovariance<D> for Box<T> {
    fn apply(&self, v: Tensor<D>, sigma: f64) -> Tensor<D> {
        (**self).apply(v, sigma)
    }
}
