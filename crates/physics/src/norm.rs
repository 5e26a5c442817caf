//! Operator norm: power iteration on `A^T A`.
//!
//! `x_{k+1} = A^T A x_k / |A^T A x_k|`, `|A|^2 ~ |A x_k|^2 / |x_k|^2` (Golub & Van Loan 2013, section 7.3.1,
//! <https://jhupbooks.press.jhu.edu/title/matrix-computations>).

use burn::tensor::Tensor;
use tweedie_core::Rng;

use crate::{LinearOperator, reduce::dot, squared_norm};

/// `|A|`, the largest singular value of the operator for images of shape `image`, from below.
///
/// Each row of the batch is iterated from its own random start, and the largest estimate counts. The relative error
/// falls like `(s_2/s_1)^(4 (iterations - 1))`, slowly where the two largest singular values are close; steps that must
/// not exceed `1/|A|^2` do well with a margin of a few per cent. Reads one number back, at the end.
///
/// # Panics
/// If the operator does not measure images of that shape, or `iterations` is 0.
pub fn operator_norm<const X: usize, const Y: usize>(
    operator: &(impl LinearOperator<X, Y> + ?Sized),
    image: [usize; X],
    iterations: usize,
    rng: &mut Rng,
) -> f64 {
    assert!(
        iterations > 0,
        "power iteration needs at least one iteration"
    );
    let mut x: Tensor<X> = normalised(rng.normal(image));
    for _ in 1..iterations {
        x = normalised(operator.adjoint(operator.forward(x)));
    }
    let squared = squared_norm(operator.forward(x)).max();
    squared.into_scalar::<f64>().sqrt()
}

/// Each row divided by its norm, or 0 where it is 0.
fn normalised<const X: usize>(x: Tensor<X>) -> Tensor<X> {
    let norm = dot(x.clone(), x.clone()).sqrt();
    let zero = norm.clone().equal_elem(0.0);
    x / norm.mask_fill(zero, 1.0)
}
