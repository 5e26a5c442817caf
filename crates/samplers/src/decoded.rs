//! Draws of latents, decoded: what is asked for and what is drawn are images.
//!
//! A posterior given a measurement of the image is one of the latents given `A(dec(z))`: a
//! [`Product`](tweedie_physics::Product) of the operator and a [`ForwardClosure`](tweedie_physics::ForwardClosure) of the decoder.

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_solvers::Step;

use crate::{PosteriorSampler, SampleError};

/// A sampler of latents as one of images.
///
/// The statistics of [`draw`](crate::draw) are then those of images. An observer still sees the states of the latents.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::{AverageDownsampling, ForwardClosure, ForwardOperator, Product};
/// use tweedie_samplers::{Decoded, DpsConfig, DpsSampler, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// // A stand-in for a network: two latents of half the size to one image.
/// let decode = |z: Tensor<4>| z.sum_dim(1).repeat_dim(2, 2).repeat_dim(3, 2);
/// let decoder = ForwardClosure::new([2, 4, 4], [1, 8, 8], decode);
/// let operator = Product::new(AverageDownsampling::new(4)?, decoder);
/// let y = operator.forward(Tensor::ones([1, 2, 4, 4], &device));
///
/// let prior = GaussianPrior::new(Tensor::zeros([1, 2, 4, 4], &device), 1.0);
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let latents = DpsSampler::new(schedule, prior, operator, y, grid, DpsConfig::default())?;
/// let sampler = Decoded::new(latents, [2, 4, 4], decode);
/// let images = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(images.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decoded<P, F> {
    sampler: P,
    latent: [usize; 3],
    decode: F,
}

impl<P, F: Fn(Tensor<4>) -> Tensor<4>> Decoded<P, F> {
    /// `sampler` draws latents of `latent`, `[channels, height, width]`, of which `decode` makes images.
    pub fn new(sampler: P, latent: [usize; 3], decode: F) -> Self {
        Self {
            sampler,
            latent,
            decode,
        }
    }
}

impl<P: PosteriorSampler, F: Fn(Tensor<4>) -> Tensor<4>> PosteriorSampler for Decoded<P, F> {
    /// # Panics
    /// If `shape` is not that of the images that are decoded.
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        let [channels, height, width] = self.latent;
        let latents = [shape[0], channels, height, width];
        let images = (self.decode)(self.sampler.sample(latents, rng, observe)?);
        assert_eq!(images.dims(), shape, "shape of the decoded images");
        Ok(images)
    }
}
