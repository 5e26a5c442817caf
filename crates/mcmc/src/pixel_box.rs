//! The box that pixels lie in, and the two ways back into it.

use std::fmt;

use burn::tensor::Tensor;
use tweedie_fidelity::Proximal;

use crate::{ChainError, error::require};

/// Images all of whose pixels lie in `[low, high]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_mcmc::PixelBox;
///
/// let x = Tensor::<1>::from_floats([-0.25, 0.5, 2.75], &Device::flex());
/// let nearest = PixelBox::UNIT.project(x.clone());
/// assert_eq!(nearest.into_data().to_vec::<f32>().unwrap(), [0.0, 0.5, 1.0]);
/// let folded = PixelBox::UNIT.reflect(x);
/// assert_eq!(folded.into_data().to_vec::<f32>().unwrap(), [0.25, 0.5, 0.75]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelBox {
    low: f64,
    high: f64,
}

impl PixelBox {
    /// `[0, 1]`: pixels.
    pub const UNIT: Self = Self {
        low: 0.0,
        high: 1.0,
    };

    /// `[low, high]`, or all from `low` on where `high` is infinite: intensities, for one.
    ///
    /// # Errors
    /// Unless `low` is finite and `high` above it.
    pub fn new(low: f64, high: f64) -> Result<Self, ChainError> {
        require("low", low, low.is_finite(), "finite")?;
        require("high", high, high > low, "above low")?;
        Ok(Self { low, high })
    }

    /// The nearest image of the box: each pixel clamped. What is not a number stays so.
    pub fn project<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let lost = x.clone().is_nan();
        x.clone().clamp(self.low, self.high).mask_where(lost, x)
    }

    /// Each pixel reflected at the walls until it is inside: `w - |r - w|` above `low`, `w` the width and `r` the
    /// distance from `low` modulo `2 w`.
    pub fn reflect<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let from_low = x.sub_scalar(self.low);
        let width = self.high - self.low;
        let folded = if width.is_finite() {
            let turns = from_low.clone().div_scalar(2.0 * width).floor();
            let r = from_low - turns.mul_scalar(2.0 * width);
            r.sub_scalar(width).abs().neg().add_scalar(width)
        } else {
            from_low.abs()
        };
        // Rounding may leave the box by a last digit.
        self.project(folded.add_scalar(self.low))
    }
}

impl fmt::Display for PixelBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "low {:e}, high {:e}", self.low, self.high)
    }
}

/// As the function that is 0 in the box and infinite outside, whose envelope is the squared distance over `2 lambda`.
impl<const X: usize> Proximal<X> for PixelBox {
    /// The projection, whatever `step` is.
    fn prox(&self, x: Tensor<X>, _: f64) -> Tensor<X> {
        self.project(x)
    }
}
