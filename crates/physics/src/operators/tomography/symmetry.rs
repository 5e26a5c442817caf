//! The eight symmetries of a square image, which bring every angle into `[0, 45]` degrees.
//!
//! With `R` a quarter turn and `M` the image upside down, the projection of `P` at `a + 90` degrees is that of `R P` at `a`, and
//! the projection of `P` at `-a` is that of `M P` at `a`.

use burn::tensor::Tensor;

/// `M^mirrored R^quarters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symmetry {
    quarters: u8,
    mirrored: bool,
}

/// The angle within `[0, 45]` degrees and the symmetry that stand for `degrees`.
pub(super) fn fold(degrees: f64) -> (f64, Symmetry) {
    let within_turn = degrees.rem_euclid(360.0);
    let quarters = (within_turn / 90.0).floor();
    let rest = within_turn - 90.0 * quarters;
    let (angle, quarters, mirrored) = if rest <= 45.0 {
        (rest, quarters, false)
    } else {
        (90.0 - rest, quarters + 1.0, true)
    };
    let quarters = quarters as u8 % 4;
    (angle, Symmetry { quarters, mirrored })
}

impl Symmetry {
    /// The moved image, of `[planes, side, side]`.
    pub(super) fn apply(self, planes: Tensor<3>) -> Tensor<3> {
        let turned = match self.quarters {
            0 => planes,
            1 => planes.flip([1]).swap_dims(1, 2),
            2 => planes.flip([1, 2]),
            _ => planes.flip([2]).swap_dims(1, 2),
        };
        if self.mirrored {
            turned.flip([1])
        } else {
            turned
        }
    }

    /// The inverse of [`apply`](Self::apply), which is its transpose.
    pub(super) fn undo(self, planes: Tensor<3>) -> Tensor<3> {
        let turned = if self.mirrored {
            planes.flip([1])
        } else {
            planes
        };
        match self.quarters {
            0 => turned,
            1 => turned.swap_dims(1, 2).flip([1]),
            2 => turned.flip([1, 2]),
            _ => turned.swap_dims(1, 2).flip([2]),
        }
    }
}
