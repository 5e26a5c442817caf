//! Noise of a measurement: its law, the score of its law, and transforms that make its variance 1.

mod anscombe;
mod gamma;
mod gaussian;
mod host;
mod laplace;
mod log_poisson;
mod poisson;
mod poisson_gaussian;
mod salt_pepper;
mod uniform;

use burn::tensor::Tensor;
use tweedie_core::Rng;

use crate::PhysicsError;

pub use gamma::GammaNoise;
pub use gaussian::{GaussianNoise, PerSampleGaussianNoise};
pub use laplace::LaplaceNoise;
pub use log_poisson::LogPoissonNoise;
pub use poisson::PoissonNoise;
pub use poisson_gaussian::PoissonGaussianNoise;
pub use salt_pepper::SaltPepperNoise;
pub use uniform::UniformNoise;

/// The law of a measurement given the clean measurement, `p(y | A x)`.
///
/// `p` is a density where the law has one, and a probability where it has not (counts, salt and pepper).
pub trait NoiseModel<const Y: usize = 4> {
    /// A noisy measurement of the shape of `clean`; row `i` draws from row `i` of `rng`.
    ///
    /// # Panics
    /// If [`check`](Self::check) refuses `clean`, or if `rng` makes tensors of another float type or device than
    /// `clean`.
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y>;

    /// `log p(y | clean)` of each sample with all constants, `[batch]`. Either argument may have one row for all
    /// samples.
    ///
    /// Differentiable in `clean`. Where [`check`](Self::check) refuses `clean` there is no law, and the result is
    /// undefined.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1>;

    /// Whether the law exists at `clean`; to be asked where clean measurements come from outside, such as an image
    /// file.
    ///
    /// Reads `clean` back from its device where its values matter.
    ///
    /// # Errors
    /// If a value or the shape of `clean` makes no sense for this noise: a negative rate of photons, for instance.
    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        let _ = clean;
        Ok(())
    }
}

/// A noise model whose density is differentiable in the clean measurement.
pub trait LikelihoodScore<const Y: usize = 4>: NoiseModel<Y> {
    /// `d/d clean log p(y | clean)`. Either argument may have one row for all samples.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y>;
}

/// A noise model with a transform after which the noise is nearly Gaussian of variance 1, whatever the clean
/// measurement.
///
/// A denoiser for Gaussian noise of level 1 (or of level `c`, once the transformed data are multiplied by `c`) then
/// removes it.
pub trait VarianceStabiliser<const Y: usize = 4>: NoiseModel<Y> {
    /// The measurement on the scale on which its variance is 1.
    fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y>;

    /// The clean measurement for which the stabilised one has mean `mean`: [`stabilise`](Self::stabilise) undone
    /// without the bias that its plain inverse has, `E f(y) = mean`.
    fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y>;
}

macro_rules! forward_noise {
    ($($pointer:ty),*) => {$(
        impl<const Y: usize, T: NoiseModel<Y> + ?Sized> NoiseModel<Y> for $pointer {
            fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
                (**self).corrupt(clean, rng)
            }
            fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
                (**self).log_likelihood(y, clean)
            }
            fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
                (**self).check(clean)
            }
        }
        impl<const Y: usize, T: LikelihoodScore<Y> + ?Sized> LikelihoodScore<Y> for $pointer {
            fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
                (**self).score(y, clean)
            }
        }
        impl<const Y: usize, T: VarianceStabiliser<Y> + ?Sized> VarianceStabiliser<Y> for $pointer {
            fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y> {
                (**self).stabilise(y)
            }
            fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y> {
                (**self).clean_from_mean(mean)
            }
        }
    )*};
}
forward_noise!(&T, Box<T>);

/// Both with the larger batch of the two.
fn matched<const Y: usize>(y: Tensor<Y>, clean: Tensor<Y>) -> (Tensor<Y>, Tensor<Y>) {
    let mut shape = y.dims();
    shape[0] = shape[0].max(clean.dims()[0]);
    (y.expand(shape), clean.expand(shape))
}

/// The sum over each sample, `[batch]`.
fn sum_entries<const Y: usize>(x: Tensor<Y>) -> Tensor<1> {
    let batch = x.dims()[0];
    let within_sample: Vec<usize> = (1..Y).collect();
    x.sum_dims(&within_sample).reshape([batch])
}

/// The number of entries of one sample.
fn entries<const Y: usize>(x: &Tensor<Y>) -> f64 {
    x.dims()[1..].iter().product::<usize>() as f64
}
