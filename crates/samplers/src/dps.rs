//! DPS: an unconditional step, then a step along the gradient of the misfit, seen through the denoiser.
//!
//! With `d = D(u; sigma)` at the unscaled state `u = x/s(t)`, `u_d` the DDIM step from it (`eta = 1`: that of DDPM),
//! and `c = sqrt(1 + 4 sigma^2)`:
//!
//! `u' = u_d - zeta c c' grad_u |y - A(d)|`
//!
//! Chung et al. 2023, algorithm 1, <https://arxiv.org/abs/2209.14687>: `x' <- x' - zeta_i grad_x |y - A(d)|^2` with
//! `zeta_i = zeta/|y - A(d)|`, which is `2 zeta` times the gradient of the norm itself. There `x = (2 u - 1)/c` has the
//! pixels of images in [-1, 1] and the scale of a variance-preserving process, and so has `y`. The form above is the
//! same step at any schedule: `zeta` has the paper's meaning whatever the process. (The paper's program leaves out the
//! 2: its scale 1 is `zeta = 1/2`.)
//!
//! - Needs: a differentiable operator; the noise is not used.
//! - Cost: one evaluation and one backward pass a step.
//! - Gaussian prior: biased, by how much depends on the number of steps and of pixels (see [`DpsSampler`]).
//! - Use: to compare with published figures; else the annealed guidance or, for linear operators, the default.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine, value_and_vjp};
use tweedie_physics::{ForwardOperator, dot};
use tweedie_solvers::Step;

use crate::{
    PosteriorSampler, SampleError,
    error::{require_non_negative, require_share},
    measurement::require_shape,
    walk::{pure_noise, walk},
};

/// Settings of [`DpsSampler`].
///
/// ```
/// use tweedie_samplers::DpsConfig;
///
/// let config: DpsConfig = serde_json::from_str(r#"{ "zeta": 0.3 }"#).unwrap();
/// assert_eq!(config, DpsConfig { zeta: 0.3, eta: 1.0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpsConfig {
    /// Length of the step along the gradient, at least 0, in the paper's units: pixels in [-1, 1], variance preserved.
    pub zeta: f64,
    /// From the deterministic step (0) to that of DDPM (1).
    pub eta: f64,
}

impl Default for DpsConfig {
    /// The length of most of the paper's experiments, and its step of DDPM.
    fn default() -> Self {
        Self {
            zeta: 1.0,
            eta: 1.0,
        }
    }
}

/// Diffusion posterior sampling as published, for any differentiable operator.
///
/// [`tweedie_fidelity::Dps`] is the score that the method derives, for any solver; this is the step that it takes
/// instead. Its length has no relation to the noise of the measurement, and each step has the same, so that finer grids
/// pull harder: the samples are restorations and no posterior draws. For an image of 64 pixels, of a Gaussian prior of
/// standard deviation 0.3 for each, all measured 1.7 of these from the mean, with the default settings and 100 steps of
/// [`TimeGrid::karras`] from 80 to 0.002 and 0, over 400 draws:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | 0.28 | 1.26 |
/// | 0.2 | 0.93 | 0.37 |
/// | 0.8 | 1.56 | 0.22 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::{ForwardOperator, Saturation};
/// use tweedie_samplers::{DpsConfig, DpsSampler, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Saturation::hard(2.0, 1.0)?;
/// let y = operator.forward(Tensor::<4>::full([1, 1, 8, 8], 0.7, &device));
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = DpsSampler::new(schedule, prior, operator, y, grid, DpsConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DpsSampler<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    operator: A,
    y: Tensor<Y>,
    grid: TimeGrid,
    config: DpsConfig,
}

impl<S: Schedule, P, A, const Y: usize> DpsSampler<S, P, A, Y> {
    /// `y` has one row for all images, or one for each. The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `zeta` is finite and at least 0, `eta` lies in [0, 1], and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        operator: A,
        y: Tensor<Y>,
        grid: TimeGrid,
        config: DpsConfig,
    ) -> Result<Self, SampleError> {
        let DpsConfig { zeta, eta } = config;
        require_non_negative("zeta", zeta)?;
        require_share("eta", eta)?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            operator,
            y,
            grid,
            config,
        })
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
        A: ForwardOperator<X, Y>,
    {
        require_shape(&self.operator, &self.y, shape)?;
        let DpsConfig { zeta, eta } = self.config;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        walk(
            &self.schedule,
            &self.grid,
            start,
            "a smaller zeta may help",
            observe,
            |u, level| {
                let (denoised, pull) = self.pull(u.clone(), level.from);
                let moved = level.ddim(eta).apply(u, denoised, noise);
                let length = zeta * symmetric_scale(level.from) * symmetric_scale(level.to);
                combine([(1.0, moved), (length, pull)])
            },
        )
    }

    /// The denoised image, and `-grad_u |y - A(D(u; sigma))|`, which is 0 where the misfit is.
    fn pull<const X: usize>(&self, u: Tensor<X>, sigma: f64) -> (Tensor<X>, Tensor<X>)
    where
        P: Denoiser<X>,
        A: ForwardOperator<X, Y>,
    {
        value_and_vjp(
            u,
            |u| self.prior.denoise(u, sigma),
            |estimate| {
                let misfit = self.y.clone() - self.operator.forward(estimate.clone());
                let squared = dot(misfit.clone(), misfit.clone());
                let met = squared.clone().equal_elem(0.0);
                let norm = squared.mask_fill(met, 1.0).sqrt();
                // A square that overflows leaves no direction: not a number, and not 0.
                let lost = norm.clone() - norm.clone();
                self.operator.vjp(estimate, misfit / norm + lost)
            },
        )
    }
}

/// `sqrt(1 + (2 sigma)^2)`: one over the scale of a variance-preserving process of pixels in [-1, 1] at this noise
/// level.
fn symmetric_scale(sigma: f64) -> f64 {
    1f64.hypot(2.0 * sigma)
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for DpsSampler<S, P, A, Y>
where
    S: Schedule,
    P: Denoiser<X>,
    A: ForwardOperator<X, Y>,
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
