//! What draws a batch of samples.

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_solvers::Step;

use crate::SampleError;

/// Draws a batch of images; row `i` is a function of row `i` of the random numbers alone.
pub trait PosteriorSampler<const D: usize = 4> {
    /// `shape[0]` samples of `shape[1..]`, on the device of `rng`. `observe` is called after each step.
    ///
    /// # Errors
    /// When the run has no finite result.
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError>;
}

impl<const D: usize, T: PosteriorSampler<D> + ?Sized> PosteriorSampler<D> for Box<T> {
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        (**self).sample(shape, rng, observe)
    }
}
