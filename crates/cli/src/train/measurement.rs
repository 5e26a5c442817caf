//! What a network that learns `p(x | y)` sees of each image: a measurement, made anew each time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    physics::{
        AnyOperator, ConjugateGradient, GaussianNoise, NoiseModel, OperatorConfig, PhysicsError,
    },
    training::Measure,
};

/// `y = A x + s n`; where `A` changes the size of an image, `A^+ y`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasurementConfig {
    operator: OperatorConfig,
    /// Standard deviation `s` of the noise, in units of pixels in [0, 1].
    noise_std: f64,
    /// Seed of what of the operator is random.
    #[serde(default)]
    seed: u64,
}

impl MeasurementConfig {
    /// Measures images of a shape: channels, height, width.
    pub(super) fn build(
        self,
        [channels, height, width]: [usize; 3],
        device: &Device,
    ) -> Result<Measure, PhysicsError> {
        let shape = [1, channels, height, width];
        let noise = GaussianNoise::new(self.noise_std)?;
        let build = move |device: &Device| self.operator.build(shape, device, self.seed);
        let resizes = build(device)?.forward().measurement_shape(shape)? != shape;
        // An operator can belong to one thread only, and the images may lie on any device of the run, so each batch has its own.
        Ok(Arc::new(move |images: Tensor<4>, rng: &mut Rng| {
            let operator = build(&images.device()).expect("the same was built before");
            let measurement = noise.corrupt(operator.forward().forward(images), rng);
            seen(&operator, measurement, resizes)
        }))
    }
}

fn seen(operator: &AnyOperator, measurement: Tensor<4>, resizes: bool) -> Tensor<4> {
    match operator.linear() {
        Some(operator) if resizes => {
            operator.pseudo_inverse(measurement, ConjugateGradient::default())
        }
        _ => measurement,
    }
}
