//! A bound on the noise: `f(x) = 0` where `|A x - y| <= radius`, infinite elsewhere.
//!
//! The proximal operator is the projection onto the set. For a point outside it is `x + v(m)` with `(I + m A^T A) v(m)
//! = m A^T (y - A x)`, that is `v = m A^T r` for the residual `r = y - A (x + v)`, and the multiplier `m > 0` that
//! makes `|r| = radius`. `1/|r|` is concave and increasing in `m`, so Newton's method for `1/|r| = 1/radius` (Moré &
//! Sorensen 1983, section 3, <https://doi.org/10.1137/0904038>) rises from `m = 0` to the root without passing it; for
//! `A A^T = c I` the function is linear, and one step is exact.

use burn::tensor::Tensor;
use tweedie_physics::{ConjugateGradient, LinearOperator, squared_norm};

use crate::{
    FidelityError, Proximal,
    error::{require_non_negative, require_positive},
    sum::sum,
};

/// Newton's method doubles its digits once near: enough for singular values of `A` that spread over a factor of 100.
const NEWTON_STEPS: usize = 8;

/// Beyond it the residual is the least one for singular values down to `10^-4`: no image lies in the set.
const LARGEST_MULTIPLIER: f64 = 1e10;

/// The set `|A x - y| <= radius`, for a linear `A`.
///
/// It has a value and a projection but no gradient, so it is no [`DataFidelity`](crate::DataFidelity): a Langevin step
/// on a gradient of 0 would ignore the measurement.
///
/// The projection costs 8 steps of Newton's method with two solutions with `I + m A^T A` by conjugate gradients each,
/// for all samples at once and without read-back, and is exact in one formula after
/// [`with_frame_bound`](Self::with_frame_bound). If no image lies in the set, it is a point near the least residual.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Ball, Proximal};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let set = Ball::new(Identity, Tensor::<4>::zeros([1, 1, 1, 2], &device), 1.0)?;
/// let x = Tensor::<4>::from_floats([[[[3.0, 4.0]]]], &device);
/// assert_eq!(set.value(x.clone()).into_scalar::<f32>(), f32::INFINITY);
/// let nearest = set.prox(x, 1.0).into_data().to_vec::<f32>().unwrap();
/// assert!((nearest[0] - 0.6).abs() < 1e-6 && (nearest[1] - 0.8).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ball<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    radius: f64,
    frame_bound: Option<f64>,
    cg: ConjugateGradient,
}

impl<A, const Y: usize> Ball<A, Y> {
    /// The measurement `y` has one row for all images, or one for each. `radius >= 0` is in the units of `y`, for the
    /// norm over all entries of a sample: for `m` entries with Gaussian noise about `sqrt(m) noise_std`.
    ///
    /// # Errors
    /// Unless `radius` is finite and at least 0.
    pub fn new(operator: A, y: Tensor<Y>, radius: f64) -> Result<Self, FidelityError> {
        require_non_negative("radius", radius)?;
        Ok(Self {
            operator,
            y,
            radius,
            frame_bound: None,
            cg: ConjugateGradient::default(),
        })
    }

    /// The same set with the projection in closed form, for an `A` with `A A^T = bound I`: 1 for the identity. It is
    /// wrong for any other `A`.
    ///
    /// # Errors
    /// Unless `bound` is finite and above 0.
    pub fn with_frame_bound(self, bound: f64) -> Result<Self, FidelityError> {
        require_positive("frame bound", bound)?;
        let frame_bound = Some(bound);
        Ok(Self {
            frame_bound,
            ..self
        })
    }

    /// The same set with another budget for each solution of the projection.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        Self { cg, ..self }
    }

    /// 0 or infinity for each sample, `[batch]`. A projected point lies on the boundary up to rounding, on either side.
    pub fn value<const X: usize>(&self, x: Tensor<X>) -> Tensor<1>
    where
        A: LinearOperator<X, Y>,
    {
        let distance = squared_norm(self.operator.forward(x) - self.y.clone()).sqrt();
        let outside = distance.clone().greater_elem(self.radius);
        distance.zeros_like().mask_fill(outside, f64::INFINITY)
    }

    /// `v(m)` at the root.
    fn pull<const X: usize>(&self, misfit: Tensor<Y>) -> Tensor<X>
    where
        A: LinearOperator<X, Y>,
    {
        let solve = |multiplier: &Tensor<1>, rhs: Tensor<X>| {
            let multiplier = per_sample(multiplier.clone());
            let normal = |v: Tensor<X>| self.operator.adjoint(self.operator.forward(v));
            self.cg
                .solve(|v| v.clone() + normal(v) * multiplier.clone(), rhs)
        };
        let back = self.operator.adjoint(misfit.clone());
        let mut pull = back.zeros_like();
        let mut multiplier = sum(back.zeros_like());
        for _ in 0..NEWTON_STEPS {
            let residual = misfit.clone() - self.operator.forward(pull);
            let squared = squared_norm(residual.clone());
            let slope = self.operator.adjoint(residual);
            let slope = sum(slope.clone() * solve(&multiplier, slope));
            let flat = slope.clone().equal_elem(0.0);
            let excess = squared
                .clone()
                .sqrt()
                .mul_scalar(self.radius.recip())
                .sub_scalar(1.0);
            let rise = squared * excess / slope.mask_fill(flat, 1.0);
            multiplier = (multiplier + rise).clamp(0.0, LARGEST_MULTIPLIER);
            pull = solve(&multiplier, back.clone() * per_sample(multiplier.clone()));
        }
        pull
    }

    /// `(1 - radius/|r|) A^T r / bound` outside.
    fn pull_of_frame<const X: usize>(&self, misfit: Tensor<Y>, bound: f64) -> Tensor<X>
    where
        A: LinearOperator<X, Y>,
    {
        let distance = squared_norm(misfit.clone()).sqrt();
        let inside = distance.clone().lower_equal_elem(self.radius);
        let kept = distance
            .mask_fill(inside.clone(), 1.0)
            .recip()
            .mul_scalar(self.radius);
        let share = kept
            .neg()
            .add_scalar(1.0)
            .mask_fill(inside, 0.0)
            .mul_scalar(bound.recip());
        self.operator.adjoint(misfit * per_sample(share))
    }
}

/// `[batch]` as `[batch, 1, ..]`.
fn per_sample<const D: usize>(x: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    x.reshape(shape)
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> Proximal<X> for Ball<A, Y> {
    /// The nearest point of the set, whatever `step` is.
    fn prox(&self, x: Tensor<X>, _: f64) -> Tensor<X> {
        let misfit = self.y.clone() - self.operator.forward(x.clone());
        let pull = match self.frame_bound {
            Some(bound) => self.pull_of_frame(misfit, bound),
            None if self.radius == 0.0 => self.operator.pseudo_inverse(misfit, self.cg),
            None => self.pull(misfit),
        };
        x + pull
    }
}
