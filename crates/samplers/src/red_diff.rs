//! RED-diff: one image, drawn to the data by their gradient and to the prior by denoising it at every noise level.
//!
//! Variational inference with a Gaussian of vanishing width about `mu`: a stochastic descent whose direction at noise
//! level `sigma`, with `u = mu + sigma n`, is
//!
//! `grad f(mu) + lambda sigma (eps_theta - n) = grad f(mu) + lambda (mu - D(u; sigma))`
//!
//! Mardani et al. 2023, algorithm 1, <https://arxiv.org/abs/2305.04391>: their residual of the predicted noise
//! `eps_theta` has the weight `1/SNR`, which is `sigma` for any schedule, and the network is not differentiated. The
//! steps are those of Adam (Kingma & Ba 2015, algorithm 1, <https://arxiv.org/abs/1412.6980>), one at each time of the
//! grid but the last. The start is the image that the denoiser makes of noise of the first level, instead of `A^+ y`,
//! which only a linear operator has.
//!
//! - Needs: a differentiable data term.
//! - Cost: one evaluation a step, one more at the start, and no gradient of the network.
//! - Gaussian prior: no sampler but a point, nearer to the data than the mean (see [`RedDiff`]).
//! - Use: one restored image, for non-linear operators too.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::{Denoiser, Noise, Rng, Schedule, TimeGrid, combine};
use tweedie_fidelity::Gradient;
use tweedie_solvers::Step;

use crate::{
    PosteriorSampler, SampleError,
    error::{require, require_non_negative, require_positive},
    rounds::{Round, rounds},
};

/// Settings of [`RedDiff`].
///
/// ```
/// use tweedie_samplers::RedDiffConfig;
///
/// let config: RedDiffConfig = serde_json::from_str(r#"{ "lambda": 1.0 }"#).unwrap();
/// assert_eq!(config, RedDiffConfig { lambda: 1.0, ..RedDiffConfig::default() });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedDiffConfig {
    /// Weight of the denoising residual, at least 0, for `f = |A(x) - y|^2`; for `f` with noise, `1/(2 noise_std^2)`
    /// times that.
    pub lambda: f64,
    /// About how far a step of Adam moves a pixel of [0, 1], above 0.
    pub learning_rate: f64,
    /// Memory of the mean of the gradient, in [0, 1).
    pub beta_1: f64,
    /// Memory of its mean square, in [0, 1).
    pub beta_2: f64,
}

impl Default for RedDiffConfig {
    /// The values of the authors' program, whose learning rate of 0.1 is for pixels in [-1, 1]. Its data term is half
    /// of `|A(x) - y|^2`.
    fn default() -> Self {
        Self {
            lambda: 0.25,
            learning_rate: 0.05,
            beta_1: 0.9,
            beta_2: 0.99,
        }
    }
}

/// Regularisation by denoising along a diffusion: a seeker of one mode.
///
/// The paper's data term is `|A(x) - y|^2` whatever the noise, that is [`L2`](tweedie_fidelity::L2) with
/// `noise_std = 1/sqrt 2`. The result is a point: its spread is that of the last steps. For a Gaussian prior of
/// variance `v` the pull of the prior is `lambda sigma^2/(v + sigma^2) (mu - mean)`, which a run loses as it goes down,
/// so where the data tell all it ends on them and not at the mean or mode of the posterior. For a pixel with
/// `v = 0.3^2`, measured 1.7 prior standard deviations from its mean, the default settings, that data term and 1000
/// steps of equal time of [`VariancePreserving`](tweedie_core::VariancePreserving):
///
/// | `noise_std` of `y` | error of the mean, towards `y`, in posterior standard deviations | standard deviation, of the posterior's |
/// |---|---|---|
/// | 0.05 | 0.27 | 0.13 |
/// | 0.2 | 0.92 | 0.04 |
/// | 0.8 | 1.56 | 0.02 |
///
/// Adam divides a common factor of `f` and `lambda` out: their ratio decides, and where `A` is weak also how many of
/// the steps are at levels high enough for the prior to pull. If either is too little the result is the noise of `y`,
/// divided by `A`. For such a pixel behind `A = 0.1`, measured one `noise_std` of 0.1 above what its mean gives, with
/// the posterior mean 0.68 and the least squares solution 1.60:
///
/// | data term | 1000 steps of | mean of the results |
/// |---|---|---|
/// | the paper's | equal time, as above | 1.19 |
/// | `L2` with `noise_std` 0.1 at the same `lambda` | equal time | 1.60 |
/// | the paper's | [`TimeGrid::karras`] from 80 to 0.002 and 0 | 1.60 |
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_fidelity::L2;
/// use tweedie_physics::Inpainting;
/// use tweedie_samplers::{PosteriorSampler, RedDiff, RedDiffConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.mask().clone().mul_scalar(0.7);
/// let data = L2::new(operator, y, 0.5_f64.sqrt())?;
/// let schedule = VariancePreserving::new(0.1, 20.0)?;
/// let grid = TimeGrid::uniform(1.0, 0.0, 20)?;
/// let sampler = RedDiff::new(schedule, prior, data, grid, RedDiffConfig::default())?;
/// let samples = sampler.sample([3, 1, 8, 8], &mut Rng::seeded(0, &device), &mut |_| ())?;
/// assert_eq!(samples.dims(), [3, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedDiff<S, P, F> {
    schedule: S,
    prior: P,
    data: F,
    grid: TimeGrid,
    config: RedDiffConfig,
}

