//! How the samplers of the table are put together: what they are given, schedule, grids, and what several lines share.

use tweedie::{
    burn::tensor::Tensor,
    core::{AnalyticPrior, DdpmTable, FullGaussian, Karras, Rng, Spacing, TimeGrid},
    fidelity::{FidelityError, Isotropic, L2, NoisyFidelity, Posterior},
    physics::DenseSvd,
    samplers::{
        DiffPir, DiffPirConfig, DiffusionSampler, Dpnp, DpnpConfig, DpsConfig, DpsSampler,
        Measurement, PosteriorSampler, SampleError,
    },
    sde::Reverse,
    solvers::{Solver, Step},
};

use super::{
    methods::{Built, Prior},
    problem::{Problem, SAMPLE_VARIANCE, Signals},
};
use crate::failure::Outcome;

/// Highest noise level. The largest standard deviation of a direction of the prior is 20, that of the images for which samplers have
/// their defaults a tenth of it.
const SIGMA_MAX: f64 = 200.0;

/// Lowest noise level; the smallest standard deviation of a direction of the prior is 0.25.
const SIGMA_MIN: f64 = 0.005;

/// Steps of the published process, whose variances go from 1e-4 to 0.02.
const PUBLISHED_STEPS: usize = 1000;

/// What a method is given: one measurement for each draw.
pub(crate) struct Case<'a> {
    pub(crate) y: Tensor<4>,
    pub(crate) noise_std: f64,
    operator: &'a DenseSvd,
    prior: &'a FullGaussian,
    exact: Exact<'a>,
}

impl<'a> Case<'a> {
    /// `draws` of each signal.
    pub(crate) fn new(problem: &'a Problem, signals: &Signals, draws: usize) -> Self {
        let Signals { y, mean, .. } = signals.repeat(draws);
        Self {
            y,
            noise_std: problem.noise_std,
            operator: &problem.operator,
            prior: &problem.prior,
            exact: Exact {
                mean,
                spread: &problem.spread,
            },
        }
    }

    pub(crate) fn operator(&self) -> &'a DenseSvd {
        self.operator
    }

    pub(crate) fn measurement(&self) -> Measurement<&'a DenseSvd> {
        Measurement {
            operator: self.operator,
            y: self.y.clone(),
            noise_std: self.noise_std,
        }
    }

    /// The law of the signals.
    pub(crate) fn prior(&self) -> &'a FullGaussian {
        self.prior
    }

    /// Draws of the posterior itself.
    pub(crate) fn exact(&self) -> Exact<'a> {
        self.exact.clone()
    }
}

/// Draws of Gaussians with one covariance and a mean for each draw.
#[derive(Clone)]
pub(crate) struct Exact<'a> {
    mean: Tensor<4>,
    spread: &'a FullGaussian,
}

impl PosteriorSampler for Exact<'_> {
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        _: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        Ok(self.mean.clone() + self.spread.sample(shape[0], rng))
    }
}

pub(crate) fn schedule() -> Outcome<Karras> {
    Ok(Karras::new(SIGMA_MAX)?)
}

/// Noise levels of Karras et al. 2022 to the lowest and zero, in `steps` steps.
pub(crate) fn karras(steps: usize) -> Outcome<TimeGrid> {
    let grid = TimeGrid::karras(&schedule()?, SIGMA_MAX, SIGMA_MIN, 7.0, steps - 1)?;
    Ok(grid.then_zero())
}

/// Equal steps in the logarithm of the noise level and a last one to zero, `steps` in all.
pub(crate) fn log_snr(steps: usize) -> Outcome<TimeGrid> {
    let grid = TimeGrid::log_snr(&schedule()?, SIGMA_MAX, SIGMA_MIN, steps - 1)?;
    Ok(grid.then_zero())
}

/// The published process and all of its steps.
fn published() -> Outcome<(DdpmTable, TimeGrid)> {
    let table = DdpmTable::linear(PUBLISHED_STEPS, 1e-4, 0.02)?;
    let grid = TimeGrid::table(PUBLISHED_STEPS, PUBLISHED_STEPS, Spacing::Trailing)?;
    Ok((table, grid))
}

/// The prior as if its samples were independent.
pub(crate) fn isotropic() -> Result<Isotropic, FidelityError> {
    Isotropic::new(SAMPLE_VARIANCE)
}

pub(crate) fn built<'a>(sampler: impl PosteriorSampler + 'a) -> Built<'a> {
    Ok(Box::new(sampler))
}

/// A solver on the guided denoiser.
pub(crate) fn guided<'a, G, M>(
    prior: Prior<'a>,
    guidance: G,
    solver: M,
    grid: TimeGrid,
) -> Built<'a>
where
    G: NoisyFidelity + 'a,
    M: Solver<Reverse<Karras, Posterior<Prior<'a>, G>>, 4> + 'a,
{
    let posterior = Posterior { prior, guidance };
    let process = Reverse::sde(schedule()?, posterior);
    built(DiffusionSampler::new(process, solver, grid))
}

/// The published algorithm on the published process.
pub(crate) fn dps<'a>(case: &Case<'a>, prior: Prior<'a>, zeta: f64) -> Built<'a> {
    let config = DpsConfig {
        zeta,
        ..DpsConfig::default()
    };
    let (operator, y) = (case.operator(), case.y.clone());
    let (schedule, grid) = published()?;
    built(DpsSampler::new(schedule, prior, operator, y, grid, config)?)
}

/// On the published process; `rho` is the weight of `|x - D|^2` beside `|A x - y|^2` at the noise level 1.
pub(crate) fn diffpir<'a>(case: &Case<'a>, prior: Prior<'a>, rho: f64, zeta: f64) -> Built<'a> {
    let config = DiffPirConfig {
        lambda: rho / case.noise_std.powi(2),
        zeta,
    };
    let data = L2::new(case.operator(), case.y.clone(), case.noise_std)?;
    let (schedule, grid) = published()?;
    built(DiffPir::new(schedule, prior, data, grid, config)?)
}

/// As published but for `prior_steps`.
pub(crate) fn dpnp<'a>(case: &Case<'a>, prior: Prior<'a>, eta_0: f64) -> Built<'a> {
    let config = DpnpConfig {
        iterations: 40,
        eta_0,
        eta_k: 0.1,
        ..DpnpConfig::default()
    };
    built(Dpnp::new(prior, case.measurement(), config)?)
}
