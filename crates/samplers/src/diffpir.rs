//! DiffPIR: plug-and-play restoration along a diffusion, a denoiser and a proximal data step in turn.
//!
//! A step from noise level `sigma` to `sigma'` in `u = x/s(t)`:
//!
//! `d = prox_{(sigma^2/lambda) f}(D(u; sigma))`, `u' = d + sigma' (sqrt(1 - zeta) (u - d)/sigma + sqrt(zeta) z)`
//!
//! Zhu et al. 2023, algorithm 1, <https://arxiv.org/abs/2305.08995>. For `f = |A x - y|^2 / (2 noise_std^2)` the data
//! step is their `argmin |A x - y|^2 + rho |x - D|^2` with `rho = lambda noise_std^2 / sigma^2`; any `f` with a
//! proximal operator will do. One evaluation and one data step a step. The last of them give the result of a run that
//! ends at time 0, so no evaluation is lost and no noise is left.
//!
//! - Needs: a data term with a proximal operator.
//! - Cost: one evaluation and one proximal data step a step, no gradient.
//! - Gaussian prior: biased, by how much depends on `lambda` (see [`DiffPir`]).
//! - Use: fast restorations with any noise that has a proximal data term.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_fidelity::Proximal;
use tweedie_solvers::Step;

use crate::{
    PosteriorSampler, SampleError,
    error::{require_positive, require_share},
    walk::{DAMAGED, pure_noise, walk},
};

/// Settings of [`DiffPir`], in the names of the paper.
///
/// ```
/// use tweedie_samplers::DiffPirConfig;
///
/// let config: DiffPirConfig = serde_json::from_str(r#"{ "zeta": 0.3 }"#).unwrap();
/// assert_eq!(config, DiffPirConfig { lambda: 7.0, zeta: 0.3 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiffPirConfig {
    /// Weight of the denoised image against the data, above 0; with `f = -log p(y | x)` the statistical weight is about
    /// 1.
    pub lambda: f64,
    /// Share of fresh noise in the variance, in [0, 1].
    pub zeta: f64,
}

impl Default for DiffPirConfig {
    /// Usual values for restoration.
    fn default() -> Self {
        Self {
            lambda: 7.0,
            zeta: 0.1,
        }
    }
}

/// Denoising diffusion models for plug-and-play image restoration.
///
/// The start is noise alone, `N(0, sigma^2)`. The result is a restoration and no posterior draw: its spread is set by
/// `lambda` and `zeta`. For a pixel of a Gaussian prior of standard deviation 0.3, measured 1.7 of these from its mean,
/// with `zeta = 0.1` and 100 steps of [`TimeGrid::karras`] from 80 to 0.002 and 0:
///
/// | `noise_std` | `lambda` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|---|
/// | 0.05 | 7 | -0.89 | 2.16 |
/// | 0.2 | 7 | -0.62 | 1.37 |
/// | 0.8 | 7 | 0.00 | 0.99 |
/// | 0.2 | 1 | 0.32 | 0.86 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_fidelity::L2;
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{DiffPir, DiffPirConfig, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let data = L2::new(operator, y, 0.05)?;
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = DiffPir::new(schedule, prior, data, grid, DiffPirConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DiffPir<S, P, F> {
    schedule: S,
    prior: P,
    data: F,
    grid: TimeGrid,
    config: DiffPirConfig,
}

impl<S: Schedule, P, F> DiffPir<S, P, F> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `lambda` is finite and above 0, `zeta` lies in [0, 1], and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        data: F,
        grid: TimeGrid,
        config: DiffPirConfig,
    ) -> Result<Self, SampleError> {
        let DiffPirConfig { lambda, zeta } = config;
        require_positive("lambda", lambda)?;
        require_share("zeta", zeta)?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            data,
            grid,
            config,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise.
    ///
    /// # Errors
    /// When the result is not finite.
    pub fn sample_with<const D: usize>(
        &self,
        shape: [usize; D],
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError>
    where
        P: Denoiser<D>,
        F: Proximal<D>,
    {
        let DiffPirConfig { lambda, zeta } = self.config;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        walk(
            &self.schedule,
            &self.grid,
            start,
            DAMAGED,
            observe,
            |u, level| {
                let denoised = self.prior.denoise(u.clone(), level.from);
                let clean = self.data.prox(denoised, level.from * level.from / lambda);
                let kept = (1.0 - zeta).sqrt() * level.to / level.from;
                let moved = combine([(1.0 - kept, clean), (kept, u)]);
                let strength = zeta.sqrt() * level.to;
                if strength == 0.0 {
                    return moved;
                }
                let fresh = noise.normal_over(shape, level.span.from, level.span.to);
                combine([(1.0, moved), (strength, fresh)])
            },
        )
    }
}

impl<const D: usize, S, P, F> PosteriorSampler<D> for DiffPir<S, P, F>
where
    S: Schedule,
    P: Denoiser<D>,
    F: Proximal<D>,
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
