//! PnP-DM: a split Gibbs sampler whose prior step is a diffusion run backwards.
//!
//! For `rho_k = max(rho_min, decay^k rho_max)` in turn:
//!
//! `x ~ exp(-f(x)) N(x; z, rho_k^2 I)`, then `z ~ p(z) N(z; x, rho_k^2 I)`
//!
//! Wu et al. 2024, algorithm 1, <https://arxiv.org/abs/2405.18782>. The first is a [`LikelihoodStep`], the second the
//! reverse stochastic equation from `x` at noise level `rho_k`, by SDE-DPM-Solver++(2M). At one level the two are Gibbs
//! steps of `exp(-f(x)) p(z) N(x; z, rho^2 I)`: `z` converges to the law `p(z) int exp(-f(x)) N(x; z, rho^2 I) dx`, the
//! posterior for a measurement of `z + rho n`, and as `rho -> 0` to the posterior. For a linear `A` and noise
//! `noise_std` it is the posterior of noise of covariance `noise_std^2 I + rho^2 A A^T`. The result is `z`, which has
//! no noise of the coupling.
//!
//! - Needs: a linear operator, or a differentiable data term with Langevin steps.
//! - Cost: `prior_steps` evaluations a round and no gradient of the network; a linear system or Langevin steps.
//! - Gaussian prior: exact in the limit of rounds, `prior_steps` and `rho_min -> 0`.
//! - Use: posterior draws without back-propagation.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng};
use tweedie_solvers::Step;

use crate::{
    LikelihoodStep, PosteriorSampler, SampleError,
    error::{require, require_positive, require_some},
    split_gibbs::{PriorSteps, SplitGibbs},
};

/// Settings of [`PnpDm`]; levels are in the units of pixels in [0, 1].
///
/// ```
/// use tweedie_samplers::PnpDmConfig;
///
/// let config: PnpDmConfig = serde_json::from_str(r#"{ "rho_min": 0.01 }"#).unwrap();
/// assert_eq!(config, PnpDmConfig { rho_min: 0.01, ..PnpDmConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PnpDmConfig {
    /// Rounds of both steps, at least 1.
    pub iterations: usize,
    /// Coupling of the first round.
    pub rho_max: f64,
    /// Coupling that no round goes below, in (0, `rho_max`]. The bias of a measured pixel is small when it is well
    /// below `noise_std`; rounds that it takes to forget the start go as `1/rho_min^2`.
    pub rho_min: f64,
    /// Ratio of the couplings of two rounds, in (0, 1].
    pub decay: f64,
    /// Evaluations of the denoiser in a round, at least 1.
    pub prior_steps: usize,
    /// Noise level from which a prior step goes to 0 at once, above 0 and below `rho_min`.
    pub sigma_min: f64,
}

impl Default for PnpDmConfig {
    /// 980 evaluations; `decay` is usual. The last coupling is finer than for the restoration of images, where the
    /// posterior of a larger noise will do.
    fn default() -> Self {
        Self {
            iterations: 140,
            rho_max: 5.0,
            rho_min: 0.03,
            decay: 0.9,
            prior_steps: 7,
            sigma_min: 0.005,
        }
    }
}

/// Plug-and-play diffusion models: posterior draws by split Gibbs.
///
/// Rows are chains of their own, and the result is their last state. At one level `rho` the images have the law of the
/// coupling, with an error of second order in `prior_steps`. For a pixel of a Gaussian prior of standard deviation 0.3,
/// measured 1.7 of these from its mean, with the default settings:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | -0.10 | 1.13 |
/// | 0.2 | -0.02 | 0.99 |
/// | 0.8 | 0.00 | 0.98 |
///
/// The first row is that of the noise `sqrt(0.05^2 + rho_min^2)`: for sharper data `rho_min` should be lower, and the
/// rounds more. A noiseless measurement is met up to `rho_min`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{Measurement, PnpDm, PnpDmConfig, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let config = PnpDmConfig { iterations: 20, ..PnpDmConfig::default() };
/// let sampler = PnpDm::new(prior, measurement, config)?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PnpDm<P, L> {
    prior: P,
    likelihood: L,
    chain: SplitGibbs,
}

impl<P, L> PnpDm<P, L> {
    /// `likelihood` is a [`Measurement`](crate::Measurement) with a linear operator, or [`Langevin`](crate::Langevin).
    ///
    /// # Errors
    /// Unless all settings are in their ranges.
    pub fn new(prior: P, likelihood: L, config: PnpDmConfig) -> Result<Self, SampleError> {
        let PnpDmConfig {
            iterations,
            rho_max,
            rho_min,
            decay,
            prior_steps,
            sigma_min,
        } = config;
        require_some("iterations", iterations)?;
        require_positive("rho_max", rho_max)?;
        let ordered = rho_min > 0.0 && rho_min <= rho_max;
        require("rho_min", rho_min, ordered, "in (0, rho_max]")?;
        require("decay", decay, decay > 0.0 && decay <= 1.0, "in (0, 1]")?;
        let spreads: Vec<f64> = (0..iterations)
            .map(|k| rho_min.max(rho_max * decay.powf(k as f64)))
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
    /// which goes from level `rho_k` to 0.
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

impl<const D: usize, P: Denoiser<D>, L: LikelihoodStep<D>> PosteriorSampler<D> for PnpDm<P, L> {
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        self.sample_with(shape, rng, observe)
    }
}
