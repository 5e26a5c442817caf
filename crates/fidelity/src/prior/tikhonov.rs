//! Quadratic priors: `f(x) = weight |x|^2 / 2`, or `weight |D x|^2 / 2` of the differences between neighbours.
//!
//! Phillips 1962, <https://doi.org/10.1145/321105.321114>; Tikhonov & Arsenin 1977, chapter II. The proximal operators
//! are `x / (1 + step weight)` and `(I + step weight D^T D)^-1 x`, `D` forward differences that are 0 past the last row
//! and column (Neumann boundary).

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_physics::{ConjugateGradient, squared_norm};

use super::difference::{NORM_SQUARED, adjoint, differences};
use crate::{
    ConditionalDraw, DataFidelity, FidelityError, Gradient, Nearby, Proximal, Smooth,
    error::require_positive,
};

#[derive(Clone, Copy, Debug)]
enum Penalty {
    Pixels,
    Differences(ConjugateGradient),
}

/// `f(x) = weight |x|^2 / 2` or `weight |D x|^2 / 2`, for images `[batch, channels, height, width]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{DataFidelity, Tikhonov};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let ramp = Tensor::<4>::from_floats([[[[0.0, 1.0, 2.0]]]], &Device::flex());
/// assert_eq!(Tikhonov::pixels(1.0)?.value(ramp.clone()).into_scalar::<f32>(), 2.5);
/// assert_eq!(Tikhonov::differences(1.0)?.value(ramp).into_scalar::<f32>(), 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tikhonov {
    weight: f64,
    penalty: Penalty,
}

impl Tikhonov {
    /// `weight |x|^2 / 2`: independent Gaussian pixels of mean 0 and variance `1/weight`, `weight > 0`.
    ///
    /// # Errors
    /// Unless `weight` is finite and above 0.
    pub fn pixels(weight: f64) -> Result<Self, FidelityError> {
        require_positive("weight", weight)?;
        let penalty = Penalty::Pixels;
        Ok(Self { weight, penalty })
    }

    /// `weight |D x|^2 / 2`: independent Gaussian differences of variance `1/weight`, `weight > 0`.
    ///
    /// # Errors
    /// Unless `weight` is finite and above 0.
    pub fn differences(weight: f64) -> Result<Self, FidelityError> {
        require_positive("weight", weight)?;
        let penalty = Penalty::Differences(ConjugateGradient::default());
        Ok(Self { weight, penalty })
    }

    /// The same prior with another budget for the proximal operator, and for draws, of differences; pixels need none. The
    /// condition number is at most `1 + 8 step weight`.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        let penalty = match self.penalty {
            Penalty::Pixels => Penalty::Pixels,
            Penalty::Differences(_) => Penalty::Differences(cg),
        };
        Self { penalty, ..self }
    }
}

impl Smooth for Tikhonov {
    fn lipschitz(&self) -> Option<f64> {
        Some(match self.penalty {
            Penalty::Pixels => self.weight,
            Penalty::Differences(_) => NORM_SQUARED * self.weight,
        })
    }
}

impl Gradient for Tikhonov {
    fn grad(&self, x: Tensor<4>) -> Tensor<4> {
        match self.penalty {
            Penalty::Pixels => x,
            Penalty::Differences(_) => adjoint(differences(x)),
        }
        .mul_scalar(self.weight)
    }
}

impl DataFidelity for Tikhonov {
    fn value(&self, x: Tensor<4>) -> Tensor<1> {
        match self.penalty {
            Penalty::Pixels => squared_norm(x),
            Penalty::Differences(_) => {
                let [down, right] = differences(x);
                squared_norm(down) + squared_norm(right)
            }
        }
        .mul_scalar(0.5 * self.weight)
    }
}

impl Proximal for Tikhonov {
    fn prox(&self, x: Tensor<4>, step: f64) -> Tensor<4> {
        match self.penalty {
            Penalty::Pixels => x.mul_scalar((1.0 + step * self.weight).recip()),
            Penalty::Differences(cg) => cg.solve(|u| u.clone() + self.grad(u).mul_scalar(step), x),
        }
    }
}

impl ConditionalDraw for Tikhonov {
    fn draw_near(&self, near: Nearby, noise: &mut dyn Noise) -> Tensor<4> {
        let variance = near.spread * near.spread;
        let from = near.draw(noise);
        match self.penalty {
            // The mean shrinks by the proximal operator, and the deviation by its root.
            Penalty::Pixels => {
                let shrunk = (1.0 + variance * self.weight).recip();
                let root = shrunk.sqrt();
                combine([(root, from), (shrunk - root, near.centre)])
            }
            Penalty::Differences(_) => {
                let fresh = [(); 2].map(|()| noise.normal(from.dims()));
                let pull = adjoint(fresh).mul_scalar(variance * self.weight.sqrt());
                self.prox(from + pull, variance)
            }
        }
    }
}
