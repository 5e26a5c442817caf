//! Any equation `dx = b(x, t) dt + g(t) dw`, given by its drift and its diffusion.
//!
//! Øksendal 2003, eq. (5.2.1), <https://doi.org/10.1007/978-3-642-14394-6>, with noise that does not depend on the state.

use std::fmt;

use burn::tensor::Tensor;

use crate::{Process, ProcessError, Sde};

/// An equation made of two closures.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_sde::{General, Sde};
///
/// # fn main() -> Result<(), tweedie_sde::ProcessError> {
/// // An Ornstein-Uhlenbeck process, run backwards in time.
/// let process = General::new(2.0, |x: Tensor<4>, _| x, |_| 1.0)?;
/// let x = Tensor::ones([1, 1, 2, 2], &Device::flex());
/// assert_eq!(process.advance(x, 1.0, -0.5).into_data().to_vec::<f32>().unwrap(), [0.5; 4]);
/// # Ok(())
/// # }
/// ```
pub struct General<F, G> {
    horizon: f64,
    drift: F,
    diffusion: G,
}

impl<F, G> fmt::Debug for General<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("General")
            .field("horizon", &self.horizon)
            .finish_non_exhaustive()
    }
}

impl<F, G> General<F, G> {
    /// `drift(x, t)` returns a tensor of the shape of `x`, `diffusion(t)` a number `>= 0`; both are asked for times from 0 to
    /// `horizon`.
    ///
    /// # Errors
    /// Unless `horizon` is finite and above 0.
    pub fn new<const D: usize>(horizon: f64, drift: F, diffusion: G) -> Result<Self, ProcessError>
    where
        F: Fn(Tensor<D>, f64) -> Tensor<D>,
        G: Fn(f64) -> f64,
    {
        if !(horizon > 0.0 && horizon.is_finite()) {
            return Err(ProcessError::Horizon { found: horizon });
        }
        Ok(Self {
            horizon,
            drift,
            diffusion,
        })
    }
}

impl<F, G> Process for General<F, G> {
    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn is_defined_at(&self, _: f64) -> bool {
        true
    }
}

impl<const D: usize, F, G> Sde<D> for General<F, G>
where
    F: Fn(Tensor<D>, f64) -> Tensor<D>,
    G: Fn(f64) -> f64,
{
    fn drift(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        (self.drift)(x, t)
    }

    fn diffusion(&self, t: f64) -> f64 {
        (self.diffusion)(t)
    }
}
