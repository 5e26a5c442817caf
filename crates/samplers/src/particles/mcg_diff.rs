//! MCGDiff: Monte Carlo guided diffusion for linear operators, without back-propagation.
//! Cardoso, Janati El Idrissi, Le Corff & Moulines 2024, <https://arxiv.org/abs/2308.07983>.
//!
//! In the singular basis of `A = U diag(s) V^T` a measured entry `c_i` of `V^T u` is seen as `t_i = (U^T y)_i / s_i`
//! with noise `n_i = noise_std/s_i`. The potential at noise level `sigma_k` is that of a prior flat in the entry,
//!
//! `g_k(c) = prod_i N(t_i; c_i, b_ik)`, `b_ik = sigma_k^2 + n_i^2 + kappa`, and at last the likelihood, `b_iK = n_i^2`
//!
//! A kernel `N(m_k, v_k I)` of the chain (see [`Tds`](super::Tds)) times `g_(k+1)` is Gaussian, so particles are
//! weighted by its integral, resampled, and then drawn from the product itself, the best proposal there is:
//!
//! `w = prod_i N(t_i; m_i, v_k + b_i,k+1) / N(t_i; c_i, b_ik)`, `c_i' ~ N(m_i + h (t_i - m_i), h b_i,k+1)`,
//! `h = v_k/(v_k + b_i,k+1)`
//!
//! and `N(m_i, v_k)` for entries that are not measured. The start is `N(0, sigma_0^2 I)` times `g_0`. For a noiseless
//! measurement it is the paper's algorithm in `u`: `1 - (1 - kappa) abar` is `abar (sigma^2 + kappa)`. A noiseless
//! entry ends at `t_i`; where the grid ends at `sigma_K = 0` the last kernel has no density there, and
//! `v = sigma_(K-1)^2` is taken for these entries.
//!
//! The paper's noisy measurements are noiseless ones of a noisier image: entry `i` is held at `t_i` at the level
//! `sigma = n_i` and goes on from there with the chain alone. That is the posterior if the chain reverses the noise
//! exactly and has that level, and no number of particles mends the rest; see [`McgDiff`] for its size. Here the
//! likelihood is the last potential, and nothing remains.
//!
//! - Needs: a linear operator with SVD, and Gaussian noise or none.
//! - Cost: one evaluation a step for each particle, no gradient.
//! - Gaussian prior: exact in the limit of particles (for the chain) and of steps.
//! - Use: an exact reference for linear operators, while the particles of a run fit in memory.

use std::f64::consts::TAU;

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Rng, Schedule, TimeGrid, combine};
use tweedie_physics::Svd;
use tweedie_solvers::Step;

use super::{Particles, Swarm, levels, per_particle, pick, require_settings, row_sums, show};
use crate::{Measurement, PosteriorSampler, SampleError, error::require};

/// Settings of [`McgDiff`].
///
/// ```
/// use tweedie_samplers::McgDiffConfig;
///
/// let config: McgDiffConfig = serde_json::from_str(r#"{ "particles": 16 }"#).unwrap();
/// assert_eq!(config, McgDiffConfig { particles: 16, ..McgDiffConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McgDiffConfig {
    /// Particles of a run, at least 1. With one the result is guided, not weighted: no posterior draw.
    pub particles: usize,
    /// Added to the variance of all potentials but the last, at least 0, in squared units of a pixel.
    pub kappa: f64,
    /// A run is resampled where its effective sample size is below this share of its particles, in [0, 1]; 1 is each
    /// step.
    pub ess_threshold: f64,
    /// Standard deviation of fresh noise relative to that of DDPM, in (0, 1]; the prior is the chain of DDIM with that
    /// `eta`.
    pub eta: f64,
}

impl Default for McgDiffConfig {
    /// 64 particles of the DDPM chain, resampled in each step, and the number that the paper has for `kappa`, with pixels in [-1, 1].
    fn default() -> Self {
        Self {
            particles: 64,
            kappa: 1e-2,
            ess_threshold: 1.0,
            eta: 1.0,
        }
    }
}

