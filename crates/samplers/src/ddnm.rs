//! DDNM+: what the measurement sees is put right in each denoised image, as far as its noise allows.
//!
//! A DDIM step from noise level `sigma` to `sigma'` in `u = x/s(t)` is `u' = (1 - a) u + a d + w z` with
//! `w^2 = sigma'^2 q`, `q = eta^2 (1 - r^2)`, `1 - a = r sqrt(1 - q)`, `r = sigma'/sigma`. In the singular basis of
//! `A = U diag(s) V^T`, with the target `c^ = U^T y / s` of noise `n = noise_std / s`, each measured entry of `d` moves
//! to `d + lambda (c^ - d)` and its fresh noise has the variance `gamma`:
//!
//! `lambda = min(1, w/(a n))`, `gamma = w^2 - (a lambda n)^2`
//!
//! so that the noise of the measurement and the fresh noise add up to `w^2`; an entry that is not measured has
//! `lambda = 0`. Wang, Yu & Zhang 2023, section 3.3, <https://arxiv.org/abs/2212.00490>; `eta = 1` is their step of
//! DDPM. With time travel each block of `travel_length` steps is made `travel_repeat` times: at its end the noise of
//! its start is put back, `u + sqrt(hi^2 - lo^2) z`, so that what is not measured comes to agree with what is. The last
//! step is made once, as is a first block that is cut short.
//!
//! - Needs: a linear operator with SVD; Gaussian noise or none.
//! - Cost: one evaluation a step, `travel_repeat` times as many steps with time travel; no gradient.
//! - Gaussian prior: biased with noise, far too little spread (see [`DdnmPlus`]).
//! - Use: restorations without back-propagation, of noiseless measurements above all.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_physics::Svd;
use tweedie_solvers::Step;

use crate::{
    Measurement, PosteriorSampler, SampleError,
    error::{require, require_share},
    travel::Travel,
    walk::{DAMAGED, pure_noise},
};

/// Settings of [`DdnmPlus`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdnmConfig {
    /// From the deterministic step (0) to that of DDPM (1); above 0 for a noisy measurement, which enters in place of
    /// fresh noise.
    pub eta: f64,
    /// Steps of a block of time travel, at least 1.
    pub travel_length: usize,
    /// How often each block is made, at least 1.
    pub travel_repeat: usize,
}

impl Default for DdnmConfig {
    /// The step of DDPM, without time travel.
    fn default() -> Self {
        Self {
            eta: 1.0,
            travel_length: 1,
            travel_repeat: 1,
        }
    }
}

/// The denoising diffusion null-space model for noisy measurements.
///
/// A noiseless measured entry equals the measurement at time 0. With noise the samples are restorations and no
/// posterior draws. The construction counts the noise of the measurement as fresh in each step, although it is the same
/// in all: the smaller the steps, the lower the noise level down to which an entry follows its measurement whole, and
/// the less it varies. For a pixel of a Gaussian prior of standard deviation 0.3, measured 1.7 of these from its mean,
/// with the default settings and 100 steps of [`TimeGrid::karras`] from 80 to 0.002 and 0:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | 0.25 | 0.09 |
/// | 0.2 | 0.86 | 0.08 |
/// | 0.8 | 1.22 | 0.11 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{DdnmConfig, DdnmPlus, Measurement, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = DdnmPlus::new(schedule, prior, measurement, grid, DdnmConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DdnmPlus<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    grid: TimeGrid,
    eta: f64,
    travel: Travel,
}

impl<S: Schedule, P, A, const Y: usize> DdnmPlus<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0, `eta` lies in [0, 1] and is above 0 where `noise_std` is, the
    /// blocks of time travel are 1 or more and have 1 step or more, and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: DdnmConfig,
    ) -> Result<Self, SampleError> {
        let DdnmConfig {
            eta,
            travel_length,
            travel_repeat,
        } = config;
        let names = ["travel_length", "travel_repeat"];
        let travel = Travel::new(names, travel_length, travel_repeat)?;
        measurement.require_noise()?;
        require_share("eta", eta)?;
        let usable = eta > 0.0 || measurement.noise_std == 0.0;
        require("eta", eta, usable, "above 0 for a noisy measurement")?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            measurement,
            grid,
            eta,
            travel,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise. Numbers are drawn for entries of the singular
    /// basis, but for the first, which are pixels.
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
        A: Svd<X, Y>,
    {
        self.measurement.require_shape(shape)?;
        let operator = &self.measurement.operator;
        let start = pure_noise(&self.schedule, &self.grid, shape, noise);
        let spectrum = self.measurement.spectrum(&start);
        let blind = spectrum.seen.clone().bool_not();
        self.travel.walk(
            &self.schedule,
            &self.grid,
            (start, noise),
            DAMAGED,
            observe,
            |u, level, noise| {
                let step = level.ddim(self.eta);
                let (kept, strength) = (step.kept, step.strength);

                // `a n`, the noise that the whole measurement would bring.
                let brought = spectrum.noise.clone().mul_scalar(1.0 - kept);
                let hidden = brought.clone().lower_equal_elem(strength);
                let lambda = brought
                    .clone()
                    .mask_fill(hidden.clone(), 1.0)
                    .recip()
                    .mul_scalar(strength)
                    .mask_fill(hidden, 1.0)
                    .mask_fill(blind.clone(), 0.0);
                let clean = operator.v_adjoint(self.prior.denoise(u.clone(), level.from));
                // In this form an entry with lambda 1 is the target to the last digit.
                let clean = clean * lambda.clone().neg().add_scalar(1.0)
                    + spectrum.target.clone() * lambda.clone();
                if strength == 0.0 {
                    return step.apply(u, operator.v(clean), noise);
                }
                let spent = (lambda * brought).square();
                let gamma = spent.neg().add_scalar(strength * strength).clamp_min(0.0);
                let fresh = noise.normal_over(shape, level.span.from, level.span.to);
                let moved = operator.v(combine([(1.0 - kept, clean), (1.0, gamma.sqrt() * fresh)]));
                combine([(kept, u), (1.0, moved)])
            },
        )
    }
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for DdnmPlus<S, P, A, Y>
where
    S: Schedule,
    P: Denoiser<X>,
    A: Svd<X, Y>,
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
