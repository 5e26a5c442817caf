//! Solvers by name.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::{
    core::{Denoiser, GridError, Schedule, TimeGrid},
    samplers::{DiffusionSampler, PosteriorSampler},
    sde::Reverse,
    solvers::{
        Ddim, Ddpm, DpmSolverPp2M, DpmSolverPp2MSde, DpmSolverPp3MSde, Edm, EulerMaruyama, Heun,
        LearnedDdpm, Solver, UniPc,
    },
};

use crate::failure::Outcome;

/// A solver by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SolverName {
    /// Ancestral sampling.
    Ddpm,
    /// From a deterministic flow (eta = 0) to ancestral sampling (eta = 1).
    Ddim,
    /// Second order, deterministic, two evaluations a step.
    Heun,
    /// Heun's method in the noise level, after Karras et al. 2022.
    Edm,
    /// First order, stochastic.
    EulerMaruyama,
    /// DPM-Solver++(2M): second order, deterministic.
    #[value(name = "dpmpp-2m")]
    #[serde(rename = "dpmpp-2m")]
    DpmSolverPp2M,
    /// The same for the stochastic equation.
    #[value(name = "dpmpp-2m-sde")]
    #[serde(rename = "dpmpp-2m-sde")]
    DpmSolverPp2MSde,
    /// Its member that looks three steps back.
    #[value(name = "dpmpp-3m-sde")]
    #[serde(rename = "dpmpp-3m-sde")]
    DpmSolverPp3MSde,
    /// UniPC of order 2: deterministic, the most accurate in few steps.
    #[value(name = "unipc")]
    #[serde(rename = "unipc")]
    UniPc,
}

/// A grid of times by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GridName {
    /// Steps equally long in time.
    Uniform,
    /// Steps equally long in the seventh root of the noise level: short ones where there is little noise.
    Karras,
    /// Steps equally long in the logarithm of the noise level.
    LogSnr,
    /// Steps equally long in the square root of the time.
    Quadratic,
}

/// The last noise level before zero of a grid of noise levels: one grey level of 256.
const LEAST_SIGMA: f64 = 1.0 / 255.0;

/// The exponent of Karras et al. 2022.
pub(crate) const RHO: f64 = 7.0;

/// Settings of the steps.
#[derive(Args, Clone, Copy, Debug, Serialize)]
pub(crate) struct Method {
    /// The method of the steps.
    #[arg(long, value_enum, default_value = "ddpm", value_name = "NAME")]
    pub(crate) solver: SolverName,
    /// Stochasticity of DDIM, from 0 to 1; the other methods have their own.
    #[arg(long, default_value_t = 0.0, value_name = "ETA", value_parser = unit_interval)]
    pub(crate) eta: f64,
    /// Number of steps.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// Where the steps lie.
    #[arg(long, value_enum, default_value = "uniform", value_name = "NAME")]
    pub(crate) grid: GridName,
}

/// Parses a number in [0, 1].
pub(crate) fn unit_interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        Ok(value) => Err(format!("expected a number from 0 to 1, found {value}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a finite number that is at least 0.
pub(crate) fn non_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        Ok(value) => Err(format!(
            "expected a finite number, at least 0, found {value}"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a finite number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        Ok(value) => Err(format!("expected a finite number above 0, found {value}")),
        Err(error) => Err(error.to_string()),
    }
}

impl Method {
    /// The times from the schedule's horizon to the data.
    pub(crate) fn times(&self, schedule: &dyn Schedule) -> Result<TimeGrid, GridError> {
        let (horizon, steps) = (schedule.horizon(), self.steps as usize);
        let highest = schedule.sigma(horizon);
        match self.grid {
            // The closing step to zero is one of the steps; where it is the only one, all grids are the same.
            GridName::Karras if steps > 1 => {
                TimeGrid::karras(schedule, highest, LEAST_SIGMA, RHO, steps - 1)
                    .map(TimeGrid::then_zero)
            }
            GridName::LogSnr if steps > 1 => {
                TimeGrid::log_snr(schedule, highest, LEAST_SIGMA, steps - 1)
                    .map(TimeGrid::then_zero)
            }
            GridName::Quadratic => TimeGrid::quadratic(horizon, 0.0, steps),
            _ => TimeGrid::uniform(horizon, 0.0, steps),
        }
    }

    /// The sampler that runs `schedule` back from its horizon to the data, driven by `denoiser`.
    pub(crate) fn sampler<'a>(
        &self,
        schedule: Arc<dyn Schedule>,
        denoiser: Box<dyn Denoiser + 'a>,
    ) -> Outcome<Box<dyn PosteriorSampler + 'a>> {
        let grid = self.times(schedule.as_ref())?;
        Ok(match self.solver {
            SolverName::Ddpm => sde(schedule, denoiser, Ddpm, grid),
            SolverName::Ddim => flow(schedule, denoiser, Ddim::new(self.eta)?, grid),
            SolverName::Heun => flow(schedule, denoiser, Heun, grid),
            SolverName::Edm => flow(schedule, denoiser, Edm::default(), grid),
            SolverName::EulerMaruyama => sde(schedule, denoiser, EulerMaruyama, grid),
            SolverName::DpmSolverPp2M => flow(schedule, denoiser, DpmSolverPp2M, grid),
            SolverName::DpmSolverPp2MSde => {
                sde(schedule, denoiser, DpmSolverPp2MSde::new(1.0)?, grid)
            }
            SolverName::DpmSolverPp3MSde => {
                sde(schedule, denoiser, DpmSolverPp3MSde::new(1.0)?, grid)
            }
            SolverName::UniPc => flow(schedule, denoiser, UniPc::new(2)?, grid),
        })
    }

    /// The ancestral sampler that runs `schedule` back with the variances that `denoiser` has learnt.
    ///
    /// # Panics
    /// A step panics if it has none.
    pub(crate) fn learned_sampler<'a>(
        &self,
        schedule: Arc<dyn Schedule>,
        denoiser: Box<dyn Denoiser + 'a>,
    ) -> Outcome<Box<dyn PosteriorSampler + 'a>> {
        let grid = self.times(schedule.as_ref())?;
        Ok(sde(schedule, denoiser, LearnedDdpm, grid))
    }
}

/// The reverse process that the program runs. Where the schedule ends with noise, the last state is denoised.
type Process<'a> = Reverse<Arc<dyn Schedule>, Box<dyn Denoiser + 'a>>;

fn flow<'a>(
    schedule: Arc<dyn Schedule>,
    denoiser: Box<dyn Denoiser + 'a>,
    solver: impl Solver<Process<'a>> + 'a,
    grid: TimeGrid,
) -> Box<dyn PosteriorSampler + 'a> {
    let process = Reverse::flow(schedule, denoiser);
    Box::new(DiffusionSampler::new(process, solver, grid).denoise_last())
}

fn sde<'a>(
    schedule: Arc<dyn Schedule>,
    denoiser: Box<dyn Denoiser + 'a>,
    solver: impl Solver<Process<'a>> + 'a,
    grid: TimeGrid,
) -> Box<dyn PosteriorSampler + 'a> {
    let process = Reverse::sde(schedule, denoiser);
    Box::new(DiffusionSampler::new(process, solver, grid).denoise_last())
}
