//! The three distances against numbers computed by hand.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Conditioning, Given, Karras, NoiseLabel, Parametrisation, Rng};
use tweedie_testkit::{device, values};
use tweedie_training::{Denoising, Distance, Level, Objective, Prediction, Weighting};

/// Answers the same number everywhere.
struct Constant(f64);

impl Backbone for Constant {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        x.full_like(self.0)
    }
}

/// The loss of two rows with residuals -0.75, 0.5 and 2.25, -3: the target of a denoiser is the clean image.
fn loss(distance: Distance) -> Vec<f64> {
    weighted(Weighting::Output, distance)
}

fn weighted(weighting: Weighting, distance: Distance) -> Vec<f64> {
    let schedule = Arc::new(Karras::new(1.0).unwrap());
    let label = NoiseLabel::Time { scale: 1.0 };
    let objective = Denoising {
        prediction: Prediction::new(schedule, label, Parametrisation::Denoised),
        weighting,
        distance,
    };
    let clean = Tensor::<1>::from_floats([1.0, -0.25, -2.0, 3.25], &device()).reshape([2, 1, 1, 2]);
    let level = Level {
        time: 0.5,
        sigma: 0.5,
        weight: 1.0,
    };
    values(&objective.losses(
        &Constant(0.25),
        clean,
        Given::nothing(),
        &[level; 2],
        &mut Rng::seeded(0, &device()),
    ))
}

/// All residuals, and what is made of them, are exact in binary.
#[test]
fn l2_is_the_mean_square() {
    assert_eq!(
        loss(Distance::L2),
        [(0.5625 + 0.25) / 2.0, (5.0625 + 9.0) / 2.0]
    );
}

#[test]
fn l1_is_the_mean_size() {
    assert_eq!(loss(Distance::L1), [(0.75 + 0.5) / 2.0, (2.25 + 3.0) / 2.0]);
}

#[test]
fn huber_is_quadratic_up_to_one_and_linear_beyond() {
    assert_eq!(
        loss(Distance::Huber),
        [(0.28125 + 0.125) / 2.0, (1.75 + 2.5) / 2.0]
    );
}

/// The squared error of `x_0` is weighted with 4, its SNR: all distances are of twice the residuals.
#[test]
fn a_weighting_is_within_the_distance() {
    let found = |distance| weighted(Weighting::Simple, distance);
    assert_eq!(
        found(Distance::L2),
        [4.0 * (0.5625 + 0.25) / 2.0, 4.0 * (5.0625 + 9.0) / 2.0]
    );
    assert_eq!(found(Distance::L1), [(1.5 + 1.0) / 2.0, (4.5 + 6.0) / 2.0]);
    assert_eq!(
        found(Distance::Huber),
        [(1.0 + 0.5) / 2.0, (4.0 + 5.5) / 2.0]
    );
}
