//! Reverse-time process: `dx = (f x - (1 + alpha)/2 g^2 score) dt + sqrt(alpha) g dw`.
//!
//! `alpha = 1` is Anderson's reverse equation as used by Song et al. 2021, eq. (6), and `alpha = 0` the probability-flow
//! ordinary differential equation, eq. (13), <https://arxiv.org/abs/2011.13456>. Every `alpha` in between has the same
//! marginals: the added noise and the extra drift cancel (Karras et al. 2022, eq. (6), <https://arxiv.org/abs/2206.00364>).

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Schedule, Score};

use crate::{Diffusion, Sde};

/// A schedule and a prior denoiser, run backwards.
#[derive(Clone, Debug)]
pub struct Reverse<S, P> {
    schedule: S,
    prior: P,
    alpha: f64,
}

impl<S: Schedule, P> Reverse<S, P> {
    /// `alpha` is the stochasticity, from 0 (ordinary differential equation) to 1 (as noisy as the forward process).
    ///
    /// # Panics
    /// Unless `alpha` lies in [0, 1].
    pub fn new(schedule: S, prior: P, alpha: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&alpha),
            "stochasticity must lie in [0, 1], got {alpha}"
        );
        Self {
            schedule,
            prior,
            alpha,
        }
    }

    /// The denoiser that drives the process.
    pub fn prior(&self) -> &P {
        &self.prior
    }
}

impl<const D: usize, S: Schedule, P: Denoiser<D>> Diffusion<D> for Reverse<S, P> {
    fn schedule(&self) -> &dyn Schedule {
        &self.schedule
    }

    fn denoised(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        let unscaled = x.div_scalar(self.schedule.scale(t));
        self.prior.denoise(unscaled, self.schedule.sigma(t))
    }
}

impl<const D: usize, S: Schedule, P: Denoiser<D>> Sde<D> for Reverse<S, P> {
    fn drift(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        // The score of p_t at x is that of the smoothed prior at x/s, divided by s.
        let s = self.schedule.scale(t);
        let weight = 0.5 * (1.0 + self.alpha) * self.schedule.diffusion_sq(t) / s;
        let score = self
            .prior
            .score(x.clone().div_scalar(s), self.schedule.sigma(t));
        x.mul_scalar(self.schedule.drift_rate(t)) - score.mul_scalar(weight)
    }

    fn diffusion(&self, t: f64) -> f64 {
        (self.alpha * self.schedule.diffusion_sq(t)).sqrt()
    }

    fn is_defined_at(&self, t: f64) -> bool {
        self.schedule.sigma(t) > 0.0
    }
}
