//! Twisted diffusion sampler (TDS): the reverse chain, twisted by the likelihood of the denoised image, with exact
//! weights. Wu et al. 2023, algorithm 1, <https://arxiv.org/abs/2306.17775>.
//!
//! The twisting function at noise level `sigma_k` and its gradient, from one forward and one backward pass:
//!
//! `g_k(u) = N(y; A(D(u; sigma_k)), (noise_std^2 + r_k^2) I)`, `r_k^2 = v sigma_k^2 / (v + sigma_k^2)`,
//! `v = prior_variance`
//!
//! A particle moves by `u' = m_k(u) + v_k grad log g_k(u) + sqrt(v_k) z` and its weight changes by the factor
//! `g_(k+1)(u') N(u'; m_k, v_k I) / (g_k(u) N(u'; m_k + v_k grad log g_k, v_k I))`, where the last `g` is the
//! likelihood `N(y; A(u_K), noise_std^2 I)`. To first order in `u' - u` the proposal is the chain's kernel times `g`.
//! The kernel is `N(m_k, v_k I)`, `m_k = c u + (1 - c) D(u; sigma_k)`, `v_k = f sigma_(k+1)^2` with
//! `r = sigma_(k+1)/sigma_k`, `f = eta^2 (1 - r^2)`, `c = r sqrt(1 - f)`.
//!
//! Whatever `g`, the weighted particles converge to the posterior of the chain: `r^2` decides how many are needed.
//!
//! - Needs: a differentiable operator and Gaussian noise above 0.
//! - Cost: one evaluation and one backward pass a step, for each particle.
//! - Gaussian prior: exact in the limit of particles (for the chain) and of steps.
//! - Use: an exact reference for any operator, while the particles of a run fit in memory.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Rng, Schedule, TimeGrid, combine, value_and_vjp};
use tweedie_fidelity::{Guided, Isotropic};
use tweedie_physics::{ForwardOperator, squared_norm};
use tweedie_solvers::Step;

use super::{Particles, Swarm, levels, per_particle, pick, require_settings, row_sums, show};
use crate::{Measurement, PosteriorSampler, SampleError, error::require, walk::DdimStep};

/// Settings of [`Tds`].
///
/// ```
/// use tweedie_samplers::TdsConfig;
///
/// let config: TdsConfig = serde_json::from_str(r#"{ "particles": 16 }"#).unwrap();
/// assert_eq!(config, TdsConfig { particles: 16, ..TdsConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TdsConfig {
    /// Particles of a run, at least 1. With one the result is guided, not weighted: no posterior draw.
    pub particles: usize,
    /// A run is resampled where its effective sample size is below this share of its particles, in [0, 1].
    pub ess_threshold: f64,
    /// Standard deviation of fresh noise relative to that of DDPM, in (0, 1]; the prior is the chain of DDIM with that
    /// `eta`.
    pub eta: f64,
    /// The prior's variance `v` of a pixel, above 0: see [`Isotropic`].
    pub prior_variance: f64,
}

impl Default for TdsConfig {
    /// 64 particles of the DDPM chain, resampled below half of them, and `v = 1/4` as [`Isotropic`].
    fn default() -> Self {
        Self {
            particles: 64,
            ess_threshold: 0.5,
            eta: 1.0,
            prior_variance: 0.25,
        }
    }
}

/// The twisted diffusion sampler.
///
/// As a [`PosteriorSampler`] each sample is one particle, drawn by weight, of a run of its own: a batch of `b` samples
/// denoises `b * particles` images at once, and observers see all of them. [`run`](Self::run) gives the particles
/// themselves. Each step reads one number per particle back.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{Measurement, Tds, TdsConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 4, 4], 0.5, &device), 0.04);
/// let operator = Inpainting::random([4, 4], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.05 };
/// let grid = TimeGrid::uniform(1.0, 0.0, 10)?;
/// let config = TdsConfig { particles: 8, prior_variance: 0.04, ..TdsConfig::default() };
/// let sampler = Tds::new(VariancePreserving::new(0.1, 20.0)?, prior, measurement, grid, config)?;
/// let mut rng = Rng::seeded(0, &device);
/// let particles = sampler.run([1, 1, 4, 4], &mut rng, &mut |_| ())?;
/// assert_eq!(particles.positions.dims(), [8, 1, 4, 4]);
/// assert_eq!(particles.draw(&mut rng).dims(), [1, 1, 4, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tds<S, P, A, const Y: usize = 4> {
    schedule: S,
    prior: P,
    measurement: Measurement<A, Y>,
    spread: Isotropic,
    grid: TimeGrid,
    config: TdsConfig,
}

