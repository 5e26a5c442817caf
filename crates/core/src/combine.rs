//! Linear combinations of tensors: the one form that the updates of all solvers have.

use burn::tensor::Tensor;

/// `sum_i c_i x_i` over `terms`, all of one shape.
///
/// A term whose coefficient is 0 is left out, so that nothing in it matters; one whose coefficient is 1 is not multiplied.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::combine;
///
/// let ones = Tensor::<1>::ones([3], &Device::flex());
/// let sum = combine([(2.0, ones.clone()), (-0.5, ones)]);
/// assert_eq!(sum.into_data().to_vec::<f32>().unwrap(), [1.5; 3]);
/// ```
///
/// # Panics
/// If `terms` is empty, or the shapes differ.
pub fn combine<const D: usize, const N: usize>(terms: [(f64, Tensor<D>); N]) -> Tensor<D> {
    const { assert!(N > 0, "a combination has at least one term") };
    if terms.iter().all(|(coefficient, _)| *coefficient == 0.0) {
        return terms[0].1.zeros_like();
    }
    let sum = terms
        .into_iter()
        .filter(|(coefficient, _)| *coefficient != 0.0)
        .map(|(coefficient, term)| match coefficient {
            1.0 => term,
            _ => term.mul_scalar(coefficient),
        })
        .reduce(|sum, term| sum + term);
    sum.expect("a term with a coefficient was found above")
}
