//! The three losses against numbers computed by hand.

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Conditioning};
use tweedie_testkit::device;
use tweedie_training::{DenoisingObjective, Loss, NoisyBatch};

use crate::support::{model, small};

/// Answers the same number everywhere.
struct Constant(f64);

impl Backbone for Constant {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        x.full_like(self.0)
    }
}

/// The residuals are -0.75, 0.5, 2.25 and -3.
fn loss(loss: Loss) -> f64 {
    let objective = DenoisingObjective::new(&model(small()), loss).unwrap();
    let target =
        Tensor::<1>::from_floats([1.0, -0.25, -2.0, 3.25], &device()).reshape([2, 1, 1, 2]);
    let input = Tensor::zeros([2, 1, 1, 2], &device());
    let batch = NoisyBatch {
        conditioning: Conditioning::uniform(0.0, &input),
        input,
        target,
    };
    objective.loss(&Constant(0.25), batch).into_scalar::<f64>()
}

/// All residuals, and what is made of them, are exact in binary.
#[test]
fn l2_is_the_mean_square() {
    assert_eq!(loss(Loss::L2), (0.5625 + 0.25 + 5.0625 + 9.0) / 4.0);
}

#[test]
fn l1_is_the_mean_size() {
    assert_eq!(loss(Loss::L1), (0.75 + 0.5 + 2.25 + 3.0) / 4.0);
}

#[test]
fn huber_is_quadratic_up_to_one_and_linear_beyond() {
    assert_eq!(loss(Loss::Huber), (0.28125 + 0.125 + 1.75 + 2.5) / 4.0);
}
