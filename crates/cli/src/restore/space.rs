//! Where samples are drawn: among images, or among the latents that images are decoded from.

use std::rc::Rc;

use tweedie::{physics::AnyOperator, samplers::PosteriorSampler};

use crate::{
    failure::Outcome,
    latent::{self, Decoder},
    model::Model,
    problem::{self, Problem},
};

/// What the sampler draws, and what is measured of it.
pub(super) struct Space {
    pub(super) operator: Rc<AnyOperator>,
    pub(super) operator_name: &'static str,
    /// `[1, channels, height, width]`.
    pub(super) shape: [usize; 4],
    decoder: Option<Decoder>,
}

impl Space {
    pub(super) fn of(
        model: &Model,
        problem: &Problem,
        posed: &problem::Arguments,
    ) -> Outcome<Self> {
        let [_, channels, height, width] = problem.image_shape;
        let operator = problem.operator.clone();
        let Some(decoder) = model.decoder([channels, height, width])? else {
            return Ok(Self {
                operator,
                operator_name: posed.described().0,
                shape: problem.image_shape,
                decoder: None,
            });
        };
        let [channels, height, width] = decoder.latent();
        Ok(Self {
            operator: Rc::new(decoder.measured(operator)),
            operator_name: latent::OPERATOR,
            shape: [1, channels, height, width],
            decoder: Some(decoder),
        })
    }

    /// Draws of `sampler` as images.
    pub(super) fn decoded<'a>(
        &'a self,
        sampler: Box<dyn PosteriorSampler + 'a>,
    ) -> Box<dyn PosteriorSampler + 'a> {
        match &self.decoder {
            Some(decoder) => decoder.decoded(sampler),
            None => sampler,
        }
    }
}
