//! Forward differences of an image, `D: x -> (x[i+1, j] - x[i, j], x[i, j+1] - x[i, j])`, 0 past the last row and
//! column.
//!
//! `|D|^2 <= 8` (Chambolle 2004, theorem 3.1, <https://doi.org/10.1023/B:JMIV.0000011325.36760.1e>).

use burn::tensor::Tensor;

/// An upper bound on `|D|^2`.
pub(crate) const NORM_SQUARED: f64 = 8.0;

/// Down and to the right, each of the shape of the image.
pub(crate) type Differences = [Tensor<4>; 2];

/// `D x`.
pub(crate) fn differences(x: Tensor<4>) -> Differences {
    [2, 3].map(|axis| {
        let length = x.dims()[axis];
        if length == 1 {
            return x.zeros_like();
        }
        let ahead = x.clone().narrow(axis, 1, length - 1);
        let edge = x.clone().narrow(axis, length - 1, 1);
        Tensor::cat(vec![ahead, edge], axis) - x.clone()
    })
}

/// `D^T p`; the entries of `p` past the last row and column play no part.
pub(crate) fn adjoint([down, right]: Differences) -> Tensor<4> {
    backward(down, 2) + backward(right, 3)
}

/// `p[i-1] - p[i]`, with `p` taken as 0 before the first entry and at the last.
fn backward(p: Tensor<4>, axis: usize) -> Tensor<4> {
    let last = p.dims()[axis] - 1;
    if last == 0 {
        return p.zeros_like();
    }
    let inner = p.clone().narrow(axis, 0, last);
    let zero = p.narrow(axis, last, 1).zeros_like();
    Tensor::cat(vec![zero.clone(), inner.clone()], axis) - Tensor::cat(vec![inner, zero], axis)
}
