//! A guided draw on the device under test: single precision against double.

use burn::tensor::{DType, Tensor};
use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
use tweedie_fidelity::{Isotropic, Pigdm, Posterior};
use tweedie_physics::Inpainting;
use tweedie_samplers::{DiffusionSampler, DrawConfig, draw};
use tweedie_sde::Reverse;
use tweedie_solvers::Ddpm;
use tweedie_testkit::{device, values};

fn run(dtype: DType) -> Vec<f64> {
    let constant = |value: f64, shape: [usize; 4]| Tensor::full(shape, value, (&device(), dtype));
    let operator = Inpainting::random([2, 4], 0.5, 3, (&device(), dtype)).unwrap();
    let guidance = Pigdm::new(
        operator,
        constant(0.8, [1, 1, 2, 4]),
        0.1,
        Isotropic::default(),
    )
    .unwrap();
    let prior = GaussianPrior::new(constant(0.4, [1, 1, 1, 1]), 0.1);
    let sampler = DiffusionSampler::new(
        Reverse::sde(
            VariancePreserving::new(0.1, 20.0).unwrap(),
            Posterior { prior, guidance },
        ),
        Ddpm,
        TimeGrid::uniform(1.0, 0.0, 10).unwrap(),
    );
    let rng = Rng::seeded(5, &device()).with_dtype(dtype);
    let config = DrawConfig::new(3, 2);
    values(
        &draw(&sampler, [1, 2, 4], config, &rng, |_| ())
            .unwrap()
            .mean,
    )
}

#[test]
fn guided_draws_in_single_precision_follow_double() {
    for (single, double) in run(DType::F32).iter().zip(run(DType::F64)) {
        // Ten steps of some twenty operations; the first divides by a scale of 0.007.
        let allowed = 200.0 * f64::from(f32::EPSILON) / 0.007;
        assert!((single - double).abs() < allowed, "{single} and {double}");
    }
}
