//! What a data term can do.

use burn::tensor::Tensor;

/// `f(x) = -log p(y | x)` up to a constant, for images `x` of any batch size.
///
/// Row `i` of a result depends on row `i` of `x` alone, and on row `i` of the measurement, or on its only row.
pub trait DataFidelity<const X: usize = 4> {
    /// `f(x)` of each sample, `[batch]`.
    fn value(&self, x: Tensor<X>) -> Tensor<1>;

    /// `grad f(x)`, of the shape of `x`.
    fn grad(&self, x: Tensor<X>) -> Tensor<X>;
}

/// A data term with a proximal operator.
pub trait Proximal<const X: usize = 4>: DataFidelity<X> {
    /// `argmin_u f(u) + |u - x|^2 / (2 step)` for each sample, `step > 0`.
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X>;
}

macro_rules! forward_fidelity {
    ($($pointer:ty),*) => {$(
        impl<const X: usize, T: DataFidelity<X> + ?Sized> DataFidelity<X> for $pointer {
            fn value(&self, x: Tensor<X>) -> Tensor<1> {
                (**self).value(x)
            }
            fn grad(&self, x: Tensor<X>) -> Tensor<X> {
                (**self).grad(x)
            }
        }
        impl<const X: usize, T: Proximal<X> + ?Sized> Proximal<X> for $pointer {
            fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X> {
                (**self).prox(x, step)
            }
        }
    )*};
}
forward_fidelity!(&T, Box<T>);
