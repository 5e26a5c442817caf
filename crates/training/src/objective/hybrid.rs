//! Learned variances: `L_hybrid = L_simple + lambda L_vlb`, `lambda = 0.001`, for a network that predicts `v` beside its output, with
//! which step `k` has the variance `exp(v ln beta_k + (1 - v) ln beta_tilde_k)`.
//!
//! Nichol & Dhariwal 2021, eqs. (15)-(16), <https://arxiv.org/abs/2102.09672>. `L_simple` is the squared error of the network's own
//! output. `L_vlb` is the variational bound in bits per dimension less its constant prior term, estimated at the step of each row
//! (`T` times the row's term); its gradient does not reach the mean, so it trains the variance alone. The discretised normal law of step
//! 1 has a smooth distribution function here, off by 2e-4. One evaluation.

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Conditioning, Given, Rng};

use super::{Objective, Prediction, distance::rows, noisy::Noisy, prediction::column};
use crate::{Level, TrainingError, chain::Chain, decoder::Bins};

/// The weight of the bound.
const LAMBDA: f64 = 0.001;

/// `L_simple` and the variational bound for the variances.
#[derive(Clone)]
pub struct Hybrid {
    prediction: Prediction,
    chain: Chain,
    bins: Bins,
}

impl Hybrid {
    /// Of a network of images in [-1, 1].
    ///
    /// # Errors
    /// [`TrainingError::NoSteps`] or [`NotPreserving`](TrainingError::NotPreserving) where there is no table of steps.
    pub fn new(prediction: Prediction) -> Result<Self, TrainingError> {
        Ok(Self {
            chain: Chain::of(&prediction)?,
            prediction,
            bins: Bins::new((-1.0, 1.0)),
        })
    }
}

impl<const D: usize> Objective<D> for Hybrid {
    /// # Panics
    /// If the network has no variance.
    fn losses(
        &self,
        network: &dyn Backbone<D>,
        clean: Tensor<D>,
        given: Given<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let device = clean.device();
        let noisy = Noisy::draw(&self.prediction, clean.clone(), levels, rng);
        let noise = noisy.labels;
        let (output, variance) =
            network.forward_with_variance(noisy.input, Conditioning { noise, given });
        let variance = variance.expect("the hybrid objective is for networks with a variance");
        let residual = output - noisy.target;
        let simple = rows(residual.clone().square());

        let times = self.prediction.times();
        let steps: Vec<usize> = levels.iter().map(|l| times.cell(l.time) + 1).collect();
        let each = |of: &dyn Fn(usize, f64) -> f64| {
            let pairs = steps.iter().zip(&noisy.coefficients);
            column::<D>(pairs.map(|(step, c)| of(*step, c.out)).collect(), &device)
        };
        // ln(variance/beta_tilde).
        let excess =
            variance.add_scalar(1.0).mul_scalar(0.5) * each(&|step, _| self.chain.log_ratio(step));
        let residual = residual.detach();
        let shift = residual.clone() * each(&|step, out| self.chain.precision(step).sqrt() * out);
        let mut bound = divergence(excess.clone(), shift.square());
        if steps.contains(&1) {
            let error = residual * each(&|_, out| -out);
            let log_variance = excess.add_scalar(self.chain.first_log_variance());
            let decoded = -self.bins.smooth_log_mass(clean, error, log_variance);
            bound = bound * each(&|step, _| f64::from(step > 1))
                + decoded * each(&|step, _| f64::from(step == 1));
        }
        let weight = LAMBDA * self.chain.steps() as f64 / LN_2;
        simple + rows(bound).mul_scalar(weight)
    }
}

/// `KL(N(m, v) || N(m', v'))` in nats for each pixel, by `excess = ln(v'/v)` and `shift = (m - m')^2/v`.
pub(crate) fn divergence<const D: usize>(excess: Tensor<D>, shift: Tensor<D>) -> Tensor<D> {
    let shrunk = (-excess.clone()).exp() * shift.add_scalar(1.0);
    (excess + shrunk).sub_scalar(1.0).mul_scalar(0.5)
}
