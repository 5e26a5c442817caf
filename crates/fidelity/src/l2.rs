//! Gaussian noise: `f(x) = |A(x) - y|^2 / (2 noise_std^2)`.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_physics::{ConjugateGradient, ForwardOperator, LinearOperator, squared_norm};

use crate::{
    ConditionalDraw, DataFidelity, FidelityError, Gradient, LinearGaussian, Nearby, Proximal,
    Smooth,
    error::{require_non_negative, require_positive},
    misfit::misfit,
};

/// `f(x) = |A(x) - y|^2 / (2 noise_std^2)`.
///
/// `grad f(x) = J_A(x)^T (A(x) - y) / noise_std^2`. The proximal operator needs a linear `A`; with
/// `d = noise_std^2 / step` it is `x + (A^T A + d I)^-1 A^T (y - A x)`. Draws
/// near a centre are exact for a linear `A`, up to the accuracy of that solution.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{L2, Proximal};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let data = L2::new(Identity, Tensor::<4>::ones([1, 1, 2, 2], &device), 1.0)?;
/// let halfway = data.prox(Tensor::<4>::zeros([1, 1, 2, 2], &device), 1.0);
/// assert_eq!(halfway.mean().into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct L2<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    operator_norm: Option<f64>,
    cg: ConjugateGradient,
}

impl<A, const Y: usize> L2<A, Y> {
    /// The measurement `y` has one row for all images, or one for each. `noise_std > 0` is in the units of `y`.
    /// Images whose measurements have another shape than `y` are a panic of all that is done with them.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and above 0.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_positive("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            operator_norm: None,
            cg: ConjugateGradient::default(),
        })
    }

    /// The same term for an operator of known norm `|A| >= 0`, such as
    /// [`operator_norm`](tweedie_physics::operator_norm) finds: with it, the gradient of a linear `A` has the Lipschitz constant
    /// `|A|^2/noise_std^2`.
    ///
    /// # Errors
    /// Unless `norm` is finite and at least 0.
    pub fn with_operator_norm(self, norm: f64) -> Result<Self, FidelityError> {
        require_non_negative("operator norm", norm)?;
        let operator_norm = Some(norm);
        Ok(Self {
            operator_norm,
            ..self
        })
    }

    /// The same term with another budget for the proximal operator and the draws of an `A` without closed form.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        Self { cg, ..self }
    }

    fn variance(&self) -> f64 {
        self.noise_std * self.noise_std
    }
}

impl<A, const Y: usize> Smooth for L2<A, Y> {
    fn lipschitz(&self) -> Option<f64> {
        Some(self.operator_norm?.powi(2) / self.variance())
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> Gradient<X> for L2<A, Y> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let misfit = misfit(&self.y, self.operator.forward(x.clone()));
        self.operator
            .vjp(x, misfit)
            .mul_scalar(-self.variance().recip())
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> DataFidelity<X> for L2<A, Y> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        let misfit = misfit(&self.y, self.operator.forward(x));
        squared_norm(misfit).mul_scalar(0.5 / self.variance())
    }

    fn value_and_grad(&self, x: Tensor<X>) -> (Tensor<1>, Tensor<X>) {
        let misfit = misfit(&self.y, self.operator.forward(x.clone()));
        let value = squared_norm(misfit.clone()).mul_scalar(0.5 / self.variance());
        let gradient = self
            .operator
            .vjp(x, misfit)
            .mul_scalar(-self.variance().recip());
        (value, gradient)
    }
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> Proximal<X> for L2<A, Y> {
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X> {
        let misfit = misfit(&self.y, self.operator.forward(x.clone()));
        let pull = self.operator.adjoint(misfit);
        x + self
            .operator
            .solve_normal(pull, self.variance() / step, self.cg)
    }
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> ConditionalDraw<X> for L2<A, Y> {
    fn draw_near(&self, near: Nearby<X>, noise: &mut dyn Noise<X>) -> Tensor<X> {
        let data = LinearGaussian {
            operator: &self.operator,
            y: &self.y,
            noise_std: self.noise_std,
            cg: self.cg,
        };
        data.draw_near(near, noise)
    }
}
