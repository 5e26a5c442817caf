//! What lies beyond the border of an image, and the transposes of the paddings that put it there.

use burn::tensor::{Tensor, ops::PadMode};
use serde::{Deserialize, Serialize};

use crate::PhysicsError;

/// What a convolution sees beyond the border of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// Nothing: only pixels whose whole neighbourhood lies in the image are measured, so the measurement is smaller.
    Valid,
    /// Black.
    Zero,
    /// The image mirrored at the centre of its outermost pixels: `c b | a b c`.
    Reflect,
    /// The outermost pixels repeated: `a a | a b c`.
    Replicate,
    /// The opposite side of the image: `b c | a b c`.
    Circular,
}

/// Pixels that a kernel of `side` reaches before and after the one it is centred on, `side / 2` the centre's index.
pub(super) fn reach(side: usize) -> [usize; 2] {
    [side.saturating_sub(1) - side / 2, side / 2]
}

impl Boundary {
    /// Whether a kernel finds everything that it reaches, without going around an image or through a mirror twice.
    fn admits(self, kernel: usize, side: usize) -> bool {
        let furthest = reach(kernel)[1];
        match self {
            Self::Valid => kernel <= side,
            Self::Zero | Self::Replicate => side > 0,
            Self::Reflect => furthest < side,
            Self::Circular => furthest <= side,
        }
    }

    /// Refuses images that are too small for a kernel.
    pub(super) fn require(self, kernel: [usize; 2], size: [usize; 2]) -> Result<(), PhysicsError> {
        if (0..2).all(|axis| self.admits(kernel[axis], size[axis])) {
            Ok(())
        } else {
            Err(PhysicsError::KernelTooLarge { kernel, size })
        }
    }

    /// Side of the measurement of an image of `side`.
    pub(super) fn measured(self, kernel: usize, side: usize) -> usize {
        match self {
            Self::Valid => side + 1 - kernel,
            _ => side,
        }
    }

    /// The image with what a kernel reaches beyond its border.
    pub(super) fn pad(self, x: Tensor<4>, kernel: [usize; 2]) -> Tensor<4> {
        let mode = match self {
            Self::Valid => return x,
            Self::Circular => return wrap(wrap(x, 2, reach(kernel[0])), 3, reach(kernel[1])),
            Self::Zero => PadMode::Constant(0.0),
            Self::Reflect => PadMode::Reflect,
            Self::Replicate => PadMode::Edge,
        };
        x.pad(
            kernel.map(reach).map(|[before, after]| (before, after)),
            mode,
        )
    }

    /// The transpose of [`pad`](Self::pad): adds the border to the pixels that it was copied from.
    pub(super) fn fold(self, padded: Tensor<4>, kernel: [usize; 2]) -> Tensor<4> {
        self.fold_axis(self.fold_axis(padded, 3, kernel[1]), 2, kernel[0])
    }

    fn fold_axis(self, padded: Tensor<4>, axis: usize, kernel: usize) -> Tensor<4> {
        let [before, after] = reach(kernel);
        if self == Self::Valid || after == 0 {
            return padded;
        }
        let side = padded.dims()[axis] - before - after;
        let image = padded.clone().narrow(axis, before, side);
        let tail = padded.clone().narrow(axis, before + side, after);
        let image = self.add_tail(image, tail, axis);
        if before == 0 {
            image
        } else {
            self.add_head(image, padded.narrow(axis, 0, before), axis)
        }
    }

    fn add_tail(self, image: Tensor<4>, tail: Tensor<4>, axis: usize) -> Tensor<4> {
        let last = image.dims()[axis] - 1;
        let length = tail.dims()[axis];
        match self {
            Self::Valid | Self::Zero => image,
            Self::Reflect => add_at(image, tail.flip([axis]), axis, last - length),
            Self::Replicate => add_at(image, tail.sum_dim(axis), axis, last),
            Self::Circular => add_at(image, tail, axis, 0),
        }
    }

    fn add_head(self, image: Tensor<4>, head: Tensor<4>, axis: usize) -> Tensor<4> {
        let side = image.dims()[axis];
        let length = head.dims()[axis];
        match self {
            Self::Valid | Self::Zero => image,
            Self::Reflect => add_at(image, head.flip([axis]), axis, 1),
            Self::Replicate => add_at(image, head.sum_dim(axis), axis, 0),
            Self::Circular => add_at(image, head, axis, side - length),
        }
    }
}

/// Repeats the last `before` entries of an axis before it and the first `after` ones after it.
fn wrap(x: Tensor<4>, axis: usize, [before, after]: [usize; 2]) -> Tensor<4> {
    let side = x.dims()[axis];
    let mut parts = Vec::new();
    if before > 0 {
        parts.push(x.clone().narrow(axis, side - before, before));
    }
    parts.push(x.clone());
    if after > 0 {
        parts.push(x.narrow(axis, 0, after));
    }
    Tensor::cat(parts, axis)
}

/// Adds `part` to the entries of an axis from `start` on.
fn add_at(image: Tensor<4>, part: Tensor<4>, axis: usize, start: usize) -> Tensor<4> {
    let mut pairs = [(0, 0); 4];
    pairs[axis] = (start, image.dims()[axis] - start - part.dims()[axis]);
    image + part.pad(pairs, PadMode::Constant(0.0))
}
