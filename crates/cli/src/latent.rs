//! Models of latents: what is drawn is decoded, and what is measured of the image is measured through the decoder.

use std::rc::Rc;

use tweedie::{
    burn::tensor::Tensor,
    models::{ModelError, PretrainedAutoencoder},
    physics::{AnyOperator, ForwardClosure, ForwardOperator, PhysicsError, Product},
    samplers::{Decoded, PosteriorSampler},
};

/// How a measurement of latents is called.
pub(crate) const OPERATOR: &str = "a measurement through a decoder";

/// An autoencoder for images of one shape.
#[derive(Clone)]
pub(crate) struct Decoder {
    autoencoder: PretrainedAutoencoder,
    latent: [usize; 3],
    image: [usize; 3],
}

impl Decoder {
    /// Of images of `[channels, height, width]`.
    pub(crate) fn new(
        autoencoder: &PretrainedAutoencoder,
        image: [usize; 3],
    ) -> Result<Self, ModelError> {
        let [channels, height, width] = image;
        let architecture = &autoencoder.model().architecture;
        if channels != architecture.channels {
            return Err(ModelError::Channels {
                expected: architecture.channels,
                found: channels,
            });
        }
        Ok(Self {
            latent: architecture.latent_shape([height, width])?,
            autoencoder: autoencoder.clone(),
            image,
        })
    }

    /// `[channels, height, width]` of the latents.
    pub(crate) fn latent(&self) -> [usize; 3] {
        self.latent
    }

    /// The images of latents.
    pub(crate) fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.autoencoder.decode(latents)
    }

    /// A sampler of latents as one of images.
    pub(crate) fn decoded<'a>(
        &'a self,
        sampler: Box<dyn PosteriorSampler + 'a>,
    ) -> Box<dyn PosteriorSampler + 'a> {
        let decode = |latents| self.decode(latents);
        Box::new(Decoded::new(sampler, self.latent, decode))
    }

    /// What `operator` measures of an image, as a measurement of its latents.
    pub(crate) fn measured(&self, operator: Rc<AnyOperator>) -> AnyOperator {
        let own = self.clone();
        let decode = move |latents| own.decode(latents);
        let decode = ForwardClosure::new(self.latent, self.image, decode);
        AnyOperator::Nonlinear(Box::new(Product::new(Shared(operator), decode)))
    }
}

/// An operator that others use too.
struct Shared(Rc<AnyOperator>);

impl ForwardOperator for Shared {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        self.0.forward().measurement_shape(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.0.forward().forward(x)
    }

    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.0.forward().vjp(x, v)
    }
}
