//! Solvers by name.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::{
    core::{Denoiser, GridError, Schedule, TimeGrid},
    samplers::{DiffusionSampler, PosteriorSampler},
    sde::Reverse,
    solvers::{Ddim, Ddpm, EulerMaruyama, Heun},
};

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
    /// First order, stochastic.
    EulerMaruyama,
}

/// A grid of times by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GridName {
    /// Steps equally long in time.
    Uniform,
    /// Steps equally long in the seventh root of the noise level: short ones where there is little noise.
    Karras,
}

/// The last noise level of a Karras grid before zero: one grey level of 256.
const LEAST_SIGMA: f64 = 1.0 / 255.0;

/// The exponent of Karras et al. 2022.
const RHO: f64 = 7.0;

/// Settings of the steps.
#[derive(Args, Clone, Copy, Debug, Serialize)]
pub(crate) struct Method {
    /// The method of the steps.
    #[arg(long, value_enum, default_value = "ddpm", value_name = "NAME")]
    pub(crate) solver: SolverName,
    /// Stochasticity of DDIM, from 0 to 1.
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
    fn times(&self, schedule: &dyn Schedule) -> Result<TimeGrid, GridError> {
        let (horizon, steps) = (schedule.horizon(), self.steps as usize);
        match self.grid {
            GridName::Karras if steps > 1 => {
                let highest = schedule.sigma(horizon);
                TimeGrid::karras(schedule, highest, LEAST_SIGMA, RHO, steps - 1)
                    .map(TimeGrid::then_zero)
            }
            _ => TimeGrid::uniform(horizon, 0.0, steps),
        }
    }

    /// The sampler that runs `schedule` back from its horizon to the data, driven by `denoiser`.
    pub(crate) fn sampler<'a>(
        &self,
        schedule: Arc<dyn Schedule>,
        denoiser: &'a dyn Denoiser,
    ) -> Result<Box<dyn PosteriorSampler + 'a>, GridError> {
        let grid = self.times(schedule.as_ref())?;
        let process = |alpha| Reverse::new(schedule.clone(), denoiser, alpha);
        Ok(match self.solver {
            SolverName::Ddpm => Box::new(DiffusionSampler {
                process: process(1.0),
                solver: Ddpm,
                grid,
            }),
            SolverName::Ddim => Box::new(DiffusionSampler {
                process: process(0.0),
                solver: Ddim::new(self.eta),
                grid,
            }),
            SolverName::Heun => Box::new(DiffusionSampler {
                process: process(0.0),
                solver: Heun,
                grid,
            }),
            SolverName::EulerMaruyama => Box::new(DiffusionSampler {
                process: process(1.0),
                solver: EulerMaruyama,
                grid,
            }),
        })
    }
}
