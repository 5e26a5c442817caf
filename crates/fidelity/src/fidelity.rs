//! What a term of a posterior can do: data terms and priors alike.
//!
//! The traits are what the algorithms ask for. Langevin steps need a [`Gradient`] and no more, which is all that
//! the score of a learnt prior gives; a Metropolis test or a line search also needs the value of a [`DataFidelity`];
//! splitting methods need a [`Proximal`] operator, which a constraint has although it has no gradient.

use burn::tensor::Tensor;

/// How fast the gradient of a function changes: what bounds the step of an algorithm that follows it.
pub trait Smooth {
    /// A Lipschitz constant `L` of the gradient, `|grad f(a) - grad f(b)| <= L |a - b|`; none where there is none or it is not
    /// known.
    fn lipschitz(&self) -> Option<f64> {
        None
    }
}

/// The gradient of a function `f` of images.
///
/// Row `i` of a result depends on row `i` of `x` alone, and on row `i` of the measurement, or on its only row.
pub trait Gradient<const X: usize = 4>: Smooth {
    /// `grad f(x)`, of the shape of `x`.
    fn grad(&self, x: Tensor<X>) -> Tensor<X>;
}

/// A function with value and gradient: `f(x) = -log p(y | x)`, or `-log p(x)` of a prior, each up to a constant, for
/// images `x` of any batch size.
pub trait DataFidelity<const X: usize = 4>: Gradient<X> {
    /// `f(x)` of each sample, `[batch]`.
    fn value(&self, x: Tensor<X>) -> Tensor<1>;

    /// Both at once, which for some functions costs less than one after the other.
    fn value_and_grad(&self, x: Tensor<X>) -> (Tensor<1>, Tensor<X>) {
        (self.value(x.clone()), self.grad(x))
    }
}

/// A function with a proximal operator; it need be neither smooth nor finite.
pub trait Proximal<const X: usize = 4> {
    /// `argmin_u f(u) + |u - x|^2 / (2 step)` for each sample, `step > 0`.
    fn prox(&self, x: Tensor<X>, step: f64) -> Tensor<X>;
}

macro_rules! forward_fidelity {
    ($($pointer:ty),*) => {$(
        impl<T: Smooth + ?Sized> Smooth for $pointer {
            fn lipschitz(&self) -> Option<f64> {
                (**self).lipschitz()
            }
        }
        impl<const X: usize, T: Gradient<X> + ?Sized> Gradient<X> for $pointer {
            fn grad(&self, x: Tensor<X>) -> Tensor<X> {
                (**self).grad(x)
            }
        }
        impl<const X: usize, T: DataFidelity<X> + ?Sized> DataFidelity<X> for $pointer {
            fn value(&self, x: Tensor<X>) -> Tensor<1> {
                (**self).value(x)
            }
            fn value_and_grad(&self, x: Tensor<X>) -> (Tensor<1>, Tensor<X>) {
                (**self).value_and_grad(x)
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
