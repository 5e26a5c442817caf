//! The fresh noise of a step.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};

/// `sum_i c_i x_i + strength z`, with the standard normal numbers `z` of the step; none are drawn when `strength` is 0.
pub(crate) fn kick<const D: usize, const N: usize>(
    moved: [(f64, Tensor<D>); N],
    strength: f64,
    span: Span,
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    let moved = combine(moved);
    if strength == 0.0 {
        return moved;
    }
    let fresh = noise.normal_over(moved.dims(), span.from, span.to);
    combine([(1.0, moved), (strength, fresh)])
}
