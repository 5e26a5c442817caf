//! Projection onto a noised measurement, after each step of any solver: ScoreSDE and ILVR.
//!
//! In `u = x/s(t)`, at the noise level `sigma` where a step ends, with fresh `z ~ N(0, I)`:
//!
//! `u <- u + lambda (A^T A + (noise_std/sigma)^2 I)^-1 A^T (y + sigma A z - A u)`
//!
//! Without noise in the measurement that is `u + lambda A^+ (y_sigma - A u)`, `y_sigma = y + sigma A z`, which has the
//! law of `A u`. Song, Shen, Xing & Ermon 2022, <https://arxiv.org/abs/2111.08005>, after Song et al. 2021, appendix I,
//! <https://arxiv.org/abs/2011.13456>: `lambda` in [0, 1] weighs the measurement against the model. Choi et al. 2021,
//! <https://arxiv.org/abs/2108.02938>: ILVR is the same step at `lambda = 1`, for with their low-pass filter
//! `phi = A^+ A` and a reference image of the measurement `y`, `phi(x_sigma) - phi(u) = A^+ (y_sigma - A u)`; it stops
//! at a noise level, below which the model alone paints the detail. The damping is not theirs: it weighs a noisy
//! measurement as Bayes' rule would if `u` had the variance `sigma^2`, and so keeps the noise out where `A` is weak.
//!
//! - Needs: a linear operator.
//! - Cost: that of the solver, one `A` and one solution of its normal equations a step; no gradient.
//! - Gaussian prior: biased, see [`Projected`].
//! - Use: measurements without noise, where speed or the solver matters more than the law.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Noise, Span, combine};
use tweedie_physics::{ConjugateGradient, LinearOperator};
use tweedie_sde::Diffusion;
use tweedie_solvers::Solver;

use crate::{
    Measurement, SampleError,
    error::{require_non_negative, require_share},
};

/// Settings of [`Projected`].
///
/// ```
/// use tweedie_samplers::ProjectionConfig;
///
/// // ILVR down to the noise level 0.1.
/// let config: ProjectionConfig = serde_json::from_str(r#"{ "stop": 0.1 }"#).unwrap();
/// assert_eq!(config, ProjectionConfig { lambda: 1.0, stop: 0.1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// Weight of the measurement, in [0, 1].
    pub lambda: f64,
    /// Noise level below which a state is left as it is, at least 0.
    pub stop: f64,
}

impl Default for ProjectionConfig {
    /// ScoreSDE: the whole measurement, at all levels.
    fn default() -> Self {
        Self {
            lambda: 1.0,
            stop: 0.0,
        }
    }
}

/// A solver whose states are projected onto the noised measurement.
///
/// With `lambda = 1` and `stop = 0` a noiseless measurement holds exactly at time 0. What is not measured learns of it
/// through the denoiser alone, from a noised copy that is drawn anew in each step, so samples are too close to the
/// prior there. For two pixels of a Gaussian prior of standard deviation 0.3 and correlation 0.8, the first measured
/// 1.7 of these from its mean, with [`Ddim`](tweedie_solvers::Ddim) at `eta = 1` and 100 steps of
/// [`TimeGrid::karras`](tweedie_core::TimeGrid::karras) from 80 to 0.002 and 0, the errors of the means, towards `y`,
/// and the standard deviations, in those of the posterior:
///
/// | `noise_std` | measured: mean | measured: standard deviation | other: mean | other: standard deviation |
/// |---|---|---|---|---|
/// | 0 | 0 | 0 | -0.90 | 1.12 |
/// | 0.05 | 0.09 | 0.43 | -0.83 | 1.09 |
/// | 0.2 | 0.45 | 0.46 | -0.27 | 0.94 |
/// | 0.8 | 0.53 | 0.66 | 0.27 | 0.83 |
///
/// A `noise_std` of 0 beside a noisy `y` gives the published step, whose samples end on `y` itself.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{DiffusionSampler, Measurement, PosteriorSampler, Projected, ProjectionConfig};
/// use tweedie_sde::Reverse;
/// use tweedie_solvers::Ddim;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let shape = [3, 1, 8, 8];
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let measurement = Measurement { operator, y, noise_std: 0.0 };
/// let solver = Projected::new(Ddim::new(1.0)?, measurement, shape, ProjectionConfig::default())?;
/// let process = Reverse::sde(VariancePreserving::new(0.1, 20.0)?, prior);
/// let sampler = DiffusionSampler::new(process, solver, TimeGrid::uniform(1.0, 0.0, 20)?);
/// let samples = sampler.sample(shape, &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), shape);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Projected<M, A, const Y: usize = 4> {
    solver: M,
    measurement: Measurement<A, Y>,
    config: ProjectionConfig,
    cg: ConjugateGradient,
}

