//! Noise of its own for each step: that of a path in time would come back wherever a step is made again.

use burn::tensor::Tensor;
use tweedie_core::Noise;

/// The same numbers, none of which belong to a step of time.
pub(crate) struct Fresh<'a, const D: usize>(pub(crate) &'a mut dyn Noise<D>);

impl<const D: usize> Noise<D> for Fresh<'_, D> {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.0.normal(shape)
    }
}
