//! How the samplers of the table are put together: schedule, grids, and what several lines share.

use tweedie::{
    burn::tensor::Tensor,
    core::{AnalyticPrior, FullGaussian, Karras, Rng, TimeGrid},
    fidelity::{L2, NoisyFidelity, Posterior},
    samplers::{
        Ddrm, DdrmConfig, DiffPir, DiffPirConfig, DiffusionSampler, DpsConfig, DpsSampler,
        Measurement, PosteriorSampler, Repaint, RepaintConfig, SampleError,
    },
    sde::Reverse,
    solvers::{Solver, Step},
};

use super::{
    methods::{Built, Prior},
    problem::{NOISE_STD, Problem},
};
use crate::failure::Outcome;

/// Highest noise level of the schedule, so high that a start from black shows nowhere.
const HORIZON: f64 = 300.0;

/// Draws of a known law.
pub(crate) struct Exact(pub(crate) FullGaussian);

impl PosteriorSampler for Exact {
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        _: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        Ok(self.0.sample(shape[0], rng))
    }
}

pub(crate) fn schedule() -> Outcome<Karras> {
    Ok(Karras::new(HORIZON)?)
}

/// Noise levels of Karras et al. 2022 from 80 to `least` and zero, in `steps` steps.
pub(crate) fn karras(least: f64, steps: usize) -> Outcome<TimeGrid> {
    Ok(TimeGrid::karras(&schedule()?, 80.0, least, 7.0, steps - 1)?.then_zero())
}

/// Equal steps in the logarithm of the noise level and a last one to zero, `steps` in all.
pub(crate) fn log_snr(most: f64, least: f64, steps: usize) -> Outcome<TimeGrid> {
    Ok(TimeGrid::log_snr(&schedule()?, most, least, steps - 1)?.then_zero())
}

/// One step from the horizon to `most`, above which the denoised image hardly depends on the noisy one, then as [`log_snr`]; `steps`
/// in all.
pub(crate) fn leap(most: f64, least: f64, steps: usize) -> Outcome<TimeGrid> {
    let rest = log_snr(most, least, steps - 1)?;
    Ok(TimeGrid::new([&[HORIZON], rest.times()].concat())?)
}

/// A solver on the prior alone.
pub(crate) fn unguided<'a, M: Solver<Reverse<Karras, Prior<'a>>, 4> + 'a>(
    prior: Prior<'a>,
    solver: M,
    grid: TimeGrid,
) -> Built<'a> {
    let process = Reverse::sde(schedule()?, prior);
    Ok(Some(Box::new(DiffusionSampler::new(process, solver, grid))))
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
    Ok(Some(Box::new(DiffusionSampler::new(process, solver, grid))))
}

pub(crate) fn ddrm<'a>(
    problem: &'a Problem,
    prior: Prior<'a>,
    eta: f64,
    grid: TimeGrid,
) -> Built<'a> {
    let config = DdrmConfig {
        eta,
        ..DdrmConfig::default()
    };
    let sampler = Ddrm::new(schedule()?, prior, problem.measurement(), grid, config)?;
    Ok(Some(Box::new(sampler)))
}

/// The published algorithm.
pub(crate) fn dps<'a>(problem: &'a Problem, prior: Prior<'a>, zeta: f64) -> Built<'a> {
    let config = DpsConfig {
        zeta,
        ..DpsConfig::default()
    };
    let (operator, y) = (problem.operator(), problem.y.clone());
    let sampler = DpsSampler::new(schedule()?, prior, operator, y, karras(0.002, 100)?, config)?;
    Ok(Some(Box::new(sampler)))
}

pub(crate) fn diffpir<'a>(
    problem: &'a Problem,
    prior: Prior<'a>,
    config: DiffPirConfig,
    steps: usize,
) -> Built<'a> {
    let data = L2::new(problem.operator(), problem.y.clone(), NOISE_STD)?;
    let sampler = DiffPir::new(schedule()?, prior, data, karras(0.002, steps)?, config)?;
    Ok(Some(Box::new(sampler)))
}

/// Where pixels are hidden.
pub(crate) fn repaint<'a>(problem: &'a Problem, prior: Prior<'a>, grid: TimeGrid) -> Built<'a> {
    let Some(operator) = problem.inpainting.clone() else {
        return Ok(None);
    };
    let measurement = Measurement {
        operator,
        y: problem.y.clone(),
        noise_std: NOISE_STD,
    };
    let config = RepaintConfig::default();
    let sampler = Repaint::new(schedule()?, prior, measurement, grid, config)?;
    Ok(Some(Box::new(sampler)))
}
