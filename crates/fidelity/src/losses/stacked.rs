//! Several independent measurements of one image: `f(x) = sum_i f_i(x)`.

use burn::tensor::Tensor;

use crate::{DataFidelity, FidelityError, Gradient, Smooth};

/// The sum of functions of one image, as `-log p(y_1, y_2, .. | x)` is of independent measurements.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{DataFidelity, L1, L2, Stacked};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let y = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
/// let first: Box<dyn DataFidelity> = Box::new(L2::new(Identity, y.clone(), 1.0)?);
/// let second = Box::new(L1::new(Identity, y.clone(), 1.0)?);
/// let both = Stacked::new(vec![first, second])?;
/// assert_eq!(both.value(y.zeros_like()).into_scalar::<f32>(), 2.0 + 4.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stacked<T> {
    terms: Vec<T>,
}

impl<T> Stacked<T> {
    /// The sum of `terms`.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(terms: Vec<T>) -> Result<Self, FidelityError> {
        if terms.is_empty() {
            return Err(FidelityError::NoTerms);
        }
        Ok(Self { terms })
    }

    fn sum<const D: usize>(&self, of: impl Fn(&T) -> Tensor<D>) -> Tensor<D> {
        let (first, others) = self
            .terms
            .split_first()
            .expect("the constructor refuses an empty sum");
        others.iter().fold(of(first), |sum, term| sum + of(term))
    }
}

impl<T: Smooth> Smooth for Stacked<T> {
    fn lipschitz(&self) -> Option<f64> {
        self.terms.iter().map(Smooth::lipschitz).sum()
    }
}

impl<const X: usize, T: Gradient<X>> Gradient<X> for Stacked<T> {
    fn grad(&self, x: Tensor<X>) -> Tensor<X> {
        self.sum(|term| term.grad(x.clone()))
    }
}

impl<const X: usize, T: DataFidelity<X>> DataFidelity<X> for Stacked<T> {
    fn value(&self, x: Tensor<X>) -> Tensor<1> {
        self.sum(|term| term.value(x.clone()))
    }
}
