//! Draws from `exp(-f(x)) N(x; centre, spread^2 I)`: what one term of a posterior leaves of it once the others are split off.
//!
//! For `f = |A x - y|^2 / (2 noise_std^2)` with a linear `A` it is a Gaussian, and perturb-and-optimise draws from it
//! exactly (Papandreou & Yuille 2010): with `x' = centre + spread n` and `y' = y + noise_std n'`
//!
//! `x = x' + (A^T A + (noise_std/spread)^2 I)^-1 A^T (y' - A x')`
//!
//! has the mean and, since `x` is linear in two noises whose covariances are those of the two terms, the covariance
//! wanted. For any other `f` with a gradient there are steps of Langevin's equation, whose linear part is solved
//! exactly:
//!
//! `x <- centre + e (x - centre) - spread^2 (1 - e) grad f(x) + spread sqrt(1 - e^2) n`, `e = exp(-h/spread^2)`
//!
//! For `h` far below `spread^2` that is Euler's step of length `h`. No `spread` makes it unstable, but a large `h`
//! does: `f` must be no more curved than `2/h`. The bias is of order `h`: a variance of curvature `p` is too large by
//! `1/(1 - spread^2 p tanh(h / (2 spread^2)))`, which is below that of Euler's step without the Gaussian, `1/(1 - h p/2)`.

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_physics::{ConjugateGradient, LinearOperator};

use crate::{Gradient, misfit::misfit};

/// The Gaussian factor `N(x; centre, spread^2 I)`.
#[derive(Clone, Debug)]
pub struct Nearby<const X: usize = 4> {
    /// Its mean, one row for each draw.
    pub centre: Tensor<X>,
    /// Its standard deviation, above 0.
    pub spread: f64,
}

/// Exact draws from `exp(-f(x)) N(x; centre, spread^2 I)`.
pub trait ConditionalDraw<const X: usize = 4> {
    /// One draw for each row of the centre.
    fn draw_near(&self, near: Nearby<X>, noise: &mut dyn Noise<X>) -> Tensor<X>;
}

impl<const X: usize, T: ConditionalDraw<X> + ?Sized> ConditionalDraw<X> for &T {
    fn draw_near(&self, near: Nearby<X>, noise: &mut dyn Noise<X>) -> Tensor<X> {
        (**self).draw_near(near, noise)
    }
}

/// A linear measurement `y = A x + noise_std n`, by perturb-and-optimise.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::{ConditionalDraw, LinearGaussian, Nearby};
/// use tweedie_physics::{ConjugateGradient, Identity};
///
/// let device = Device::flex();
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &device);
/// let cg = ConjugateGradient::default();
/// let data = LinearGaussian { operator: &Identity, y: &y, noise_std: 0.0, cg };
/// let near = Nearby { centre: y.zeros_like(), spread: 0.5 };
/// let drawn = data.draw_near(near, &mut Rng::seeded(0, &device));
/// assert!((drawn.mean().into_scalar::<f32>() - 1.0).abs() < 1e-6);
/// ```
#[derive(Debug)]
pub struct LinearGaussian<'a, A: ?Sized, const Y: usize = 4> {
    /// `A`.
    pub operator: &'a A,
    /// `y`, of one row for all images or one for each.
    pub y: &'a Tensor<Y>,
    /// In the units of `y`, finite and at least 0; at 0 a draw meets the measurement.
    pub noise_std: f64,
    /// Budget of the one solution with `A^T A + (noise_std/spread)^2 I`, for an `A` without closed form.
    pub cg: ConjugateGradient,
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y> + ?Sized> ConditionalDraw<X>
    for LinearGaussian<'_, A, Y>
{
    fn draw_near(&self, near: Nearby<X>, noise: &mut dyn Noise<X>) -> Tensor<X> {
        let from = near.draw(noise);
        let misfit = misfit(self.y, self.operator.forward(from.clone()));
        let misfit = if self.noise_std > 0.0 {
            let shape = misfit.dims();
            let fresh = noise.normal(row_vectors(shape)).reshape(shape);
            combine([(1.0, misfit), (self.noise_std, fresh)])
        } else {
            misfit
        };
        let pull = self.operator.adjoint(misfit);
        let damping = (self.noise_std / near.spread).powi(2);
        from + self.operator.solve_normal(pull, damping, self.cg)
    }
}

/// The shape of as many numbers in each row, in another rank.
fn row_vectors<const X: usize, const Y: usize>(shape: [usize; Y]) -> [usize; X] {
    let mut rows = [1; X];
    rows[X - 1] = shape[1..].iter().product();
    rows[0] = shape[0];
    rows
}

impl<const X: usize> Nearby<X> {
    /// One draw from the factor itself, for each row.
    pub(crate) fn draw(&self, noise: &mut dyn Noise<X>) -> Tensor<X> {
        let fresh = noise.normal(self.centre.dims());
        combine([(1.0, self.centre.clone()), (self.spread, fresh)])
    }

    /// One step of length `h = step_size > 0` from `x` of Langevin's equation for `exp(-f(x)) N(x; centre, spread^2 I)`; the
    /// formula is the module's.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use tweedie_core::Rng;
    /// use tweedie_fidelity::{Nearby, Tikhonov};
    ///
    /// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
    /// let device = Device::flex();
    /// let near = Nearby { centre: Tensor::<4>::ones([3, 1, 2, 2], &device), spread: 0.5 };
    /// let start = near.centre.clone();
    /// let x = near.langevin(&Tikhonov::pixels(2.0)?, start, 0.1, &mut Rng::seeded(0, &device));
    /// assert_eq!(x.dims(), [3, 1, 2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn langevin(
        &self,
        potential: &(impl Gradient<X> + ?Sized),
        x: Tensor<X>,
        step_size: f64,
        noise: &mut dyn Noise<X>,
    ) -> Tensor<X> {
        let variance = self.spread * self.spread;
        let kept = (-step_size / variance).exp();
        let moved = -(-step_size / variance).exp_m1();
        let strength = self.spread * (-(-2.0 * step_size / variance).exp_m1()).sqrt();
        let gradient = potential.grad(x.clone());
        combine([
            (moved, self.centre.clone()),
            (-variance * moved, gradient),
            (kept, x),
            (strength, noise.normal(self.centre.dims())),
        ])
    }
}
