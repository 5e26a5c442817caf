//! FPS: filtering posterior sampling, each step conditioned on a noised measurement of its own.
//!
//! The noise of the measurements follows the DDIM step of the state, which keeps `k` of it and adds `w`: with
//! `e ~ N(0, sigma^2 I)` at the start, a step to noise level `sigma'` in `u = x/s(t)` makes `e' = k e + w z` and
//! `y' = y + A e'`, and draws the state from
//!
//! `p(u' | u, y') ~ N(u'; k u + (1 - k) D(u; sigma), w^2 I) N(y'; A u', noise_std^2 I)`
//!
//! For `u' = x_0 + e'`, `y' - A u'` is the noise of `y`. In the singular basis of `A = U diag(s) V^T` an entry of mean
//! `m` becomes `m + g (y' - s m)` with variance `w^2 (1 - g s)`, `g = s w^2/(s^2 w^2 + noise_std^2)`. Dou & Song 2024,
//! <https://openreview.net/forum?id=tplXNcHZs1>, without particles, for any schedule; they start `e` at a measurement
//! of noise alone.
//!
//! - Needs: a linear operator with SVD, and Gaussian noise.
//! - Cost: one evaluation a step, no gradient.
//! - Gaussian prior: biased, also in the limit of steps, see [`Fps`].
//! - Use: noisy measurements of nearly all of the image, without back-propagation.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_physics::Svd;
use tweedie_solvers::Step;

use crate::{
    Measurement, PosteriorSampler, SampleError,
    error::{require, require_share},
    measurement::Spectrum,
    walk::{DAMAGED, walk},
};

/// Settings of [`Fps`].
///
/// ```
/// use tweedie_samplers::FpsConfig;
///
/// let config: FpsConfig = serde_json::from_str(r#"{ "eta": 0.5 }"#).unwrap();
/// assert_eq!(config, FpsConfig { eta: 0.5 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FpsConfig {
    /// Up to the step of DDPM (1); above 0 for a noisy measurement, which bears on nothing but fresh noise.
    pub eta: f64,
}

impl Default for FpsConfig {
    /// The step of DDPM.
    fn default() -> Self {
        Self { eta: 1.0 }
    }
}

/// Filtering posterior sampling with one particle.
///
/// A noiseless measurement holds exactly at time 0. A step weighs its own measurement alone: it neither looks ahead to
/// the cleaner ones, nor knows that their noise is the same. What is not measured learns of them through the denoiser
/// alone, and stays too close to the prior; more steps do not mend it. For two pixels of a Gaussian prior of standard
/// deviation 0.3 and correlation 0.8, the first measured 1.7 of these from its mean, with the default settings and
/// steps of [`TimeGrid::karras`] from 80 to 0.002 and 0, the errors of the means, towards `y`, and the standard
/// deviations, in those of the posterior:
///
/// | `noise_std` | steps | measured: mean | measured: standard deviation | other: mean | other: standard deviation |
/// |---|---|---|---|---|---|
/// | 0 | 100 | 0 | 0 | -0.90 | 1.17 |
/// | 0.05 | 100 | -0.29 | 1.08 | -0.86 | 1.16 |
/// | 0.2 | 100 | -0.15 | 0.94 | -0.45 | 1.06 |
/// | 0.8 | 100 | 0.14 | 0.88 | 0.05 | 0.92 |
/// | 0.2 | 400 | -0.06 | 0.94 | -0.41 | 1.09 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{Fps, FpsConfig, Measurement, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = Fps::new(schedule, prior, measurement, grid, FpsConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fps<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    grid: TimeGrid,
    eta: f64,
}

impl<S: Schedule, P, A, const Y: usize> Fps<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and at least 0, `eta` lies in [0, 1] and is above 0 where `noise_std` is, and the
    /// grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: FpsConfig,
    ) -> Result<Self, SampleError> {
        let eta = config.eta;
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
        let sigma = self.schedule.sigma(self.grid.start());
        let start = noise.normal(shape).mul_scalar(sigma);
        let spectrum = self.measurement.spectrum(&start);
        let mut error = noise.normal(shape).mul_scalar(sigma);
        walk(
            &self.schedule,
            &self.grid,
            start,
            DAMAGED,
            observe,
            |u, level| {
                let step = level.ddim(self.eta);
                let (kept, strength) = (step.kept, step.strength);
                let denoised = self.prior.denoise(u.clone(), level.from);
                let mean = operator.v_adjoint(combine([(kept, u), (1.0 - kept, denoised)]));

                error = error.clone().mul_scalar(kept);
                if strength > 0.0 {
                    let fresh = noise.normal(shape);
                    error = combine([(1.0, error.clone()), (strength, fresh)]);
                }
                let target = spectrum.target.clone() + error.clone();
                let trust = trust(&spectrum, strength);
                let rest = trust.clone().neg().add_scalar(1.0);
                // In this form an entry with trust 1 is the target to the last digit.
                let drawn = mean * rest.clone() + target * trust;
                if strength == 0.0 {
                    return operator.v(drawn);
                }
                let fresh = noise.normal_over(shape, level.span.from, level.span.to);
                operator.v(combine([(1.0, drawn), (strength, rest.sqrt() * fresh)]))
            },
        )
    }
}

/// `g s = w^2/(w^2 + n^2)` for the noise `n = noise_std/s` of an entry: 0 where it is not measured, 1 without noise.
fn trust<const X: usize>(spectrum: &Spectrum<X>, strength: f64) -> Tensor<X> {
    let certain = spectrum.noise.clone().equal_elem(0.0);
    let variance = spectrum.noise.clone().square();
    let share = variance
        .clone()
        .add_scalar(strength * strength)
        .mask_fill(certain.clone(), 1.0)
        .recip()
        .mul_scalar(strength * strength);
    share
        .mask_fill(certain, 1.0)
        .mask_fill(spectrum.seen.clone().bool_not(), 0.0)
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for Fps<S, P, A, Y>
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
