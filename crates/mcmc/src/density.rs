//! The posterior as a target: `U(x) = f(x) + g(x)`, `f = -log p(y | x)` and `g = -log p(x)`.

use burn::tensor::Tensor;
use tweedie_fidelity::{DataFidelity, Gradient, Smooth};

/// `exp(-f(x) - g(x))`, up to its normalisation.
///
/// It has a gradient where both terms have one, and a value where both have one.
#[derive(Clone, Debug)]
pub struct PosteriorDensity<F, G> {
    /// `f = -log p(y | x)`.
    pub fidelity: F,
    /// `g = -log p(x)`.
    pub prior: G,
}

impl<F: Smooth, G: Smooth> Smooth for PosteriorDensity<F, G> {
    fn lipschitz(&self) -> Option<f64> {
        Some(self.fidelity.lipschitz()? + self.prior.lipschitz()?)
    }
}

impl<const D: usize, F: Gradient<D>, G: Gradient<D>> Gradient<D> for PosteriorDensity<F, G> {
    fn grad(&self, x: Tensor<D>) -> Tensor<D> {
        self.fidelity.grad(x.clone()) + self.prior.grad(x)
    }
}

impl<const D: usize, F: DataFidelity<D>, G: DataFidelity<D>> DataFidelity<D>
    for PosteriorDensity<F, G>
{
    fn value(&self, x: Tensor<D>) -> Tensor<1> {
        self.fidelity.value(x.clone()) + self.prior.value(x)
    }

    fn value_and_grad(&self, x: Tensor<D>) -> (Tensor<1>, Tensor<D>) {
        let (f, grad_f) = self.fidelity.value_and_grad(x.clone());
        let (g, grad_g) = self.prior.value_and_grad(x);
        (f + g, grad_f + grad_g)
    }
}
