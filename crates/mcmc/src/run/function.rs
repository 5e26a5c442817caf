//! Functions of the draws of which statistics are wanted.

use burn::tensor::Tensor;

use crate::ChainError;

/// A function of draws with its name.
pub(super) struct Function<'a, const D: usize> {
    pub(super) name: String,
    pub(super) function: Box<dyn Fn(Tensor<D>) -> Tensor<D> + 'a>,
}

impl<const D: usize> Function<'_, D> {
    /// Its values of `draws`, `[chains, ...]`.
    pub(super) fn of(&self, draws: &Tensor<D>) -> Result<Tensor<D>, ChainError> {
        let values = (self.function)(draws.clone());
        let shape = values.dims();
        if shape[0] == draws.dims()[0] && !shape.contains(&0) {
            return Ok(values);
        }
        Err(ChainError::FunctionShape {
            name: self.name.clone(),
            found: shape.to_vec(),
            chains: draws.dims()[0],
        })
    }
}
