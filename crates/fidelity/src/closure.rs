//! A term of a posterior from closures: `f(x)`, and its gradient by differentiation or from another closure.

use burn::tensor::Tensor;
use tweedie_core::value_and_vjp;

use crate::{DataFidelity, FidelityError, Gradient, Smooth, error::require_non_negative};

/// The gradient of a closure that is made of tensor operations, by reverse-mode differentiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autodiff;

/// `f(x) = -log p(y | x)` or `-log p(x)`, up to a constant, of a closure.
///
/// The closure takes images of any batch size and gives one number for each, `[batch]`, which depends on its image alone. Its
/// gradient is that of differentiation, in one pass with the value, or a second closure's.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Gradient, PotentialFn};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let quartic = |x: Tensor<4>| x.powi_scalar(4).sum_dims(&[1, 2, 3]).reshape([-1]);
/// let x = Tensor::<4>::full([2, 1, 1, 3], 0.5, &Device::flex());
/// let taped = PotentialFn::new(quartic);
/// assert_eq!(taped.grad(x.clone()).mean().into_scalar::<f32>(), 0.5);
/// let by_hand = PotentialFn::with_gradient(quartic, |x: Tensor<4>| x.powi_scalar(3) * 4.0);
/// assert_eq!(by_hand.grad(x).mean().into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Its methods, if the closure gives another number of values than there are images.
#[derive(Clone, Copy, Debug)]
pub struct PotentialFn<V, G = Autodiff> {
    value: V,
    gradient: G,
    lipschitz: Option<f64>,
}

impl<V> PotentialFn<V> {
    /// For `value(x)`, `[batch]`, made of tensor operations.
    pub fn new<const X: usize>(value: V) -> Self
    where
        V: Fn(Tensor<X>) -> Tensor<1>,
    {
        Self {
            value,
            gradient: Autodiff,
            lipschitz: None,
        }
    }
}

impl<V, G> PotentialFn<V, G> {
    /// For `value(x)`, `[batch]`, and `gradient(x)`, of the shape of `x`, which is trusted to be that of the value.
    pub fn with_gradient<const X: usize>(value: V, gradient: G) -> Self
    where
        V: Fn(Tensor<X>) -> Tensor<1>,
        G: Fn(Tensor<X>) -> Tensor<X>,
    {
        Self {
            value,
            gradient,
            lipschitz: None,
        }
    }

    /// The same function with a known Lipschitz constant of its gradient, see [`Smooth::lipschitz`].
    ///
    /// # Errors
    /// Unless `lipschitz` is finite and at least 0.
    pub fn with_lipschitz(self, lipschitz: f64) -> Result<Self, FidelityError> {
        require_non_negative("Lipschitz constant", lipschitz)?;
        Ok(Self {
            lipschitz: Some(lipschitz),
            ..self
        })
    }

    fn values<const X: usize>(&self, x: Tensor<X>) -> Tensor<1>
    where
        V: Fn(Tensor<X>) -> Tensor<1>,
    {
        let batch = x.dims()[0];
        let values = (self.value)(x);
        let [found] = values.dims();
        assert_eq!(found, batch, "a potential has one value for each image");
        values
    }
}

impl<V, G> Smooth for PotentialFn<V, G> {
    fn lipschitz(&self) -> Option<f64> {
        self.lipschitz
    }
}

impl<const X: usize, V: Fn(Tensor<X>) -> Tensor<1>> Gradient<X> for PotentialFn<V, Autodiff> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        self.value_and_grad(x).1
    }
}

impl<const X: usize, V, G> Gradient<X> for PotentialFn<V, G>
where
    V: Fn(Tensor<X>) -> Tensor<1>,
    G: Fn(Tensor<X>) -> Tensor<X>,
{
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        (self.gradient)(x)
    }
}

impl<const X: usize, V: Fn(Tensor<X>) -> Tensor<1>> DataFidelity<X> for PotentialFn<V, Autodiff> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        self.values(x)
    }

    fn value_and_grad(&self, x: Tensor<X>) -> (Tensor<1>, Tensor<X>) {
        value_and_vjp(x, |x| self.values(x), |values| values.ones_like())
    }
}

impl<const X: usize, V, G> DataFidelity<X> for PotentialFn<V, G>
where
    V: Fn(Tensor<X>) -> Tensor<1>,
    G: Fn(Tensor<X>) -> Tensor<X>,
{
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        self.values(x)
    }
}
