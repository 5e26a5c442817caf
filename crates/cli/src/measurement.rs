//! What a network that learns `p(x | y)` sees beside its input: the measurement of an image.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    physics::{
        AnyOperator, ConjugateGradient, ForwardOperator, GaussianNoise, NoiseModel, OperatorConfig,
        PhysicsError,
    },
    training::Measure,
};

use crate::problem::Problem;

/// `y = A x + s n`; where `A` changes the size of an image, `A^+ y`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeasurementConfig {
    operator: OperatorConfig,
    /// Standard deviation `s` of the noise, in units of pixels in [0, 1].
    noise_std: f64,
    /// Seed of what of the operator is random.
    #[serde(default)]
    seed: u64,
}

/// A network does not know such measurements.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownMeasurement {
    #[error(
        "the network was trained on measurements of noise {expected}, found noise {found}: use --noise-std {expected}"
    )]
    Noise { expected: f64, found: f64 },
    #[error(
        "the network was trained on other measurements: {expected}, with seed {seed}; --seed chooses what of an operator is random, and \
         --mask FILE gives missing pixels whatever the seed"
    )]
    Operator { expected: String, seed: u64 },
}

impl MeasurementConfig {
    /// Measures images of a shape: channels, height, width; each batch anew.
    pub(crate) fn build(
        self,
        [channels, height, width]: [usize; 3],
        device: &Device,
    ) -> Result<Measure, PhysicsError> {
        let shape = [1, channels, height, width];
        let noise = GaussianNoise::new(self.noise_std)?;
        self.operator.build(shape, device, self.seed)?;
        // An operator can belong to one thread only, and the images may lie on any device of the run, so each batch has its own.
        Ok(Arc::new(move |images: Tensor<4>, rng: &mut Rng| {
            let operator = self.operator.build(shape, &images.device(), self.seed);
            let operator = operator.expect("the same was built before");
            let image = images.dims();
            let y = noise.corrupt(operator.forward().forward(images), rng);
            seen(&operator, blanked(&operator, y), image)
        }))
    }

    /// Refuses a problem that does something else to images, or with another noise.
    pub(crate) fn check(self, problem: &Problem, noise_std: f64) -> Result<(), UnknownMeasurement> {
        if self.noise_std != noise_std {
            return Err(UnknownMeasurement::Noise {
                expected: self.noise_std,
                found: noise_std,
            });
        }
        // What two operators do to an image without any structure tells them apart, however they were described.
        let device = problem.measurement.device();
        let probe: Tensor<4> = Rng::seeded(0, &device).normal(problem.image_shape);
        let measured = |operator: &AnyOperator| operator.forward().forward(probe.clone());
        let own = self.operator.build(problem.image_shape, &device, self.seed);
        let found = measured(&problem.operator);
        let same = own.is_ok_and(|own| {
            let expected = measured(&own);
            expected.dims() == found.dims() && expected.equal(found).all().into_scalar::<bool>()
        });
        if same {
            return Ok(());
        }
        Err(UnknownMeasurement::Operator {
            expected: serde_json::to_string(&self.operator).unwrap_or_default(),
            seed: self.seed,
        })
    }
}

/// A measurement that is zero where nothing is seen: there is no noise either.
pub(crate) fn blanked(operator: &AnyOperator, y: Tensor<4>) -> Tensor<4> {
    match operator.inpainting() {
        Some(mask) => mask.forward(y),
        None => y,
    }
}

/// The measurement `y` of an image as an image of its shape, such as a network can see.
pub(crate) fn seen(operator: &AnyOperator, y: Tensor<4>, image: [usize; 4]) -> Tensor<4> {
    match operator.linear() {
        Some(operator) if y.dims()[1..] != image[1..] => {
            operator.pseudo_inverse(y, ConjugateGradient::default())
        }
        _ => y,
    }
}
