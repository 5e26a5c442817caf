//! DPnP: proximal consistency and denoising diffusion in turn, a split Gibbs sampler with a geometric schedule.
//!
//! For `K` rounds with the coupling `eta_k`
//!
//! `x ~ exp(-f(x)) N(x; z, eta_k^2 I)`, then `z ~ p(z) N(z; x, eta_k^2 I)`
//!
//! Xu & Chi 2024, algorithm 1, <https://arxiv.org/abs/2403.17042>: the proximal consistency sampler and the denoising
//! diffusion sampler. `eta_k` is `eta_0` in the first fifth of the rounds and then falls geometrically to `eta_K`. The
//! steps, and the law that they converge to, are those of [`PnpDm`](crate::PnpDm): the second is by
//! SDE-DPM-Solver++(2M) in place of the paper's method of first order for the same equation.
//!
//! - Needs: a linear operator, or a differentiable data term with Langevin steps.
//! - Cost: `prior_steps` evaluations a round and no gradient of the network; a linear system or Langevin steps.
//! - Gaussian prior: exact in the limit of rounds, `prior_steps` and `eta_K -> 0`.
//! - Use: posterior draws without back-propagation, where the number of rounds is given and not the decay.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng};
use tweedie_solvers::Step;

use crate::{
    LikelihoodStep, PosteriorSampler, SampleError,
    error::{require, require_positive, require_some},
    split_gibbs::{PriorSteps, SplitGibbs},
};

/// Settings of [`Dpnp`]; levels are in the units of pixels in [0, 1].
///
/// ```
/// use tweedie_samplers::DpnpConfig;
///
/// let config: DpnpConfig = serde_json::from_str(r#"{ "eta_0": 0.5 }"#).unwrap();
/// assert_eq!(config, DpnpConfig { eta_0: 0.5, ..DpnpConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpnpConfig {
    /// Rounds `K` of both steps, at least 1.
    pub iterations: usize,
    /// Coupling of the first fifth of the rounds.
    pub eta_0: f64,
    /// Coupling of the last round, in (0, `eta_0`].
    pub eta_k: f64,
    /// Evaluations of the denoiser in a round, at least 1.
    pub prior_steps: usize,
    /// Noise level from which a prior step goes to 0 at once, above 0 and below `eta_k`.
    pub sigma_min: f64,
}

impl Default for DpnpConfig {
    /// 980 evaluations.
    fn default() -> Self {
        Self {
            iterations: 140,
            eta_0: 1.0,
            eta_k: 0.02,
            prior_steps: 7,
            sigma_min: 0.005,
        }
    }
}

/// Diffusion plug-and-play: posterior draws by split Gibbs.
///
/// Rows are chains of their own, and the result is their last state. For a pixel of a Gaussian prior of standard
/// deviation 0.3, measured 1.7 of these from its mean, with the default settings:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | -0.06 | 1.06 |
/// | 0.2 | -0.04 | 0.99 |
/// | 0.8 | 0.00 | 0.98 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng};
/// use tweedie_fidelity::L2;
/// use tweedie_physics::Saturation;
/// use tweedie_samplers::{Dpnp, DpnpConfig, Langevin, LangevinConfig, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let data = L2::new(Saturation::smooth(2.0, 1.0, 8.0)?, Tensor::full([1, 1, 8, 8], 0.7, &device), 0.05)?;
/// let steps = LangevinConfig { steps: 5, step_size: 1e-3, delta: 1.0 };
/// let config = DpnpConfig { iterations: 20, ..DpnpConfig::default() };
/// let sampler = Dpnp::new(prior, Langevin::new(data, steps)?, config)?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dpnp<P, L> {
    prior: P,
    likelihood: L,
    chain: SplitGibbs,
}

impl<P, L> Dpnp<P, L> {
    /// `likelihood` is a [`Measurement`](crate::Measurement) with a linear operator, or [`Langevin`](crate::Langevin).
    ///
    /// # Errors
    /// Unless all settings are in their ranges.
    pub fn new(prior: P, likelihood: L, config: DpnpConfig) -> Result<Self, SampleError> {
        let DpnpConfig {
            iterations,
            eta_0,
            eta_k,
            prior_steps,
            sigma_min,
        } = config;
        require_some("iterations", iterations)?;
        require_positive("eta_0", eta_0)?;
        let ordered = eta_k > 0.0 && eta_k <= eta_0;
        require("eta_k", eta_k, ordered, "in (0, eta_0]")?;
        let held = iterations / 5;
        let falling = (iterations - held) as f64;
        let spreads: Vec<f64> = (1..=iterations)
            .map(|k| k.saturating_sub(held) as f64 / falling)
            .map(|fraction| eta_0 * (eta_k / eta_0).powf(fraction))
            .collect();
        let steps = PriorSteps {
            steps: prior_steps,
            sigma_min,
        };
        Ok(Self {
            prior,
            likelihood,
            chain: SplitGibbs::new(&spreads, steps)?,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise. The observer sees the image of each prior step,
    /// which goes from level `eta_k` to 0.
    ///
    /// # Errors
    /// When the images do not have the measurement, its `noise_std` is below 0 or not finite, or the result is not
    /// finite.
    pub fn sample_with<const D: usize>(
        &self,
        shape: [usize; D],
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError>
    where
        P: Denoiser<D>,
        L: LikelihoodStep<D>,
    {
        self.chain
            .sample_with(&self.prior, &self.likelihood, shape, noise, observe)
    }
}

impl<const D: usize, P: Denoiser<D>, L: LikelihoodStep<D>> PosteriorSampler<D> for Dpnp<P, L> {
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        self.sample_with(shape, rng, observe)
    }
}
