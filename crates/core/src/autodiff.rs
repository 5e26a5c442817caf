//! One primitive of reverse-mode differentiation: a value and a vector-Jacobian product.

use burn::tensor::Tensor;

/// `(f(x), J_f(x)^T c(f(x)))` with one forward and one backward pass.
///
/// `f` maps `x` to `y`, `J_f` is its Jacobian, and `cotangent` gives the vector `c` once `y` is known, so that a
/// likelihood gradient at `y` costs no second forward pass. Nothing stays on the tape: both results are plain tensors,
/// whatever `x` was. A function that ignores its argument has a zero product.
///
/// burn differentiates once: there are no Jacobian-vector products and no second derivatives, and each call runs `f` anew.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::value_and_vjp;
///
/// let x = Tensor::<1>::from_floats([1.0, 2.0], &Device::flex());
/// let (y, gradient) = value_and_vjp(x, |x| x.clone() * x, |y| y.ones_like());
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [1.0, 4.0]);
/// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [2.0, 4.0]);
/// ```
#[expect(
    clippy::disallowed_methods,
    reason = "the one place outside of training where a tape runs backward"
)]
pub fn value_and_vjp<const X: usize, const Y: usize>(
    x: Tensor<X>,
    f: impl FnOnce(Tensor<X>) -> Tensor<Y>,
    cotangent: impl FnOnce(Tensor<Y>) -> Tensor<Y>,
) -> (Tensor<Y>, Tensor<X>) {
    let x = x.without_autodiff().autodiff().require_grad();
    let tracked = f(x.clone());
    let value = tracked.clone().without_autodiff();
    let weight = cotangent(value.clone()).without_autodiff();
    if !tracked.is_tracked() {
        return (value, x.without_autodiff().zeros_like());
    }
    // A tape that ends in many numbers runs backward from their sum.
    let mut gradients = (tracked * weight.autodiff()).backward();
    let product = x
        .grad_remove(&mut gradients)
        .unwrap_or_else(|| x.without_autodiff().zeros_like());
    (value, product)
}
