//! The Moreau-Yosida envelope: `g_lambda(x) = min_u g(u) + |u - x|^2/(2 lambda)`, a smooth function below a convex `g`.
//!
//! With `u = prox_{lambda g}(x)` the value is `g(u) + |x - u|^2/(2 lambda)` and the gradient `(x - u)/lambda`, of
//! Lipschitz constant `1/lambda` (Moreau 1965, <https://doi.org/10.24033/bsmf.1625>; Durmus, Moulines & Pereyra 2018,
//! <https://doi.org/10.1137/16M1108340>, for sampling with it). `exp(-g_lambda)` tends to `exp(-g)` as `lambda` falls.
//! The envelope of `|x|` is Huber's function, that of a set the squared distance to it over `2 lambda`. Its own
//! proximal operator is `x + step/(step + lambda) (prox_{(step + lambda) g}(x) - x)`.

use burn::tensor::Tensor;
use tweedie_core::combine;
use tweedie_physics::squared_norm;

use crate::{DataFidelity, FidelityError, Gradient, Proximal, Smooth, error::require_positive};

/// `g_lambda(x) = min_u g(u) + |u - x|^2/(2 lambda)` for a convex `g` with a proximal operator.
///
/// One proximal operator a gradient. It has a value where `g` has one. What the proximal operator misses of its exact
/// point, the gradient misses `1/lambda` times.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Gradient, MoreauEnvelope, Smooth, Tikhonov};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let envelope = MoreauEnvelope::new(Tikhonov::pixels(1.0)?, 1.0)?;
/// assert_eq!(envelope.lipschitz(), Some(1.0));
/// let ones = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
/// assert_eq!(envelope.grad(ones).mean().into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MoreauEnvelope<G> {
    function: G,
    lambda: f64,
}

impl<G> MoreauEnvelope<G> {
    /// `lambda > 0` is in squared units of `x`.
    ///
    /// # Errors
    /// Unless `lambda` is finite and above 0.
    pub fn new(function: G, lambda: f64) -> Result<Self, FidelityError> {
        require_positive("lambda", lambda)?;
        Ok(Self { function, lambda })
    }

    /// `lambda`.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// `g`.
    pub fn function(&self) -> &G {
        &self.function
    }
}

impl<G> Smooth for MoreauEnvelope<G> {
    /// `1/lambda`.
    fn lipschitz(&self) -> Option<f64> {
        Some(self.lambda.recip())
    }
}

impl<const X: usize, G: Proximal<X>> Gradient<X> for MoreauEnvelope<G> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let nearest = self.function.prox(x.clone(), self.lambda);
        (x - nearest).mul_scalar(self.lambda.recip())
    }
}

impl<const X: usize, G: Proximal<X> + DataFidelity<X>> DataFidelity<X> for MoreauEnvelope<G> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        self.value_and_grad(x).0
    }

    fn value_and_grad(&self, x: Tensor<X>) -> (Tensor<1>, Tensor<X>) {
        let nearest = self.function.prox(x.clone(), self.lambda);
        let gradient = (x - nearest.clone()).mul_scalar(self.lambda.recip());
        let distance = squared_norm(gradient.clone()).mul_scalar(0.5 * self.lambda);
        (self.function.value(nearest) + distance, gradient)
    }
}

impl<const X: usize, G: Proximal<X>> Proximal<X> for MoreauEnvelope<G> {
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X> {
        let whole = step + self.lambda;
        let nearest = self.function.prox(x.clone(), whole);
        combine([(self.lambda / whole, x), (step / whole, nearest)])
    }
}
