//! Preconditioning by a fixed symmetric positive `M`: other units for the directions of `x`.
//!
//! `dx = -M grad U(x) dt + sqrt(2) M^(1/2) dw` leaves `exp(-U)` invariant for each `M` (Roberts & Stramer 2002,
//! <https://doi.org/10.1023/A:1023562417138>). With a factor `S S^T = M` it is the plain diffusion of `z = S^-1 x`, whose
//! potential is `U(S z)` and whose gradient is `S^T grad U(x)`; so a kernel needs `S` and `S^T` alone, no inverse of
//! either, and any factor serves. A step is best where `S^T H S` is near the identity, `H` the Hessian of `U`.

use burn::tensor::Tensor;
use sha2::{Digest, Sha256};
use tweedie_physics::Svd;

use crate::{ChainError, error::require_positive, hex::hex};

/// A fixed symmetric positive `M = S S^T`, by its factor.
pub trait Preconditioner<const D: usize = 4> {
    /// `S z`, row by row: white noise becomes noise of covariance `M`.
    fn factor(&self, z: Tensor<D>) -> Tensor<D>;

    /// `S^T v`, row by row.
    fn factor_transposed(&self, v: Tensor<D>) -> Tensor<D>;

    /// `M v`.
    fn apply(&self, v: Tensor<D>) -> Tensor<D> {
        self.factor(self.factor_transposed(v))
    }

    /// Its name and all settings, for [`MarkovKernel::describe`](crate::MarkovKernel::describe).
    fn describe(&self) -> String;
}

impl<const D: usize, P: Preconditioner<D> + ?Sized> Preconditioner<D> for &P {
    fn factor(&self, z: Tensor<D>) -> Tensor<D> {
        (**self).factor(z)
    }
    fn factor_transposed(&self, v: Tensor<D>) -> Tensor<D> {
        (**self).factor_transposed(v)
    }
    fn apply(&self, v: Tensor<D>) -> Tensor<D> {
        (**self).apply(v)
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// `M = I`: none. It costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityPreconditioner;

impl<const D: usize> Preconditioner<D> for IdentityPreconditioner {
    fn factor(&self, z: Tensor<D>) -> Tensor<D> {
        z
    }
    fn factor_transposed(&self, v: Tensor<D>) -> Tensor<D> {
        v
    }
    fn describe(&self) -> String {
        "no preconditioner".into()
    }
}

/// `M = diag(m)`: a scale of its own for each pixel.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_mcmc::{DiagonalPreconditioner, Preconditioner};
///
/// # fn main() -> Result<(), tweedie_mcmc::ChainError> {
/// let diagonal = Tensor::<2>::from_floats([[4.0, 9.0]], &Device::flex());
/// let preconditioner = DiagonalPreconditioner::new(diagonal.clone())?;
/// let coloured = preconditioner.factor(Tensor::ones_like(&diagonal));
/// assert_eq!(coloured.into_data().to_vec::<f32>().unwrap(), [2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DiagonalPreconditioner<const D: usize = 4> {
    /// `m^(1/2)`.
    root: Tensor<D>,
    fingerprint: String,
}

impl<const D: usize> DiagonalPreconditioner<D> {
    /// `diagonal`, above 0, in squared units of `x`: of one row, of the shape of the image or with axes of length 1 along which
    /// `m` is constant. Good ones are near the variances of the target.
    ///
    /// # Errors
    /// [`ChainError::Preconditioner`] for an entry that is not finite and above 0.
    pub fn new(diagonal: Tensor<D>) -> Result<Self, ChainError> {
        let fingerprint = fingerprint(&diagonal)?;
        let root = diagonal.sqrt();
        Ok(Self { root, fingerprint })
    }
}

impl<const D: usize> Preconditioner<D> for DiagonalPreconditioner<D> {
    fn factor(&self, z: Tensor<D>) -> Tensor<D> {
        z * self.root.clone()
    }
    fn factor_transposed(&self, v: Tensor<D>) -> Tensor<D> {
        v * self.root.clone()
    }
    fn describe(&self) -> String {
        format!("diagonal preconditioner {}", self.fingerprint)
    }
}

/// `M = (A^T A / noise_std^2 + I / prior_std^2)^-1` for an operator `A = U diag(s) V^T`: the posterior covariance of white
/// Gaussian noise and a white Gaussian prior.
///
/// `S = V diag(d)`, `d^2 = 1/(s^2/noise_std^2 + 1/prior_std^2)`. For `U(x) = |A x - y|^2 / (2 noise_std^2) + g(x)`, the gradient
/// of `g` of Lipschitz constant `l`, that of `z -> U(S z)` has the Lipschitz constant `max(1, l prior_std^2)`, whatever the
/// conditioning of `A`: with `prior_std = l^(-1/2)` the step of a preconditioned kernel has the bound of one for `L = 1`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_mcmc::{Preconditioner, SpectralPreconditioner};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_mcmc::ChainError> {
/// let like = Tensor::<4>::ones([1, 1, 8, 8], &Device::flex());
/// let preconditioner = SpectralPreconditioner::<_, 4>::new(Identity, &like, 0.5, 0.5)?;
/// let product = preconditioner.apply(like).mean().into_scalar::<f32>();
/// assert!((product - 0.125).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SpectralPreconditioner<A, const D: usize = 4, const Y: usize = D> {
    operator: A,
    /// `d`.
    scale: Tensor<D>,
    fingerprint: String,
}

impl<A: Svd<D, Y>, const D: usize, const Y: usize> SpectralPreconditioner<A, D, Y> {
    /// For images of the shape of `like`, on its device and in its float type. `noise_std > 0` is in the units of the
    /// measurement, `prior_std > 0` in those of `x`.
    ///
    /// # Errors
    /// [`ChainError::OutOfRange`] unless both are finite and above 0.
    ///
    /// # Panics
    /// If the operator does not measure images of that shape.
    pub fn new(
        operator: A,
        like: &Tensor<D>,
        noise_std: f64,
        prior_std: f64,
    ) -> Result<Self, ChainError> {
        require_positive("noise_std", noise_std)?;
        require_positive("prior_std", prior_std)?;
        let data = operator
            .singular_values(like)
            .div_scalar(noise_std)
            .square();
        let scale = data.add_scalar(prior_std.powi(-2)).sqrt().recip();
        Ok(Self {
            operator,
            fingerprint: fingerprint(&scale)?,
            scale,
        })
    }
}

impl<A: Svd<D, Y>, const D: usize, const Y: usize> Preconditioner<D>
    for SpectralPreconditioner<A, D, Y>
{
    fn factor(&self, z: Tensor<D>) -> Tensor<D> {
        self.operator.v(z * self.scale.clone())
    }
    fn factor_transposed(&self, v: Tensor<D>) -> Tensor<D> {
        self.operator.v_adjoint(v) * self.scale.clone()
    }
    fn describe(&self) -> String {
        format!("spectral preconditioner {}", self.fingerprint)
    }
}

/// Names the entries, which must be finite and above 0: half of their hash.
fn fingerprint<const D: usize>(entries: &Tensor<D>) -> Result<String, ChainError> {
    let entries = entries.try_to_vec_as::<f64>()?;
    let valid = |entry: &f64| *entry > 0.0 && entry.is_finite();
    if let Some(index) = entries.iter().position(|entry| !valid(entry)) {
        let found = entries[index];
        return Err(ChainError::Preconditioner { index, found });
    }
    let bytes: Vec<u8> = entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect();
    let hash = Sha256::digest(bytes);
    Ok(hex(&hash[..16]))
}
