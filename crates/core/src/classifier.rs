//! Classifiers of noisy images.

use burn::tensor::Tensor;

/// `log p(c | x_0 + sigma n = x)`: what a classifier that knows about noise says of the class of the image behind it.
///
/// Its gradient with respect to `x` turns a denoiser of all classes into one of a class: see `ClassLikelihood` of
/// `tweedie-fidelity`.
pub trait NoisyClassifier<const D: usize = 4> {
    /// How many classes there are.
    fn classes(&self) -> usize;

    /// The logarithms of the probabilities, `[batch, classes]`. `noisy` is as for [`Denoiser`](crate::Denoiser): for images
    /// `[batch, channels, height, width]` in pixels of [0, 1], with `sigma > 0` in the same units. A row's result depends on that
    /// row alone, and can be differentiated with respect to it.
    fn log_probabilities(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<2>;
}

impl<const D: usize, T: NoisyClassifier<D> + ?Sized> NoisyClassifier<D> for &T {
    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn log_probabilities(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<2> {
        (**self).log_probabilities(noisy, sigma)
    }
}
