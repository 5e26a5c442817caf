//! Phase retrieval: `f(x) = sum (sqrt(I(x)) - sqrt(y))^2 / (2 noise_std^2)`, `I` the intensity, `y` the measured one.
//!
//! The gradient is `J_I(x)^T (1 - sqrt(y/I(x))) / (2 noise_std^2)` (Fienup 1982,
//! <https://doi.org/10.1364/AO.21.002758>, for a Fourier transform). For photon counts of gain `g` the square root
//! makes the noise nearly Gaussian, of standard deviation `sqrt(g)/2` (Anscombe 1948,
//! <https://doi.org/10.1093/biomet/35.3-4.246>).

use burn::tensor::Tensor;
use tweedie_physics::ForwardOperator;

use crate::{
    DataFidelity, FidelityError, Gradient, Smooth,
    error::{require_counts, require_positive},
    sum::sum,
};

/// `f(x) = sum (sqrt(I(x)) - sqrt(y))^2 / (2 noise_std^2)` for an operator `I` of intensities, such as `|B x|^2`.
///
/// For an operator that gives amplitudes `|B x|`, [`L2`](crate::L2) with the measurement `sqrt(y)` is this term. The
/// function is not convex. It has no gradient where an intensity is 0; there the entry counts nothing in the gradient,
/// so that the result is finite: it is the subgradient 0 of an intensity that is a square.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{Amplitude, Gradient};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let y = Tensor::<4>::full([1, 1, 2, 2], 0.25, &Device::flex());
/// let data = Amplitude::new(Identity, y, 0.5_f64.sqrt())?;
/// let slope = data.grad(Tensor::<4>::ones([1, 1, 2, 2], &Device::flex())).mean();
/// assert_eq!(slope.into_scalar::<f32>(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Amplitude<A, const Y: usize = 4> {
    operator: A,
    amplitude: Tensor<Y>,
    noise_std: f64,
}

impl<A, const Y: usize> Amplitude<A, Y> {
    /// The measured intensity `y >= 0` has one row for all images, or one for each. `noise_std > 0` is the standard
    /// deviation of the noise of `sqrt(y)`, in its units; `1/sqrt(2)` leaves the plain sum of squares. Reads `y` back
    /// once.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and above 0, or if an entry of `y` is negative or not finite, or cannot be read.
    pub fn new(operator: A, y: Tensor<Y>, noise_std: f64) -> Result<Self, FidelityError> {
        require_positive("noise_std", noise_std)?;
        require_counts(&y)?;
        Ok(Self {
            operator,
            amplitude: y.sqrt(),
            noise_std,
        })
    }

    fn weight(&self) -> f64 {
        0.5 / (self.noise_std * self.noise_std)
    }
}

/// No constant: the gradient jumps where an intensity is 0.
impl<A, const Y: usize> Smooth for Amplitude<A, Y> {}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> Gradient<X> for Amplitude<A, Y> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        let intensity = self.operator.forward(x.clone());
        let dark = intensity.clone().lower_equal_elem(0.0);
        let amplitude = intensity.mask_fill(dark.clone(), 1.0).sqrt();
        let ratio = self.amplitude.clone() / amplitude;
        let slope = ratio.neg().add_scalar(1.0).mask_fill(dark, 0.0);
        self.operator.vjp(x, slope.mul_scalar(self.weight()))
    }
}

impl<const X: usize, const Y: usize, A: ForwardOperator<X, Y>> DataFidelity<X> for Amplitude<A, Y> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        let amplitude = self.operator.forward(x).sqrt();
        sum((amplitude - self.amplitude.clone()).square()).mul_scalar(self.weight())
    }
}
