//! DDRM: denoising diffusion in the singular basis of the measurement, whose entries are guided one by one.
//!
//! With `A = U diag(s) V^T`, `c = V^T u`, `d = V^T D(u; sigma)`, the target `c^ = U^T y / s` of noise
//! `n = noise_std / s` and `k = sqrt(1 - eta^2)`, a step from noise level `sigma` to `sigma'` draws each entry from
//! `N(mean, variance)`:
//!
//! | entry | mean | variance |
//! |---|---|---|
//! | unmeasured, `s = 0` | `d + k sigma' (c - d)/sigma` | `eta^2 sigma'^2` |
//! | weak, `sigma' < n` | `d + k sigma' (c^ - d)/n` | `eta^2 sigma'^2` |
//! | strong, `sigma' >= n` | `(1 - eta_b) d + eta_b c^` | `sigma'^2 - eta_b^2 n^2` |
//!
//! The start is `N(c^, sigma^2 - n^2)` where that is strong and `N(0, sigma^2)` elsewhere. Kawar et al. 2022, section
//! 3.2, <https://arxiv.org/abs/2201.11793>, for any schedule, since `u = x/s(t)`. If the denoiser knew `x_0`, each
//! state would have the law `N(x_0, sigma^2 I)` over measurements (their proposition 3.1), but for the mean of a start
//! from black where nothing is measured. So the noise is that of real coefficients, not divided by `sqrt 2` as for
//! complex ones, and an entry with `0 < s <= noise_std` is weak, not unmeasured.
//!
//! One evaluation a step and no gradient. It is no sampler of the posterior, see [`Ddrm`].
//!
//! - Needs: a linear operator with SVD; Gaussian noise or none.
//! - Cost: one evaluation a step, no gradient.
//! - Gaussian prior: biased, exact marginals for a point mass only (see [`Ddrm`]).
//! - Use: fast restorations without back-propagation.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid};
use tweedie_physics::Svd;
use tweedie_solvers::Step;

use crate::{
    Measurement, PosteriorSampler, SampleError,
    error::require_share,
    measurement::Spectrum,
    walk::{DAMAGED, Level, walk},
};

/// Settings of [`Ddrm`], in the names of the paper.
///
/// ```
/// use tweedie_samplers::DdrmConfig;
///
/// let config: DdrmConfig = serde_json::from_str(r#"{ "eta": 0.85 }"#).unwrap();
/// assert_eq!(config, DdrmConfig::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdrmConfig {
    /// Standard deviation of fresh noise relative to the noise level, where the measurement is weaker than the state,
    /// in [0, 1]. At 1 a step renews all noise; it is not the `eta` of [`Ddim`](tweedie_solvers::Ddim), but where it is
    /// 0.
    pub eta: f64,
    /// Weight of the measurement where it is stronger than the state, in [0, 1].
    pub eta_b: f64,
}

impl Default for DdrmConfig {
    /// The values of the paper.
    fn default() -> Self {
        Self {
            eta: 0.85,
            eta_b: 1.0,
        }
    }
}

/// Denoising diffusion restoration.
///
/// Exact limits: a noiseless measured entry equals the measurement with `eta_b = 1`, and where nothing is measured
/// `eta = 0` is deterministic DDIM. Between them the samples are restorations and no posterior draws. The marginals
/// hold over measurements: given one, the noise of its weak entries does not vary, however weak they are, and a run
/// that ends at time 0 ends them with their denoised value. For a pixel of a Gaussian prior of standard deviation 0.3,
/// measured 1.7 of these from its mean, with the default settings and 100 steps of [`TimeGrid::karras`] from 80 to
/// 0.002 and 0:
///
/// | `noise_std` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | 0.09 | 0.41 |
/// | 0.2 | 0.42 | 0.37 |
/// | 0.8 | 0.54 | 0.44 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{Ddrm, DdrmConfig, Measurement, PosteriorSampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = Ddrm::new(schedule, prior, measurement, grid, DdrmConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ddrm<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    grid: TimeGrid,
    config: DdrmConfig,
}

