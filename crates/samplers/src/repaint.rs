//! RePaint: inpainting whose known pixels are the noised measurement, with jumps back in time that let the others
//! follow.
//!
//! A step from noise level `sigma` to `sigma'` in `u = x/s(t)`, `m` the mask, `k` and `w` those of the DDIM step:
//!
//! `u' = m (y + sqrt(sigma'^2 - noise_std^2) z) + (1 - m) (k u + (1 - k) D(u; sigma) + w z)`
//!
//! Lugmayr et al. 2022, algorithm 1, <https://arxiv.org/abs/2201.09865>. The paper has no noise in `y`. With it, `y` is
//! itself a state of noise level `noise_std`: down to there the known pixels are `y` with the missing noise, and below
//! they are the model's, as all others are. Blocks of `jump_length` steps are made `resampling` times, but for those
//! that go below, where a jump would lose what `y` tells.
//!
//! - Needs: an inpainting mask; Gaussian noise.
//! - Cost: one evaluation a step, `resampling` times as many steps; no gradient.
//! - Gaussian prior: exact in the limit of resampling and of short jumps, see [`Repaint`].
//! - Use: inpainting with time for many evaluations.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_physics::Inpainting;
use tweedie_solvers::Step;

use crate::{
    Measurement, PosteriorSampler, SampleError,
    error::require_share,
    travel::Travel,
    walk::{DAMAGED, Level, pure_noise},
};

/// Settings of [`Repaint`].
///
/// ```
/// use tweedie_samplers::RepaintConfig;
///
/// let config: RepaintConfig = serde_json::from_str(r#"{ "resampling": 5 }"#).unwrap();
/// assert_eq!(config, RepaintConfig { jump_length: 10, resampling: 5, eta: 1.0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepaintConfig {
    /// Steps of a block that is made again, at least 1.
    pub jump_length: usize,
    /// How often each block is made, at least 1 (no jumps).
    pub resampling: usize,
    /// From the deterministic step (0) to that of DDPM (1).
    pub eta: f64,
}

impl Default for RepaintConfig {
    /// The values of the paper.
    fn default() -> Self {
        Self {
            jump_length: 10,
            resampling: 10,
            eta: 1.0,
        }
    }
}

/// Inpainting by resampling.
///
/// Noiseless known pixels are the measurement. The missing ones learn of it through the denoiser alone: without jumps
/// they are too close to the prior, and with jumps they come to agree with the noised measurement at each level. For
/// two pixels of a Gaussian prior of standard deviation 0.3 and correlation 0.8, the first measured 1.7 of these from
/// its mean, with `eta = 1` and 100 steps of [`TimeGrid::karras`] from 80 to 0.002 and 0, the errors of the means,
/// towards `y`, and the standard deviations, in those of the posterior:
///
/// | `noise_std` | `jump_length` | `resampling` | known: mean | known: standard deviation | other: mean | other: standard deviation |
/// |---|---|---|---|---|---|---|
/// | 0 | 10 | 1 | 0 | 0 | -0.90 | 1.12 |
/// | 0 | 10 | 3 | 0 | 0 | -0.44 | 1.02 |
/// | 0 | 10 | 10 | 0 | 0 | -0.17 | 0.96 |
/// | 0 | 1 | 10 | 0 | 0 | -0.10 | 0.94 |
/// | 0.05 | 10 | 1 | -0.28 | 1.06 | -0.82 | 1.09 |
/// | 0.05 | 10 | 10 | -0.19 | 1.06 | -0.51 | 1.06 |
/// | 0.05 | 1 | 10 | -0.09 | 1.06 | -0.12 | 0.95 |
/// | 0.2 | 10 | 1 | -0.21 | 0.92 | -0.34 | 0.97 |
/// | 0.2 | 1 | 10 | -0.05 | 0.91 | -0.08 | 0.94 |
///
/// The standard deviation that is left is that of 100 steps from the prior, 0.94.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::{Inpainting, Region};
/// use tweedie_samplers::{Measurement, PosteriorSampler, Repaint, RepaintConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let hole = Region { top: 2, left: 2, height: 4, width: 4 };
/// let operator = Inpainting::without([8, 8], hole, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.0 };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = Repaint::new(schedule, prior, measurement, grid, RepaintConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Repaint<S, P> {
    schedule: S,
    prior: P,
    measurement: Measurement<Inpainting>,
    grid: TimeGrid,
    travel: Travel,
    eta: f64,
}

impl<S: Schedule, P> Repaint<S, P> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `jump_length` and `resampling` are at least 1, `eta` lies in [0, 1], `noise_std` is finite and at least
    /// 0, and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<Inpainting>,
        grid: TimeGrid,
        config: RepaintConfig,
    ) -> Result<Self, SampleError> {
        let eta = config.eta;
        let travel = Travel::new(
            ["jump_length", "resampling"],
            config.jump_length,
            config.resampling,
        )?;
        require_share("eta", eta)?;
        measurement.require_noise()?;
        let grid = grid.within(&schedule)?;
        let noisy = |time: &f64| schedule.sigma(*time) >= measurement.noise_std;
        let until = grid.times().iter().copied().filter(noisy).last();
        let travel = travel.until(until.unwrap_or(grid.start()));
        Ok(Self {
            schedule,
            prior,
            measurement,
            grid,
            travel,
            eta,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise.
    ///
    /// # Errors
    /// When the mask does not fit images of `shape` and the measurement, or the result is not finite.
    pub fn sample_with(
        &self,
        shape: [usize; 4],
        noise: &mut dyn Noise,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError>
    where
        P: Denoiser,
    {
        self.measurement.require_shape(shape)?;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        self.travel.walk(
            &self.schedule,
            &self.grid,
            (start, noise),
            DAMAGED,
            observe,
            |u, level, noise| self.step(u, level, noise),
        )
    }

    fn step(&self, u: Tensor<4>, level: Level, noise: &mut dyn Noise) -> Tensor<4>
    where
        P: Denoiser,
    {
        let Measurement {
            operator,
            y,
            noise_std,
        } = &self.measurement;
        let step = level.ddim(self.eta);
        let shape = u.dims();
        let denoised = self.prior.denoise(u.clone(), level.from);
        if level.to < *noise_std {
            return step.apply(u, denoised, noise);
        }
        let known = operator.mask().clone().greater_elem(0.5).expand(shape);
        let moved = combine([(step.kept, u), (1.0 - step.kept, denoised)]);
        let centre = moved.mask_where(known.clone(), y.clone().expand(shape));
        let missing = (level.to * level.to - noise_std * noise_std).sqrt();
        if missing == 0.0 && step.strength == 0.0 {
            return centre;
        }
        let fresh = noise.normal_over(shape, level.span.from, level.span.to);
        let spread = combine([(step.strength, fresh.clone())])
            .mask_where(known, combine([(missing, fresh)]));
        centre + spread
    }
}

impl<S, P> PosteriorSampler for Repaint<S, P>
where
    S: Schedule,
    P: Denoiser,
{
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        self.sample_with(shape, rng, observe)
    }
}