impl<S: Schedule, P, F> RedDiff<S, P, F> {
    /// The grid gives the levels of the steps, the noisiest first.
    ///
    /// # Errors
    /// Unless all settings are in their ranges and the grid starts within the horizon.
    pub fn new(
        schedule: S,
        prior: P,
        data: F,
        grid: TimeGrid,
        config: RedDiffConfig,
    ) -> Result<Self, SampleError> {
        let RedDiffConfig {
            lambda,
            learning_rate,
            beta_1,
            beta_2,
        } = config;
        require_non_negative("lambda", lambda)?;
        require_positive("learning_rate", learning_rate)?;
        for (name, beta) in [("beta_1", beta_1), ("beta_2", beta_2)] {
            require(name, beta, (0.0..1.0).contains(&beta), "in [0, 1)")?;
        }
        let grid = grid.within(&schedule)?;
        Ok(Self {
            schedule,
            prior,
            data,
            grid,
            config,
        })
    }

    /// [`sample`](PosteriorSampler::sample) with any source of noise. The observer sees `mu`, which has no noise and no
    /// scale.
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
        F: Gradient<D>,
    {
        let steps: Vec<Round> = self
            .grid
            .spans()
            .enumerate()
            .map(|(index, span)| Round {
                index,
                span,
                sigma: self.schedule.sigma(span.from),
            })
            .collect();
        let sigma = steps[0].sigma;
        let start = self
            .prior
            .denoise(noise.normal(shape).mul_scalar(sigma), sigma);
        let mut adam = Adam::new(&start, self.config);
        let advice = "a smaller learning_rate may help, or the network's weights are damaged";
        rounds(&steps, start, advice, observe, |mu, round| {
            let fresh = noise.normal(shape);
            let noisy = combine([(1.0, mu.clone()), (round.sigma, fresh)]);
            let denoised = self.prior.denoise(noisy, round.sigma);
            let lambda = self.config.lambda;
            let gradient = combine([
                (1.0, self.data.grad(mu.clone())),
                (lambda, mu.clone()),
                (-lambda, denoised),
            ]);
            adam.step(mu, gradient)
        })
    }
}

/// Adam on one tensor: burn's own is for the parameters of a module.
struct Adam<const D: usize> {
    config: RedDiffConfig,
    mean: Tensor<D>,
    square: Tensor<D>,
    steps: i32,
}

/// Keeps an entry without gradient where it is.
const EPSILON: f64 = 1e-8;

impl<const D: usize> Adam<D> {
    fn new(like: &Tensor<D>, config: RedDiffConfig) -> Self {
        Self {
            config,
            mean: like.zeros_like(),
            square: like.zeros_like(),
            steps: 0,
        }
    }

    fn step(&mut self, x: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        let RedDiffConfig {
            learning_rate,
            beta_1,
            beta_2,
            ..
        } = self.config;
        self.steps += 1;
        let square = gradient.clone().square();
        self.mean = combine([(beta_1, self.mean.clone()), (1.0 - beta_1, gradient)]);
        self.square = combine([(beta_2, self.square.clone()), (1.0 - beta_2, square)]);
        let unbiased = |beta: f64| 1.0 - beta.powi(self.steps);
        let root = self.square.clone().div_scalar(unbiased(beta_2)).sqrt();
        let direction = self.mean.clone() / root.add_scalar(EPSILON);
        combine([(1.0, x), (-learning_rate / unbiased(beta_1), direction)])
    }
}

impl<const D: usize, S, P, F> PosteriorSampler<D> for RedDiff<S, P, F>
where
    S: Schedule,
    P: Denoiser<D>,
    F: Gradient<D>,
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