impl<S: Schedule, P, A, const Y: usize> Ddrm<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image; noise levels are `sigma(t)` of `schedule`.
    ///
    /// # Errors
    /// Unless `eta` and `eta_b` lie in [0, 1], `noise_std` is finite and at least 0, and the grid starts within the
    /// horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: DdrmConfig,
    ) -> Result<Self, SampleError> {
        for (name, value) in [("eta", config.eta), ("eta_b", config.eta_b)] {
            require_share(name, value)?;
        }
        measurement.require_noise()?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            measurement,
            grid,
            config,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise. Numbers are drawn for entries of the singular
    /// basis.
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
        let fresh = noise.normal(shape);
        let spectrum = self.measurement.spectrum(&fresh);
        let mut state = self.start(&spectrum, fresh);
        let image = operator.v(state.clone());
        walk(
            &self.schedule,
            &self.grid,
            image,
            DAMAGED,
            observe,
            |image, level| {
                let clean = operator.v_adjoint(self.prior.denoise(image, level.from));
                let strong = strong(&spectrum, level.to);
                let mean = self.mean(&spectrum, &strong, level, clean, state.clone());
                state = if level.to > 0.0 {
                    let fresh = noise.normal_over(shape, level.span.from, level.span.to);
                    mean + self.spread(&spectrum, strong, level.to) * fresh
                } else {
                    mean
                };
                operator.v(state.clone())
            },
        )
    }

    fn start<const X: usize>(&self, spectrum: &Spectrum<X>, fresh: Tensor<X>) -> Tensor<X> {
        let sigma = self.schedule.sigma(self.grid.start());
        let weak = strong(spectrum, sigma).bool_not();
        let spread = excess(spectrum, sigma, 1.0).mask_fill(weak.clone(), sigma);
        spectrum.target.clone().mask_fill(weak, 0.0) + spread * fresh
    }

    /// `d + pull (goal - d)`, the goal being the target where the entry is measured and the state elsewhere.
    fn mean<const X: usize>(
        &self,
        spectrum: &Spectrum<X>,
        strong: &Tensor<X, Bool>,
        level: Level,
        clean: Tensor<X>,
        state: Tensor<X>,
    ) -> Tensor<X> {
        let blind = spectrum.seen.clone().bool_not();
        let kept = (1.0 - self.config.eta * self.config.eta).sqrt() * level.to;
        let noise = spectrum.noise.clone().mask_fill(blind.clone(), level.from);
        let pull = noise
            .mask_fill(strong.clone(), 1.0)
            .recip()
            .mul_scalar(kept);
        let pull = pull.mask_fill(strong.clone(), self.config.eta_b);
        let goal = spectrum.target.clone().mask_where(blind, state);
        // In this form an entry with pull 1 is the target to the last digit.
        clean * pull.clone().neg().add_scalar(1.0) + goal * pull
    }

    fn spread<const X: usize>(
        &self,
        spectrum: &Spectrum<X>,
        strong: Tensor<X, Bool>,
        sigma: f64,
    ) -> Tensor<X> {
        let fresh = self.config.eta * sigma;
        excess(spectrum, sigma, self.config.eta_b).mask_fill(strong.bool_not(), fresh)
    }
}

/// Where the measurement has no more noise than a state of level `sigma`.
fn strong<const X: usize>(spectrum: &Spectrum<X>, sigma: f64) -> Tensor<X, Bool> {
    let strong = spectrum.noise.clone().lower_equal_elem(sigma);
    strong.bool_and(spectrum.seen.clone())
}

/// `sqrt(sigma^2 - (weight n)^2)` where that is real.
fn excess<const X: usize>(spectrum: &Spectrum<X>, sigma: f64, weight: f64) -> Tensor<X> {
    let spent = spectrum.noise.clone().mul_scalar(weight).square();
    spent.neg().add_scalar(sigma * sigma).clamp_min(0.0).sqrt()
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for Ddrm<S, P, A, Y>
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
