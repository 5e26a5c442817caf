//! Over-exposure and gamma, as of a camera that looks at a high dynamic range: `y = clip(gain x)^(1/gamma)`.
//!
//! The clip is `min(max(u, 0), 1)`, or smooth: `(softplus(k u) - softplus(k (u - 1))) / k` with sharpness `k`, which
//! stays within (0, 1), differs from the other by at most `ln 2 / k`, and whose slope `sigmoid(k u) - sigmoid(k (u -
//! 1))` vanishes nowhere (Klimek & Perelstein 2020, <https://doi.org/10.21468/SciPostPhys.9.4.053>).

use burn::tensor::{Tensor, activation::sigmoid};

use crate::{ForwardOperator, PhysicsError};

/// `clip(gain x)^(1/gamma)` for each pixel.
///
/// The hard clip has no gradient for pixels that are black or burnt out: at `gain x <= 0` and `gain x >= 1`, both edges
/// included, its `vjp` is 0. A smooth clip pulls such pixels back. With `gamma > 1` the slope grows without bound
/// towards black, like `(gain x)^(1/gamma - 1)`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Saturation};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let x = Tensor::<4>::from_floats([[[[0.125, 0.25, 0.9]]]], &Device::flex());
/// let y = Saturation::hard(2.0, 1.0)?.forward(x);
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [0.25, 0.5, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturation {
    gain: f64,
    gamma: f64,
    sharpness: Option<f64>,
}

impl Saturation {
    /// With the hard clip; `gain` and `gamma` above 0.
    ///
    /// # Errors
    /// If a parameter is not finite or not above 0.
    pub fn hard(gain: f64, gamma: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            gain: positive("gain", gain)?,
            gamma: positive("gamma", gamma)?,
            sharpness: None,
        })
    }

    /// With the smooth clip; `gain`, `gamma` and `sharpness` above 0.
    ///
    /// # Errors
    /// If a parameter is not finite or not above 0.
    pub fn smooth(gain: f64, gamma: f64, sharpness: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            sharpness: Some(positive("sharpness", sharpness)?),
            ..Self::hard(gain, gamma)?
        })
    }

    /// `clip(u)`.
    fn clip(&self, u: Tensor<4>) -> Tensor<4> {
        match self.sharpness {
            None => u.clamp(0.0, 1.0),
            Some(k) => {
                let above_black = softplus(u.clone().mul_scalar(k));
                let above_white = softplus(u.sub_scalar(1.0).mul_scalar(k));
                (above_black - above_white).mul_scalar(k.recip())
            }
        }
    }

    /// `clip'(u)`.
    fn slope(&self, u: Tensor<4>) -> Tensor<4> {
        match self.sharpness {
            None => {
                let clipped = u
                    .clone()
                    .lower_equal_elem(0.0)
                    .bool_or(u.clone().greater_equal_elem(1.0));
                u.ones_like().mask_fill(clipped, 0.0)
            }
            Some(k) => sigmoid(u.clone().mul_scalar(k)) - sigmoid(u.sub_scalar(1.0).mul_scalar(k)),
        }
    }
}

fn positive(name: &'static str, found: f64) -> Result<f64, PhysicsError> {
    if found > 0.0 && found.is_finite() {
        Ok(found)
    } else {
        Err(PhysicsError::NotPositive { name, found })
    }
}

/// `ln(1 + e^z)` without overflow.
fn softplus(z: Tensor<4>) -> Tensor<4> {
    z.clone().clamp_min(0.0) + z.abs().neg().exp().log1p()
}

impl ForwardOperator for Saturation {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let exposed = self.clip(x.mul_scalar(self.gain));
        exposed.clamp_min(0.0).powf_scalar(self.gamma.recip())
    }

    /// `v gain clip'(u) clip(u)^(1/gamma - 1) / gamma`, `u = gain x`, and 0 where `clip(u)` is 0.
    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        let u = x.mul_scalar(self.gain);
        let exposed = self.clip(u.clone());
        let black = exposed.clone().lower_equal_elem(0.0);
        let power = exposed
            .mask_fill(black.clone(), 1.0)
            .powf_scalar(self.gamma.recip() - 1.0)
            .mask_fill(black, 0.0);
        (v * self.slope(u) * power).mul_scalar(self.gain / self.gamma)
    }
}
