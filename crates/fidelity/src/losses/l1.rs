//! Laplace noise: `f(x) = |A(x) - y|_1 / scale`, insensitive to outliers.
//!
//! `p(y | x)` is proportional to `exp(-|A(x) - y|_1 / scale)`, noise of standard deviation `sqrt(2) scale`. A
//! subgradient is `J_A(x)^T sign(A(x) - y) / scale`, with `sign(0) = 0`. For `A = I` the proximal operator is soft
//! thresholding towards `y`, `y + sign(x - y) max(|x - y| - step/scale, 0)` (Combettes & Pesquet 2011, section 10.2,
//! <https://arxiv.org/abs/0912.3522>).

use burn::tensor::Tensor;
use tweedie_physics::{ForwardOperator, LinearOperator};

use crate::{
    Admm, DataFidelity, FidelityError, Gradient, Proximal, Smooth, error::require_positive,
    shrink::shrink, splitting::Splitting, sum::sum,
};

/// `f(x) = |A(x) - y|_1 / scale`.
///
/// The proximal operator takes any linear `A`: in closed form where [`with_frame_bound`](Self::with_frame_bound) says
/// that `A A^T = c I`, by [`Admm`] elsewhere.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{L1, Proximal};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &device);
/// let data = L1::new(Identity, y, 2.0)?.with_frame_bound(1.0)?;
/// let nearer = data.prox(Tensor::<4>::zeros([1, 1, 2, 2], &device), 1.0);
/// assert_eq!(nearer.mean().into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct L1<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    scale: f64,
    splitting: Splitting,
}

impl<A, const Y: usize> L1<A, Y> {
    /// The measurement `y` has one row for all images, or one for each. `scale > 0` is in the units of `y`.
    ///
    /// # Errors
    /// Unless `scale` is finite and above 0.
    pub fn new(operator: A, y: Tensor<Y>, scale: f64) -> Result<Self, FidelityError> {
        require_positive("scale", scale)?;
        Ok(Self {
            operator,
            y,
            scale,
            splitting: Splitting::Admm(Admm::default()),
        })
    }

    /// The same term with the proximal operator in closed form, for an `A` with `A A^T = bound I`: 1 for the identity.
    /// It is wrong for any other `A`.
    ///
    /// # Errors
    /// Unless `bound` is finite and above 0.
    pub fn with_frame_bound(self, bound: f64) -> Result<Self, FidelityError> {
        let splitting = Splitting::tight_frame(bound)?;
        Ok(Self { splitting, ..self })
    }

    /// The same term with another budget for the proximal operator.
    ///
    /// # Errors
    /// Unless `damping` is finite and above 0.
    pub fn with_admm(self, admm: Admm) -> Result<Self, FidelityError> {
        let splitting = Splitting::admm(admm)?;
        Ok(Self { splitting, ..self })
    }
}

/// No constant: the gradient jumps where a residual is 0.
impl<A, const Y: usize> Smooth for L1<A, Y> {}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> Gradient<X> for L1<A, Y> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let residual = self.operator.forward(x.clone()) - self.y.clone();
        let slope = residual.sign().mul_scalar(self.scale.recip());
        self.operator.vjp(x, slope)
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> DataFidelity<X> for L1<A, Y> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        let residual = self.operator.forward(x) - self.y.clone();
        sum(residual.abs()).mul_scalar(self.scale.recip())
    }
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> Proximal<X> for L1<A, Y> {
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X> {
        self.splitting.prox(&self.operator, x, step, |z, step| {
            self.y.clone() + shrink(z - self.y.clone(), step / self.scale)
        })
    }
}
