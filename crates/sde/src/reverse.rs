//! Reverse-time process: `dx = (f x - (1 + alpha)/2 g^2 score) dt + sqrt(alpha) g dw`.
//!
//! `alpha = 1` is Anderson's reverse equation as used by Song et al. 2021, eq. (6), and `alpha = 0` the probability-flow
//! ordinary differential equation, eq. (13), <https://arxiv.org/abs/2011.13456>. Every `alpha` in between, constant or a
//! function of time, has the same marginals: the added noise and the extra drift cancel (Karras et al. 2022, eq. (6),
//! <https://arxiv.org/abs/2206.00364>).

use std::{fmt, sync::Arc};

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Schedule, combine};

use crate::{Diffusion, Process, ProcessError, Sde};

#[derive(Clone)]
enum Stochasticity {
    Constant(f64),
    Varying(Arc<dyn Fn(f64) -> f64 + Send + Sync>),
}

impl fmt::Debug for Stochasticity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(alpha) => alpha.fmt(f),
            Self::Varying(_) => f.write_str("a function of time"),
        }
    }
}

/// At how many equal intervals of the horizon a varying stochasticity is looked at before a run.
const CHECKS: u32 = 1000;

/// A schedule and a prior denoiser, run backwards.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, VariancePreserving};
/// use tweedie_sde::{Reverse, Sde};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 4, 4], &Device::flex()), 1.0);
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// // Noise in the first half of the run, where it corrects errors, and none in the second.
/// let process = Reverse::varying(schedule, prior, |t| if t > 0.5 { 1.0 } else { 0.0 })?;
/// assert_eq!(Sde::<4>::diffusion(&process, 0.3), 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reverse<S, P> {
    schedule: S,
    prior: P,
    alpha: Stochasticity,
}

impl<S: Schedule, P> Reverse<S, P> {
    /// `alpha` is the stochasticity, from 0 ([`flow`](Self::flow)) to 1 ([`sde`](Self::sde)).
    ///
    /// # Errors
    /// Unless `alpha` lies in [0, 1].
    pub fn new(schedule: S, prior: P, alpha: f64) -> Result<Self, ProcessError> {
        in_range(alpha, schedule.horizon())?;
        Ok(Self {
            schedule,
            prior,
            alpha: Stochasticity::Constant(alpha),
        })
    }

    /// The probability-flow ordinary differential equation, `alpha = 0`.
    pub fn flow(schedule: S, prior: P) -> Self {
        Self {
            schedule,
            prior,
            alpha: Stochasticity::Constant(0.0),
        }
    }

    /// The reverse stochastic equation, as noisy as the forward process: `alpha = 1`.
    pub fn sde(schedule: S, prior: P) -> Self {
        Self {
            schedule,
            prior,
            alpha: Stochasticity::Constant(1.0),
        }
    }

    /// Stochasticity `alpha(t)`.
    ///
    /// # Errors
    /// If it leaves [0, 1] at one of 1001 times spread evenly from 0 to the horizon.
    pub fn varying(
        schedule: S,
        prior: P,
        alpha: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Result<Self, ProcessError> {
        let horizon = schedule.horizon();
        for k in 0..=CHECKS {
            let t = horizon * f64::from(k) / f64::from(CHECKS);
            in_range(alpha(t), t)?;
        }
        Ok(Self {
            schedule,
            prior,
            alpha: Stochasticity::Varying(Arc::new(alpha)),
        })
    }

    /// The denoiser that drives the process.
    pub fn prior(&self) -> &P {
        &self.prior
    }

    /// The stochasticity at `t`.
    pub fn alpha(&self, t: f64) -> f64 {
        match &self.alpha {
            Stochasticity::Constant(alpha) => *alpha,
            Stochasticity::Varying(alpha) => alpha(t),
        }
    }

    /// `x/s`, which is clean data and noise of level sigma.
    fn unscaled<const D: usize>(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        combine([(self.schedule.scale(t).recip(), x)])
    }

    /// The drift as `a x + b D`: the score of `p_t` is `(s D - x) / (s sigma)^2`.
    fn weights(&self, t: f64) -> (f64, f64) {
        let s = self.schedule.scale(t);
        let sigma = self.schedule.sigma(t);
        let pull =
            0.5 * (1.0 + self.alpha(t)) * self.schedule.diffusion_sq(t) / (s * sigma).powi(2);
        (self.schedule.drift_rate(t) + pull, -pull * s)
    }
}

fn in_range(alpha: f64, time: f64) -> Result<(), ProcessError> {
    if (0.0..=1.0).contains(&alpha) {
        return Ok(());
    }
    Err(ProcessError::Stochasticity { found: alpha, time })
}

impl<S: Schedule, P> Process for Reverse<S, P> {
    fn horizon(&self) -> f64 {
        self.schedule.horizon()
    }

    fn is_defined_at(&self, t: f64) -> bool {
        self.schedule.sigma(t) > 0.0
    }
}

impl<const D: usize, S: Schedule, P: Denoiser<D>> Diffusion<D> for Reverse<S, P> {
    fn schedule(&self) -> &dyn Schedule {
        &self.schedule
    }

    fn denoised(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.prior
            .denoise(self.unscaled(x, t), self.schedule.sigma(t))
    }

    fn denoised_with_variance(&self, x: Tensor<D>, t: f64) -> (Tensor<D>, Option<Tensor<D>>) {
        let (unscaled, sigma) = (self.unscaled(x, t), self.schedule.sigma(t));
        self.prior.denoise_with_variance(unscaled, sigma)
    }
}

impl<const D: usize, S: Schedule, P: Denoiser<D>> Sde<D> for Reverse<S, P> {
    fn drift(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        let (linear, pull) = self.weights(t);
        let clean = self.denoised(x.clone(), t);
        combine([(linear, x), (pull, clean)])
    }

    fn diffusion(&self, t: f64) -> f64 {
        (self.alpha(t) * self.schedule.diffusion_sq(t)).sqrt()
    }

    fn advance(&self, x: Tensor<D>, t: f64, step: f64) -> Tensor<D> {
        let (linear, pull) = self.weights(t);
        let clean = self.denoised(x.clone(), t);
        combine([(1.0 + step * linear, x), (step * pull, clean)])
    }
}
