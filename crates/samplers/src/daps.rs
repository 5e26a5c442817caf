//! DAPS: decoupled annealing, whose noise levels are joined by their marginals and not by a process.
//!
//! A round from noise level `sigma` to `sigma'` in `u = x/s(t)`, with `d` the end of the probability flow from `u`:
//!
//! `x ~ exp(-f(x)) N(x; d, sigma^2 I)`, `u' = x + sigma' n`
//!
//! Zhang et al. 2024, algorithm 1, <https://arxiv.org/abs/2407.01521>, with `r_t = sigma`. Since nothing of `u` is kept
//! but `d`, a round can leave an error of the one before: that serves `f` that are not convex. The flow takes
//! `ode_steps` of DPM-Solver++(2M). The draw of `x` is a [`LikelihoodStep`]: [`Langevin`](crate::Langevin) steps from
//! `d`, as in the paper, whose `eta_0` is `step_size`, or the exact one of a [`Measurement`](crate::Measurement) with a
//! linear operator.
//!
//! `N(d, sigma^2 I)` stands for `p(x_0 | u)`. It is wider, and centred at the flow's end in place of the mean: see
//! [`Daps`].
//!
//! - Needs: a differentiable data term (Langevin steps), or a linear operator.
//! - Cost: `ode_steps` evaluations a round and no gradient of the network; Langevin steps or a linear system.
//! - Gaussian prior: biased towards half of the prior's weight (see [`Daps`]).
//! - Use: non-linear operators, such as phase retrieval.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_solvers::Step;

use crate::{
    LikelihoodStep, Near, PosteriorSampler, SampleError,
    descent::Descent,
    walk::{pure_noise, walk},
};

/// Settings of [`Daps`].
///
/// ```
/// use tweedie_samplers::DapsConfig;
///
/// let config: DapsConfig = serde_json::from_str(r#"{ "ode_steps": 10 }"#).unwrap();
/// assert_eq!(config, DapsConfig { ode_steps: 10, ..DapsConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DapsConfig {
    /// Evaluations of the denoiser in a round, at least 1; a round that starts at or below `sigma_min` has one.
    pub ode_steps: usize,
    /// Noise level from which the flow goes to 0 at once, above 0, in the units of pixels in [0, 1].
    pub sigma_min: f64,
}

impl Default for DapsConfig {
    /// 5 steps, as the paper has; with 200 rounds 1000 evaluations.
    fn default() -> Self {
        Self {
            ode_steps: 5,
            sigma_min: 0.005,
        }
    }
}

/// Decoupled annealing posterior sampling.
///
/// The grid gives the levels of the rounds; the last of them ends at time 0 for an image without noise. For a pixel of
/// a Gaussian prior of standard deviation 0.3, measured 1.7 of these from its mean, with exact draws given the data,
/// the default settings and 100 rounds of [`TimeGrid::karras`] from 80 to 0.002 and 0:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | 0.12 | 1.00 |
/// | 0.2 | 0.39 | 1.08 |
/// | 0.8 | 0.25 | 1.36 |
///
/// A round at a small level adds noise of variance `2 sigma^2` and half of the pull of the prior that would balance it,
/// so many of them lead to a posterior in which the prior's log density counts half.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Karras, Rng, TimeGrid};
/// use tweedie_fidelity::L2;
/// use tweedie_physics::{Detection, ForwardOperator, PhaseRetrieval};
/// use tweedie_samplers::{Daps, DapsConfig, Langevin, LangevinConfig, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let camera = PhaseRetrieval::new([8, 8], 2, Detection::Amplitude, &device)?;
/// let y = camera.forward(Tensor::full([1, 1, 8, 8], 0.7, &device));
/// let data = Langevin::new(L2::new(camera, y, 0.05)?, LangevinConfig { steps: 10, ..LangevinConfig::default() })?;
/// let schedule = Karras::new(10.0)?;
/// let grid = TimeGrid::karras(&schedule, 10.0, 0.05, 7.0, 19)?.then_zero();
/// let sampler = Daps::new(schedule, prior, data, grid, DapsConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Daps<S, P, L> {
    schedule: S,
    prior: P,
    likelihood: L,
    grid: TimeGrid,
    flow: Descent,
}

impl<S: Schedule, P, L> Daps<S, P, L> {
    /// `likelihood` is [`Langevin`](crate::Langevin), or a [`Measurement`](crate::Measurement) with a linear operator.
    ///
    /// # Errors
    /// Unless all settings are in their ranges and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        likelihood: L,
        grid: TimeGrid,
        config: DapsConfig,
    ) -> Result<Self, SampleError> {
        let grid = grid.within(&schedule)?;
        let DapsConfig {
            ode_steps,
            sigma_min,
        } = config;
        let sigma_max = schedule.sigma(grid.start());
        Ok(Self {
            flow: Descent::new(0.0, sigma_max, sigma_min, ode_steps, "ode_steps")?,
            schedule,
            prior,
            likelihood,
            grid,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise.
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
        self.likelihood.require_shape(shape)?;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        let (mut round, count) = (0, self.grid.steps() as f64);
        walk(
            &self.schedule,
            &self.grid,
            start,
            self.likelihood.advice(),
            observe,
            |u, level| {
                let centre = self.flow.run(&self.prior, u, level.from, noise);
                let near = Near {
                    state: centre.clone(),
                    centre,
                    spread: level.from,
                    remaining: 1.0 - f64::from(round) / count,
                };
                round += 1;
                let clean = self.likelihood.draw(near, noise);
                if level.to == 0.0 {
                    return clean;
                }
                let fresh = noise.normal_over(shape, level.span.from, level.span.to);
                combine([(1.0, clean), (level.to, fresh)])
            },
        )
    }
}

impl<const D: usize, S, P, L> PosteriorSampler<D> for Daps<S, P, L>
where
    S: Schedule,
    P: Denoiser<D>,
    L: LikelihoodStep<D>,
{
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        self.sample_with(shape, rng, observe)
    }
}
