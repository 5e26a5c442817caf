//! Photon counts: `f(x) = sum z/gain - (y/gain) log(z/gain)`, `z = A x + background`.
//!
//! `y = gain k`, `k` Poisson of mean `z/gain`, so `-log p(y | x) = f(x) + sum log((y/gain)!)`: only terms of `y` are
//! left out. The gradient is `A^T (1 - y/z) / gain`. The proximal operator of one entry solves a quadratic equation, `z
//! = (a + sqrt(a^2 + 4 t y/gain))/2` with `a = v - t/gain` for the point `v` and the step `t` (Combettes & Pesquet
//! 2011, section 10.2, <https://arxiv.org/abs/0912.3522>). Shepp & Vardi 1982,
//! <https://doi.org/10.1109/TMI.1982.4307558>, is the model with gain 1.

use burn::tensor::Tensor;
use tweedie_physics::{ForwardOperator, LinearOperator};

use crate::{
    Admm, DataFidelity, FidelityError, Gradient, Proximal, Smooth,
    error::{require_counts, require_non_negative, require_positive},
    splitting::Splitting,
    sum::sum,
};

/// `f(x) = sum z/gain - (y/gain) log(z/gain)`, `z = A x + background`.
///
/// The domain is `z > 0`, or `z >= 0` where nothing was counted; outside of it the value is infinite, and the gradient
/// is the formula's, which leads no way back. The proximal operator lies in the domain up to rounding for `A A^T = c I`
/// ([`with_frame_bound`](Self::with_frame_bound)), and up to the accuracy of [`Admm`] elsewhere.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Gradient, Poisson};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let y = Tensor::<4>::full([1, 1, 2, 2], 0.5, &Device::flex());
/// let data = Poisson::new(Identity, y.clone(), 0.01, 0.0)?;
/// assert_eq!(data.grad(y).abs().max().into_scalar::<f32>(), 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Poisson<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    gain: f64,
    background: f64,
    largest_count: f64,
    operator_norm: Option<f64>,
    splitting: Splitting,
}

impl<A, const Y: usize> Poisson<A, Y> {
    /// The measurement `y >= 0` has one row for all images, or one for each; `gain > 0` is the value of one photon and
    /// `background >= 0` is added to each entry of `A x`, all in the units of `y`. Reads `y` back once.
    ///
    /// # Errors
    /// If `gain` or `background` is out of range, or an entry of `y` is negative or not finite, or cannot be read.
    pub fn new(
        operator: A,
        y: Tensor<Y>,
        gain: f64,
        background: f64,
    ) -> Result<Self, FidelityError> {
        require_positive("gain", gain)?;
        require_non_negative("background", background)?;
        let largest_count = require_counts(&y)?;
        Ok(Self {
            operator,
            y,
            gain,
            background,
            largest_count,
            operator_norm: None,
            splitting: Splitting::Admm(Admm::default()),
        })
    }

    /// The same term for an operator of known norm `|A| >= 0` and images with `A x >= 0`, such as those that an `A >= 0` takes
    /// from a box: there, for a background above 0, the gradient has the Lipschitz constant `|A|^2 max(y) / (gain
    /// background^2)`. On all of the domain it has none, since the curvature grows without bound towards `z = 0`.
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

    fn mean<const X: usize>(&self, x: Tensor<X>) -> Tensor<Y>
    where
        A: ForwardOperator<X, Y>,
    {
        self.operator.forward(x).add_scalar(self.background)
    }

    /// The positive root of `z^2 - a z - c = 0`, `c >= 0`, without cancellation: `c` over the other root where `a < 0`.
    fn prox_of_entries(&self, point: Tensor<Y>, step: f64) -> Tensor<Y> {
        let a = point.add_scalar(self.background - step / self.gain);
        let c = self.y.clone().mul_scalar(step / self.gain).expand(a.dims());
        let far = (a.clone().square() + c.clone().mul_scalar(4.0)).sqrt() + a.clone().abs();
        let vanished = far.clone().equal_elem(0.0);
        let small = c.mul_scalar(2.0) / far.clone().mask_fill(vanished, 1.0);
        let left = a.lower_elem(0.0);
        far.mul_scalar(0.5)
            .mask_where(left, small)
            .sub_scalar(self.background)
    }
}

impl<A, const Y: usize> Smooth for Poisson<A, Y> {
    /// For images with `A x >= 0` and a background above 0.
    fn lipschitz(&self) -> Option<f64> {
        let norm = self.operator_norm.filter(|_| self.background > 0.0)?;
        Some(norm.powi(2) * self.largest_count / (self.gain * self.background.powi(2)))
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> Gradient<X> for Poisson<A, Y> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let mean = self.mean(x.clone());
        let y = self.y.clone().expand(mean.dims());
        let dark = y.clone().equal_elem(0.0);
        let ratio = (y / mean).mask_fill(dark, 0.0);
        let slope = ratio.neg().add_scalar(1.0).mul_scalar(self.gain.recip());
        self.operator.vjp(x, slope)
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> DataFidelity<X> for Poisson<A, Y> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        let mean = self.mean(x);
        let counts = self
            .y
            .clone()
            .mul_scalar(self.gain.recip())
            .expand(mean.dims());
        let rate = mean.mul_scalar(self.gain.recip());
        let empty = rate.clone().lower_equal_elem(0.0);
        let logarithm = rate.clone().mask_fill(empty.clone(), 1.0).log();
        let outside = rate
            .clone()
            .lower_elem(0.0)
            .bool_or(empty.bool_and(counts.clone().greater_elem(0.0)));
        sum((rate - counts * logarithm).mask_fill(outside, f64::INFINITY))
    }
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> Proximal<X> for Poisson<A, Y> {
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X> {
        self.splitting.prox(&self.operator, x, step, |z, step| {
            self.prox_of_entries(z, step)
        })
    }
}
