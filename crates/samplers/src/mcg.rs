//! MCG: manifold-constrained gradient, a gradient step through the denoiser and a projection onto the noised
//! measurement.
//!
//! A step from noise level `sigma` to `sigma'` in `u = x/s(t)`, with the DDIM step to `v`:
//!
//! `w = v - alpha grad_u |y - A D(u; sigma)|^2 = v + 2 alpha J_D(u)^T A^T (y - A D)`
//!
//! `u' = w + (A^T A + (noise_std/sigma')^2 I)^-1 A^T (y + sigma' A z - A w)`
//!
//! Chung et al. 2022, algorithm 1, <https://arxiv.org/abs/2206.00941>, with the weight `I` in the norm and for any
//! schedule: the gradient is that with respect to `u` and not to `x`. The projection is that of
//! [`Projected`](crate::Projected), which says why it is damped for noisy measurements.
//!
//! - Needs: a linear operator.
//! - Cost: one evaluation and one backward pass, one solution of the normal equations of `A`, a step.
//! - Gaussian prior: biased, see [`Mcg`].
//! - Use: to compare; without noise it is closer to the posterior than the projection alone.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine, value_and_vjp};
use tweedie_physics::{ConjugateGradient, LinearOperator};
use tweedie_solvers::Step;

use crate::{
    Measurement, PosteriorSampler, SampleError,
    error::{require_non_negative, require_share},
    walk::{pure_noise, walk},
};

/// Settings of [`Mcg`].
///
/// ```
/// use tweedie_samplers::McgConfig;
///
/// let config: McgConfig = serde_json::from_str(r#"{ "eta": 1.0 }"#).unwrap();
/// assert_eq!(config, McgConfig::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McgConfig {
    /// Length of the gradient step, at least 0; for an `A` of norm 1, from 1 on it may overshoot.
    pub alpha: f64,
    /// From the deterministic step (0) to that of DDPM (1).
    pub eta: f64,
}

impl Default for McgConfig {
    /// The step of DDPM, and a gradient for about 100 steps.
    fn default() -> Self {
        Self {
            alpha: 0.2,
            eta: 1.0,
        }
    }
}

/// Diffusion with manifold constraints.
///
/// A noiseless measurement holds exactly at time 0. The gradient informs what is not measured, and has one length for
/// steps of any length: the more steps, the smaller `alpha` should be. It knows no noise, and draws noisy entries onto
/// `y`. For two pixels of a Gaussian prior of standard deviation 0.3 and correlation 0.8, the first measured 1.7 of
/// these from its mean, with `eta = 1` and steps of [`TimeGrid::karras`] from 80 to 0.002 and 0, the errors of the
/// means, towards `y`, and the standard deviations, in those of the posterior:
///
/// | `noise_std` | `alpha` | steps | measured: mean | measured: standard deviation | other: mean | other: standard deviation |
/// |---|---|---|---|---|---|---|
/// | 0 | 0.1 | 100 | 0 | 0 | -0.57 | 1.03 |
/// | 0 | 0.2 | 100 | 0 | 0 | -0.28 | 0.95 |
/// | 0 | 0.2 | 400 | 0 | 0 | 0.65 | 0.75 |
/// | 0.05 | 0.2 | 100 | 0.28 | 0.02 | -0.21 | 0.93 |
/// | 0.2 | 0.2 | 100 | 0.94 | 0.01 | 0.33 | 0.76 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{Mcg, McgConfig, Measurement, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.0 };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = Mcg::new(schedule, prior, measurement, grid, McgConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mcg<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    grid: TimeGrid,
    config: McgConfig,
    cg: ConjugateGradient,
}

impl<S: Schedule, P, A, const Y: usize> Mcg<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `alpha` and `noise_std` are finite and at least 0, `eta` lies in [0, 1], and the grid starts within the
    /// horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: McgConfig,
    ) -> Result<Self, SampleError> {
        let McgConfig { alpha, eta } = config;
        require_non_negative("alpha", alpha)?;
        require_share("eta", eta)?;
        measurement.require_noise()?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            measurement,
            grid,
            config,
            cg: ConjugateGradient::default(),
        })
    }

    /// The same sampler with another budget for the normal equations of an `A` without closed form.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        Self { cg, ..self }
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise.
    ///
    /// # Errors
    /// When the operator does not measure images of `shape` as `y`, or the result is not finite.
    pub fn sample_with<const X: usize>(
        &self,
        shape: [usize; X],
        noise: &mut dyn Noise<X>,
        observe: &mut dyn FnMut(Step<'_, X>),
    ) -> Result<Tensor<X>, SampleError>
    where
        P: Denoiser<X>,
        A: LinearOperator<X, Y>,
    {
        self.measurement.require_shape(shape)?;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        walk(
            &self.schedule,
            &self.grid,
            start,
            "a smaller alpha may help",
            observe,
            |u, level| {
                let (denoised, slope) = self.slope(u.clone(), level.from);
                let moved = level.ddim(self.config.eta).apply(u, denoised, noise);
                let climbed = combine([(1.0, moved), (2.0 * self.config.alpha, slope)]);
                let pull = self
                    .measurement
                    .pull(climbed.clone(), level.to, self.cg, noise);
                climbed + pull
            },
        )
    }

    /// `D(u; sigma)` and `J_D(u)^T A^T (y - A D)`.
    fn slope<const X: usize>(&self, u: Tensor<X>, sigma: f64) -> (Tensor<X>, Tensor<X>)
    where
        P: Denoiser<X>,
        A: LinearOperator<X, Y>,
    {
        let Measurement { operator, y, .. } = &self.measurement;
        value_and_vjp(
            u,
            |u| self.prior.denoise(u, sigma),
            |denoised| operator.adjoint(y.clone() - operator.forward(denoised)),
        )
    }
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for Mcg<S, P, A, Y>
where
    S: Schedule,
    P: Denoiser<X>,
    A: LinearOperator<X, Y>,
{
    fn sample(
        &self,
        shape: [usize; X],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, X>),
    ) -> Result<Tensor<X>, SampleError> {
        self.sample_with(shape, rng, observe)
    }
}
