//! Frames: zeros around an image, and their adjoint, the image without a frame.

use burn::tensor::{Tensor, ops::PadMode};

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd};

/// Widths of a frame in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Margins {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns after.
    pub right: usize,
}

impl Margins {
    fn around<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        if self == Self::default() {
            return x;
        }
        x.pad(
            [(self.top, self.bottom), (self.left, self.right)],
            PadMode::Constant(0.0),
        )
    }

    fn within(self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        x.narrow(2, self.top, height - self.top - self.bottom)
            .narrow(3, self.left, width - self.left - self.right)
    }
}

/// Zeros around each image: `[batch, channels, height, width]` grows by the margins. The adjoint is [`Crop`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Margins, ZeroPad};
///
/// let pad = ZeroPad::new(Margins { top: 1, left: 2, ..Margins::default() });
/// let y = pad.forward(Tensor::ones([1, 1, 2, 2], &Device::flex()));
/// assert_eq!(y.dims(), [1, 1, 3, 4]);
/// assert_eq!(y.sum().into_scalar::<f32>(), 4.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroPad {
    margins: Margins,
}

impl ZeroPad {
    /// Zeros of these widths.
    pub fn new(margins: Margins) -> Self {
        Self { margins }
    }
}

impl ForwardOperator for ZeroPad {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        let Margins {
            top,
            bottom,
            left,
            right,
        } = self.margins;
        Ok([
            batch,
            channels,
            height.saturating_add(top).saturating_add(bottom),
            width.saturating_add(left).saturating_add(right),
        ])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.margins.around(x)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for ZeroPad {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.margins.within(y)
    }

    /// `rhs / (1 + damping)`, because `A^T A = I`.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        rhs.mul_scalar((1.0 + damping).recip())
    }
}

/// `V = I`, `U = A`, all singular values 1.
impl Svd for ZeroPad {
    fn singular_values(&self, like: &Tensor<4>) -> Tensor<4> {
        Tensor::ones([1; 4], (&like.device(), like.dtype()))
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        coefficients
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.adjoint(y)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.forward(coefficients)
    }
}

/// Each image without its frame: `[batch, channels, height, width]` shrinks by the margins. The adjoint is [`ZeroPad`].
///
/// ```
/// use tweedie_physics::{Crop, ForwardOperator, Margins};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let crop = Crop::new(Margins { top: 1, left: 2, ..Margins::default() });
/// assert_eq!(crop.measurement_shape([1, 3, 8, 8])?, [1, 3, 7, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    margins: Margins,
}

impl Crop {
    /// Takes off these widths.
    pub fn new(margins: Margins) -> Self {
        Self { margins }
    }
}

impl ForwardOperator for Crop {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        let margins = self.margins;
        let rest = |size: usize, before: usize, after: usize| {
            size.checked_sub(before)?
                .checked_sub(after)
                .filter(|&rest| rest > 0)
        };
        let rows = rest(height, margins.top, margins.bottom);
        let columns = rest(width, margins.left, margins.right);
        match (rows, columns) {
            (Some(rows), Some(columns)) => Ok([batch, channels, rows, columns]),
            _ => Err(PhysicsError::MarginsTooLarge {
                margins,
                size: [height, width],
            }),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.margins.within(x)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Crop {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.margins.around(y)
    }

    /// `rhs / (m + damping)`, `m` 0 on the frame and 1 elsewhere; `m rhs` without damping.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        let seen = self.singular_values(&rhs);
        if damping == 0.0 {
            rhs * seen
        } else {
            rhs / seen.add_scalar(damping)
        }
    }
}

/// `V = I`, `U = A`, and the singular values are 0 on the frame, 1 elsewhere.
impl Svd for Crop {
    fn singular_values(&self, like: &Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = like.dims();
        let image = Tensor::ones([1, 1, height, width], (&like.device(), like.dtype()));
        self.margins.around(self.margins.within(image))
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        coefficients
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.adjoint(y)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.forward(coefficients)
    }
}