/// Monte Carlo guided diffusion.
///
/// As a [`PosteriorSampler`] each sample is one particle, drawn by weight, of a run of its own: a batch of `b` samples
/// denoises `b * particles` images at once, and observers see all of them. [`run`](Self::run) gives the particles
/// themselves, whose normaliser is the density of `U^T y`, which is `p(y)` for an operator of full row rank. Each step
/// reads one number per particle back.
///
/// With many particles what is left is the error of the chain. For a pixel of a Gaussian prior of standard deviation
/// 0.3, measured 1.7 of these from its mean, and steps of [`TimeGrid::karras`] from 80 to 0.002 and 0, the error of the
/// mean, towards `y`, in posterior standard deviations, and the standard deviation, of the posterior's; beside them
/// those of a pixel that is held at `y` at the level nearest to `noise_std`, as the paper has it:
///
/// | steps | `noise_std` | mean | std | mean, held | std, held |
/// |---|---|---|---|---|---|
/// | 100 | 0.05 | -0.04 | 1.00 | 0.02 | 0.80 |
/// | 100 | 0.2 | -0.08 | 0.98 | 0.00 | 0.89 |
/// | 100 | 0.8 | -0.02 | 0.94 | -0.01 | 0.93 |
/// | 20 | 0.2 | -0.42 | 0.89 | -0.01 | 0.53 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{McgDiff, McgDiffConfig, Measurement};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 4, 4], 0.5, &device), 0.04);
/// let operator = Inpainting::random([4, 4], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let grid = TimeGrid::uniform(1.0, 0.0, 10)?;
/// let config = McgDiffConfig { particles: 8, ..McgDiffConfig::default() };
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let sampler = McgDiff::new(schedule, prior, measurement, grid, config)?;
/// let mut rng = Rng::seeded(0, &device);
/// let particles = sampler.run([1, 1, 4, 4], &mut rng, &mut |_| ())?;
/// assert_eq!(particles.positions.dims(), [8, 1, 4, 4]);
/// assert_eq!(particles.resample(100, &mut rng).dims(), [100, 1, 4, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct McgDiff<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    grid: TimeGrid,
    config: McgDiffConfig,
}

impl<S: Schedule, P, A, const Y: usize> McgDiff<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless the settings are in their ranges, `noise_std` is finite and at least 0, and the grid starts within the
    /// horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: McgDiffConfig,
    ) -> Result<Self, SampleError> {
        require_settings(config.particles, config.ess_threshold, config.eta)?;
        let inflates = config.kappa >= 0.0 && config.kappa.is_finite();
        require("kappa", config.kappa, inflates, "finite and at least 0")?;
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

    /// `shape[0]` independent runs for images of `shape[1..]`, on the device of `rng`: run `j` reads row `j` of it
    /// alone.
    ///
    /// `observe` sees the particles of all runs after each step. The weights of the last step are kept and not
    /// resampled.
    ///
    /// # Errors
    /// When the operator does not measure images of `shape` as `y`, or weights are not finite.
    ///
    /// # Panics
    /// If the weights cannot be read from their device.
    pub fn run<const X: usize>(
        &self,
        shape: [usize; X],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, X>),
    ) -> Result<Particles<X>, SampleError>
    where
        P: Denoiser<X>,
        A: Svd<X, Y>,
    {
        self.measurement.require_shape(shape)?;
        let McgDiffConfig {
            particles,
            kappa,
            ess_threshold,
            eta,
        } = self.config;
        let operator = &self.measurement.operator;
        let steps = self.grid.steps();

        let mut swarm = Swarm::new(shape, particles, ess_threshold, steps, rng);
        let sigma = self.schedule.sigma(self.grid.start());
        let fresh = swarm.normal();
        let target = Target::new(&self.measurement, &fresh, particles);
        // What the potential of a level adds to `n^2`.
        let mut excess = sigma * sigma + kappa;
        let start = fresh.zeros_like();
        let reach = sigma * sigma + excess;
        let log = target.log_density(start.clone(), reach);
        swarm.weigh(log, target.constant(reach) - target.log_values, (1, sigma))?;
        let mut state = target.pulled(start, sigma * sigma, excess, sigma, Some(fresh));
        let mut image = operator.v(state.clone());
        for (index, level) in levels(&self.schedule, &self.grid) {
            let last = index + 1 == steps;
            let step = level.ddim(eta);
            let clean = operator.v_adjoint(self.prior.denoise(image, level.from));
            let mut mean = combine([(step.kept, state.clone()), (1.0 - step.kept, clean)]);
            let next = if last {
                0.0
            } else {
                level.to * level.to + kappa
            };
            let variance = if step.strength == 0.0 && self.measurement.noise_std == 0.0 {
                level.from * level.from
            } else {
                step.strength * step.strength
            };
            let reach = variance + next;
            let log = target.log_density(mean.clone(), reach) - target.log_density(state, excess);
            let constant = target.constant(reach) - target.constant(excess);
            swarm.weigh(log, constant, (index + 1, level.from))?;
            if !last && let Some(rows) = swarm.select(&mean) {
                mean = pick(&mean, &rows);
            }
            let fresh = (step.strength > 0.0).then(|| swarm.normal());
            state = target.pulled(mean, variance, next, step.strength, fresh);
            excess = next;
            image = operator.v(state.clone());
            let scale = self.schedule.scale(level.span.to);
            show(observe, (index, steps), level, &image, scale);
        }
        Ok(swarm.finish(image))
    }
}