impl<S: Schedule, P, A, const Y: usize> Tds<S, P, A, Y> {
    /// The last time of `grid` is 0 for a noiseless image.
    ///
    /// # Errors
    /// Unless the settings are in their ranges, `noise_std` is finite and above 0, and the grid starts within the
    /// horizon.
    pub fn new(
        schedule: S,
        prior: P,
        measurement: Measurement<A, Y>,
        grid: TimeGrid,
        config: TdsConfig,
    ) -> Result<Self, SampleError> {
        require_settings(config.particles, config.ess_threshold, config.eta)?;
        let noise_std = measurement.noise_std;
        let noisy = noise_std > 0.0 && noise_std.is_finite();
        let expected = "finite and above 0 (McgDiff takes noiseless measurements)";
        require("noise_std", noise_std, noisy, expected)?;
        let spread = Isotropic::new(config.prior_variance).map_err(|_| SampleError::Parameter {
            name: "prior_variance",
            expected: "finite and above 0",
            found: config.prior_variance,
        })?;
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            measurement,
            spread,
            grid,
            config,
        })
    }

    /// `shape[0]` independent runs for images of `shape[1..]`, on the device of `rng`: run `j` reads row `j` of it
    /// alone.
    ///
    /// `observe` sees the particles of all runs after each step, before they are weighted.
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
        A: ForwardOperator<X, Y>,
    {
        self.measurement.require_shape(shape)?;
        let TdsConfig {
            particles,
            ess_threshold,
            eta,
            ..
        } = self.config;
        let steps = self.grid.steps();
        let y = per_particle(self.measurement.y.clone(), particles);
        let entries = y.dims()[1..].iter().product::<usize>() as f64;
        // `log sqrt det` of a twisting function's covariance.
        let volume = |variance: f64| 0.5 * entries * (std::f64::consts::TAU * variance).ln();

        let mut swarm = Swarm::new(shape, particles, ess_threshold, steps, rng);
        let sigma = self.schedule.sigma(self.grid.start());
        let mut u = swarm.normal().mul_scalar(sigma);
        let mut variance = self.variance_at(sigma);
        let (mut log, mut twist) = self.twist(&y, u.clone(), sigma);
        swarm.weigh(log.clone(), -volume(variance), (1, sigma))?;
        for (index, level) in levels(&self.schedule, &self.grid) {
            if let Some(rows) = swarm.select(&u) {
                u = pick(&u, &rows);
                log = pick(&log, &rows);
                twist.denoised = pick(&twist.denoised, &rows);
                twist.likelihood_score = pick(&twist.likelihood_score, &rows);
            }
            let kernel = level.ddim(eta);
            let (moved, log_ratio) = propose(&mut swarm, kernel, u, &twist);
            u = moved;
            let left = log.neg();
            let scale = self.schedule.scale(level.span.to);
            show(observe, (index, steps), level, &u, scale);

            let before = variance;
            if index + 1 < steps {
                variance = self.variance_at(level.to);
                (log, twist) = self.twist(&y, u.clone(), level.to);
            } else {
                variance = self.measurement.noise_std * self.measurement.noise_std;
                log = log_gaussian(self.misfit(&y, u.clone()), variance);
            }
            let constant = volume(before) - volume(variance);
            let place = (index + 1, level.from);
            swarm.weigh(left + log_ratio + log.clone(), constant, place)?;
        }
        Ok(swarm.finish(u))
    }

    /// Variance of an entry of `y` that the twisting function at noise level `sigma` assumes.
    fn variance_at(&self, sigma: f64) -> f64 {
        self.measurement.noise_std * self.measurement.noise_std + self.spread.variance_at(sigma)
    }

    fn misfit<const X: usize>(&self, y: &Tensor<Y>, image: Tensor<X>) -> Tensor<Y>
    where
        A: ForwardOperator<X, Y>,
    {
        y.clone() - self.measurement.operator.forward(image)
    }

    /// `log g(u)` of each row without its constant, and its gradient.
    fn twist<const X: usize>(
        &self,
        y: &Tensor<Y>,
        u: Tensor<X>,
        sigma: f64,
    ) -> (Tensor<1>, Guided<X>)
    where
        P: Denoiser<X>,
        A: ForwardOperator<X, Y>,
    {
        let variance = self.variance_at(sigma);
        let mut log = None;
        let (denoised, likelihood_score) = value_and_vjp(
            u,
            |u| self.prior.denoise(u, sigma),
            |estimate| {
                let misfit = self.misfit(y, estimate.clone());
                log = Some(log_gaussian(misfit.clone(), variance));
                let pull = self.measurement.operator.vjp(estimate, misfit);
                pull.mul_scalar(variance.recip())
            },
        );
        let guided = Guided {
            denoised,
            likelihood_score,
        };
        (log.expect("the cotangent is always asked for"), guided)
    }
}

/// Draws `u'` from the twisted kernel; with the logarithm of the chain's kernel over the twisted one,
/// `-v |g|^2/2 - sqrt(v) g z`.
fn propose<const X: usize>(
    swarm: &mut Swarm<'_, X>,
    kernel: DdimStep,
    u: Tensor<X>,
    twist: &Guided<X>,
) -> (Tensor<X>, Tensor<1>) {
    let score = twist.likelihood_score.clone();
    let mean = combine([
        (kernel.kept, u),
        (1.0 - kernel.kept, twist.denoised.clone()),
    ]);
    let strength = kernel.strength;
    let variance = strength * strength;
    let squares = squared_norm(score.clone()).mul_scalar(-0.5 * variance);
    if strength == 0.0 {
        return (mean, squares);
    }
    let fresh = swarm.normal();
    let cross = row_sums(score.clone() * fresh.clone()).mul_scalar(strength);
    let moved = combine([(1.0, mean), (variance, score), (strength, fresh)]);
    (moved, squares - cross)
}

/// `log N(misfit; 0, variance I)` of each row, without the constant.
fn log_gaussian<const Y: usize>(misfit: Tensor<Y>, variance: f64) -> Tensor<1> {
    squared_norm(misfit).mul_scalar(-0.5 / variance)
}

impl<const X: usize, const Y: usize, S, P, A> PosteriorSampler<X> for Tds<S, P, A, Y>
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
        Ok(self.run(shape, rng, observe)?.draw(rng))
    }
}