impl<M, A, const Y: usize> Projected<M, A, Y> {
    /// For images of the shape `image`, which a run must have.
    ///
    /// # Errors
    /// Unless `lambda` lies in [0, 1], `stop` and `noise_std` are finite and at least 0, and the operator measures
    /// images of that shape as `y`.
    pub fn new<const X: usize>(
        solver: M,
        measurement: Measurement<A, Y>,
        image: [usize; X],
        config: ProjectionConfig,
    ) -> Result<Self, SampleError>
    where
        A: LinearOperator<X, Y>,
    {
        let ProjectionConfig { lambda, stop } = config;
        require_share("lambda", lambda)?;
        require_non_negative("stop", stop)?;
        measurement.require_noise()?;
        measurement.require_shape(image)?;
        Ok(Self {
            solver,
            measurement,
            config,
            cg: ConjugateGradient::default(),
        })
    }

    /// The same projection with another budget for the normal equations of an `A` without closed form.
    pub fn with_cg(self, cg: ConjugateGradient) -> Self {
        Self { cg, ..self }
    }
}

impl<P, M, A, const X: usize, const Y: usize> Solver<P, X> for Projected<M, A, Y>
where
    P: Diffusion<X> + ?Sized,
    M: Solver<P, X>,
    A: LinearOperator<X, Y>,
{
    type Memory = M::Memory;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<X>,
        span: Span,
        noise: &mut dyn Noise<X>,
    ) -> Tensor<X> {
        let x = self.solver.step(process, memory, x, span, noise);
        let scale = process.schedule().scale(span.to);
        let sigma = process.schedule().sigma(span.to);
        if sigma < self.config.stop {
            return x;
        }
        let u = combine([(scale.recip(), x)]);
        let pull = self.measurement.pull(u.clone(), sigma, self.cg, noise);
        combine([(scale, u), (scale * self.config.lambda, pull)])
    }
}

impl<A, const Y: usize> Measurement<A, Y> {
    /// `(A^T A + (noise_std/sigma)^2 I)^-1 A^T (y + sigma A z - A u)`, drawing `z`.
    pub(crate) fn pull<const X: usize>(
        &self,
        u: Tensor<X>,
        sigma: f64,
        cg: ConjugateGradient,
        noise: &mut dyn Noise<X>,
    ) -> Tensor<X>
    where
        A: LinearOperator<X, Y>,
    {
        if sigma == 0.0 && self.noise_std > 0.0 {
            return u.zeros_like();
        }
        let ahead = if sigma > 0.0 {
            let fresh = noise.normal(u.dims());
            combine([(1.0, u), (-sigma, fresh)])
        } else {
            u
        };
        let misfit = self.y.clone() - self.operator.forward(ahead);
        if self.noise_std == 0.0 {
            return self.operator.pseudo_inverse(misfit, cg);
        }
        let pull = self.operator.adjoint(misfit);
        let damping = (self.noise_std / sigma).powi(2);
        self.operator.solve_normal(pull, damping, cg)
    }
}