/// The measurement in the singular basis, rows of one image or of each particle.
struct Target<const X: usize> {
    /// `t`, 0 where nothing is measured.
    values: Tensor<X>,
    /// `n^2`, one row.
    noise_sq: Tensor<X>,
    /// Where nothing is measured, one row.
    blind: Tensor<X, Bool>,
    /// `n^2` of the measured entries, on the host.
    measured: Vec<f64>,
    /// `sum log s` over the measured entries.
    log_values: f64,
}

impl<const X: usize> Target<X> {
    /// For particles like `like`.
    fn new<A: Svd<X, Y>, const Y: usize>(
        measurement: &Measurement<A, Y>,
        like: &Tensor<X>,
        particles: usize,
    ) -> Self {
        let rows = measurement.y.dims()[0];
        let spectrum = measurement.spectrum(&like.clone().slice(0..rows));
        let noise_sq = spectrum.noise.slice(0..1).square();
        let singular = spectrum.values.slice(0..1);
        let singular = singular
            .try_to_vec_as::<f64>()
            .expect("the singular values can be read from their device");
        let seen = singular.into_iter().filter(|s| *s > 0.0);
        let noise_std = measurement.noise_std;
        Self {
            values: per_particle(spectrum.target, particles),
            noise_sq,
            blind: spectrum.seen.slice(0..1).bool_not(),
            measured: seen.clone().map(|s| (noise_std / s).powi(2)).collect(),
            log_values: seen.map(f64::ln).sum(),
        }
    }

    /// `log prod_i N(t_i; x_i, n_i^2 + excess)` of each row, without its [`constant`](Self::constant).
    fn log_density(&self, x: Tensor<X>, excess: f64) -> Tensor<1> {
        let variance = self.noise_sq.clone().add_scalar(excess);
        let precision = variance
            .mask_fill(self.blind.clone(), 1.0)
            .recip()
            .mask_fill(self.blind.clone(), 0.0);
        let misfit = self.values.clone() - x;
        row_sums(misfit.square() * precision).mul_scalar(-0.5)
    }

    /// `-sum_i log(2 pi (n_i^2 + excess))/2`.
    fn constant(&self, excess: f64) -> f64 {
        let volumes = self.measured.iter().map(|n| (TAU * (n + excess)).ln());
        -0.5 * volumes.sum::<f64>()
    }

    /// A draw of the kernel `N(mean, variance I)` times the potential of variances `n^2 + excess`; entries that are not
    /// measured have the standard deviation `strength`. Without `fresh` numbers there is no noise.
    fn pulled(
        &self,
        mean: Tensor<X>,
        variance: f64,
        excess: f64,
        strength: f64,
        fresh: Option<Tensor<X>>,
    ) -> Tensor<X> {
        let potential = self.noise_sq.clone().add_scalar(excess);
        let gain = potential
            .clone()
            .add_scalar(variance)
            .mask_fill(self.blind.clone(), 1.0)
            .recip()
            .mul_scalar(variance)
            .mask_fill(self.blind.clone(), 0.0);
        // In this form an entry with gain 1 is the target to the last digit.
        let kept = gain.clone().neg().add_scalar(1.0);
        let centre = mean * kept + self.values.clone() * gain.clone();
        match fresh {
            Some(fresh) => {
                let spread = (gain * potential).sqrt();
                centre + fresh * spread.mask_fill(self.blind.clone(), strength)
            }
            None => centre,
        }
    }
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for McgDiff<S, P, A, Y>
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
        Ok(self.run(shape, rng, observe)?.draw(rng))
    }
}
