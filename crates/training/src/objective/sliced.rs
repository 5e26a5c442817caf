//! Sliced score matching at noise levels:
//! `L = sigma^2/d E[ v^T (ds/du) v + (v^T s)^2/2 ]`, `s(u) = (D(u; sigma) - u)/sigma^2`, `u = x_0 + sigma n`, random `v`.
//!
//! Song, Garg, Shi & Ermon 2019, eq. (7), <https://arxiv.org/abs/1905.07088>, and, with `|s|^2/2` in place of `(v^T s)^2/2`, its
//! variance-reduced form, eq. (8) there. Each noise level is matched to the law of its noisy data, weighted by `sigma^2` (Song & Ermon
//! 2019, section 3.2 and eq. (6), <https://arxiv.org/abs/1907.05600>, who do so by denoising); no target is needed. The mean over all
//! is `sigma^2/(2 d) E|s - grad ln p_sigma|^2` less a constant, so it is negative where the score is good: at best
//! `-sigma^2/(2 d) E|grad ln p_sigma|^2`.
//!
//! `v^T (ds/du) v` is a central difference (Pang et al. 2020, section 4, <https://arxiv.org/abs/2007.03317>), since burn differentiates
//! once: for a network that is affine in its input the loss is exact but for rounding, else it has an error of `O(h^2)` with steps of
//! `h = 1/64` noise levels in each dimension. Two evaluations of the network for each projection.

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Given, Rng};

use super::{Objective, Prediction, distance::rows, jacobian::NoisyScore};
use crate::Level;

/// Sliced score matching.
#[derive(Clone)]
pub struct Sliced {
    /// What the network predicts.
    pub prediction: Prediction,
    /// How many directions `v` are drawn for each row: entries -1 or 1 (Rademacher), the law of least variance. At least 1.
    pub projections: usize,
    /// Whether `|s|^2` is taken in place of `(v^T s)^2`, which is its mean.
    pub variance_reduction: bool,
}

impl<const D: usize> Objective<D> for Sliced {
    fn losses(
        &self,
        network: &dyn Backbone<D>,
        clean: Tensor<D>,
        given: Given<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let told = (network, given);
        let noisy = NoisyScore::draw(&self.prediction, told, clean, levels, rng);
        let dimensions: usize = noisy.dims()[1..].iter().product();
        let losses = (0..self.projections).map(|_| {
            let v = signs(noisy.dims(), rng);
            let along = noisy.along(v.clone());
            let squares = if self.variance_reduction {
                rows(along.score.square())
            } else {
                let projected = rows(v.clone() * along.score);
                projected.square().mul_scalar(dimensions as f64)
            };
            rows(v * along.slope) + squares.mul_scalar(0.5)
        });
        let sum = losses.reduce(|sum, loss| sum + loss);
        sum.expect("there is at least one projection")
            .div_scalar(self.projections as f64)
    }
}

/// -1 or 1.
fn signs<const D: usize>(shape: [usize; D], rng: &mut Rng) -> Tensor<D> {
    let uniform: Tensor<D> = rng.uniform(shape);
    let upper = uniform.clone().greater_equal_elem(0.5);
    uniform.ones_like().mask_fill(upper, -1.0)
}
