//! Photon counts read by a noisy camera: `f(x) = sum (z - y)^2 / (2 v) + log(v)/2`, `z = A x`, `v = gain z +
//! read_std^2`.
//!
//! `y = gain k + read_std n`, `k` Poisson of mean `z/gain`, has mean `z` and variance `v`. The term is the Gaussian of
//! that mean and variance (Foi et al. 2008, section II, <https://doi.org/10.1109/TIP.2008.2001399>), with its
//! normalisation `log(v)/2`, without which the minimum would lie too high: `f(x) + (m/2) log(2 pi)` is the negative
//! log-density of the `m` entries. The gradient is `A^T ((z - y)/v + gain/(2 v) - gain (z - y)^2 / (2 v^2))`.

use burn::tensor::Tensor;
use tweedie_physics::ForwardOperator;

use crate::{DataFidelity, FidelityError, Gradient, Smooth, error::require_positive, sum::sum};

/// `f(x) = sum (A x - y)^2 / (2 v) + log(v)/2`, `v = gain A x + read_std^2`.
///
/// The domain is `v > 0`; outside of it the value is infinite and the gradient without meaning. The function is not
/// convex, and has no proximal operator here. Good from about ten photons an entry, or where the read-out noise
/// dominates.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{DataFidelity, PoissonGaussian};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let y = Tensor::<4>::full([2, 1, 2, 2], 0.5, &Device::flex());
/// let data = PoissonGaussian::new(Identity, y.clone(), 0.01, 0.02)?;
/// assert_eq!(data.value(y).dims(), [2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PoissonGaussian<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    gain: f64,
    read_std: f64,
}

impl<A, const Y: usize> PoissonGaussian<A, Y> {
    /// The measurement `y` has one row for all images, or one for each; it may be negative. `gain > 0` is the value of
    /// one photon, `read_std > 0` the standard deviation of the read-out noise, both in the units of `y`.
    ///
    /// # Errors
    /// Unless `gain` and `read_std` are finite and above 0.
    pub fn new(operator: A, y: Tensor<Y>, gain: f64, read_std: f64) -> Result<Self, FidelityError> {
        require_positive("gain", gain)?;
        require_positive("read_std", read_std)?;
        Ok(Self {
            operator,
            y,
            gain,
            read_std,
        })
    }

    /// `A x - y` and `v`.
    fn moments<const X: usize>(&self, x: Tensor<X>) -> (Tensor<Y>, Tensor<Y>)
    where
        A: ForwardOperator<X, Y>,
    {
        let mean = self.operator.forward(x);
        let read_variance = self.read_std * self.read_std;
        let variance = mean.clone().mul_scalar(self.gain).add_scalar(read_variance);
        (mean - self.y.clone(), variance)
    }
}

/// No constant: the curvature grows as `v^-3` towards the edge of the domain.
impl<A, const Y: usize> Smooth for PoissonGaussian<A, Y> {}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> Gradient<X>
    for PoissonGaussian<A, Y>
{
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let (residual, variance) = self.moments(x.clone());
        let scaled = residual / variance.clone();
        let bias = (variance.recip() - scaled.clone().square()).mul_scalar(0.5 * self.gain);
        self.operator.vjp(x, scaled + bias)
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> DataFidelity<X>
    for PoissonGaussian<A, Y>
{
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        let (residual, variance) = self.moments(x);
        let outside = variance.clone().lower_equal_elem(0.0);
        let variance = variance.mask_fill(outside.clone(), 1.0);
        let entries = residual.square() / variance.clone() + variance.log();
        sum(entries.mask_fill(outside, f64::INFINITY)).mul_scalar(0.5)
    }
}
