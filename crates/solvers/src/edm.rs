//! EDM: stochastic churn, then Heun's step in the noise level.
//!
//! `u^ = u + s_noise sqrt(sigma^^2 - sigma^2) z`, `sigma^ = (1 + gamma) sigma`, `d = (u^ - D(u^; sigma^))/sigma^`,
//! `u~ = u^ + (sigma_s - sigma^) d`, `u_s = u^ + (sigma_s - sigma^) (d + (u~ - D(u~; sigma_s))/sigma_s)/2`
//!
//! Karras et al. 2022, algorithm 2, <https://arxiv.org/abs/2206.00364>, with `gamma = min(s_churn/steps, sqrt(2) - 1)`
//! where `s_min <= sigma <= s_max`, else 0. It runs in `u = x/s`, so any schedule will do. Two evaluations a step, one
//! for a step that ends without noise: there `u~` is kept. Order 2; churn keeps it, since it is an exact step of the
//! forward process while `s_noise` is 1. Exact at any step size for a point mass. The first evaluation may lie beyond
//! the horizon, by the factor `1 + gamma` in noise. The stochasticity of the process is not used: churn takes its
//! place.

use std::f64::consts::SQRT_2;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Noise, Schedule, Span, combine};
use tweedie_sde::Diffusion;

use crate::{SolveError, Solver, error::require, levels::Levels};

/// Settings of [`Edm`], in the names of the paper.
///
/// ```
/// use tweedie_solvers::{Edm, EdmConfig};
///
/// let text = r#"{ "steps": 256, "s_churn": 40.0, "s_min": 0.05, "s_max": 50.0, "s_noise": 1.003 }"#;
/// let config: EdmConfig = serde_json::from_str(text).unwrap();
/// assert!(Edm::new(config).is_ok());
/// let quiet: EdmConfig = serde_json::from_str(r#"{ "steps": 18 }"#).unwrap();
/// assert_eq!(quiet, EdmConfig::deterministic(18));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdmConfig {
    /// How many steps a run has, at least 1: they share the churn.
    pub steps: usize,
    /// Total amount of churn, `>= 0`.
    #[serde(default)]
    pub s_churn: f64,
    /// Lowest noise level with churn, `>= 0`.
    #[serde(default)]
    pub s_min: f64,
    /// Highest noise level with churn, `>= s_min`; none for no limit.
    #[serde(default)]
    pub s_max: Option<f64>,
    /// Standard deviation of the numbers that are added, above 0; 1 keeps the law, the paper goes up to 1.007.
    #[serde(default = "unit")]
    pub s_noise: f64,
}

fn unit() -> f64 {
    1.0
}

impl EdmConfig {
    /// No churn.
    pub fn deterministic(steps: usize) -> Self {
        Self {
            steps,
            s_churn: 0.0,
            s_min: 0.0,
            s_max: None,
            s_noise: unit(),
        }
    }
}

/// The EDM sampler; by default without churn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    config: EdmConfig,
}

impl Default for Edm {
    /// Without churn the number of steps does not matter.
    fn default() -> Self {
        Self {
            config: EdmConfig::deterministic(1),
        }
    }
}

impl Edm {
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(config: EdmConfig) -> Result<Self, SolveError> {
        let EdmConfig {
            steps,
            s_churn,
            s_min,
            s_max,
            s_noise,
        } = config;
        let amount = |value: f64| value >= 0.0 && value.is_finite();
        require("steps", steps as f64, steps > 0, "at least 1")?;
        let expected = "finite and at least 0";
        require("s_churn", s_churn, amount(s_churn), expected)?;
        require("s_min", s_min, amount(s_min), expected)?;
        let highest = s_max.unwrap_or(f64::INFINITY);
        require("s_max", highest, highest >= s_min, "at least s_min")?;
        let expected = "finite and above 0";
        require(
            "s_noise",
            s_noise,
            amount(s_noise) && s_noise > 0.0,
            expected,
        )?;
        Ok(Self { config })
    }

    /// By how much the noise level is raised, relative to itself.
    fn gamma(&self, sigma: f64) -> f64 {
        let within = sigma >= self.config.s_min && self.config.s_max.is_none_or(|max| sigma <= max);
        if within {
            (self.config.s_churn / self.config.steps as f64).min(SQRT_2 - 1.0)
        } else {
            0.0
        }
    }

    /// The state carried up to a noisier time by fresh noise.
    fn churn<const D: usize>(
        &self,
        schedule: &dyn Schedule,
        x: Tensor<D>,
        (low, high): (f64, f64),
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let s = schedule.scale(high);
        let (before, after) = (schedule.sigma(low), schedule.sigma(high));
        let added = ((after - before) * (after + before)).sqrt();
        let fresh = noise.normal(x.dims());
        let strength = s * self.config.s_noise * added;
        combine([(s / schedule.scale(low), x), (strength, fresh)])
    }
}

/// Heun's step in the noise level, in the form `u_s = r u + (1 - r) ((2r - 1)/(2r) D + D~/(2r))`, `r = sigma_s/sigma`.
fn heun<P: Diffusion<D> + ?Sized, const D: usize>(
    process: &P,
    x: Tensor<D>,
    span: Span,
) -> Tensor<D> {
    let levels = Levels::of(process.schedule(), span);
    let ratio = levels.ratio();
    let pulled = levels.s_to * (1.0 - ratio);
    let kept = levels.s_to * ratio / levels.s_from;

    let clean = process.denoised(x.clone(), span.from);
    if levels.sigma_to == 0.0 {
        return combine([(kept, x), (pulled, clean)]);
    }
    let predicted = combine([(kept, x.clone()), (pulled, clean.clone())]);
    let corrected = process.denoised(predicted, span.to);
    let share = 0.5 / ratio;
    combine([
        (kept, x),
        (pulled * (1.0 - share), clean),
        (pulled * share, corrected),
    ])
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for Edm {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let sigma = process.schedule().sigma(span.from);
        let gamma = self.gamma(sigma);
        if gamma == 0.0 {
            return heun(process, x, span);
        }
        let from = process.schedule().time_at(sigma * (1.0 + gamma));
        let raised = self.churn(process.schedule(), x, (span.from, from), noise);
        heun(process, raised, Span { from, to: span.to })
    }
}
