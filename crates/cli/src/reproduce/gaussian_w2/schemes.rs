//! The schemes of the experiment: those of the published table, and every solver of ours that is linear for a Gaussian.

use tweedie::{
    core::{Counted, GaussianPrior, GridError, Schedule, TimeGrid, VariancePreserving},
    sde::Reverse,
    solvers::{
        AdamsBashforth, Ancestral, Ddim, Ddpm, DpmSolver2, DpmSolverPp2M, DpmSolverPp2MSde,
        DpmSolverPp2S, DpmSolverPp3MSde, Edm, EdmConfig, EulerMaruyama, ExponentialEuler, Heun,
        Rk4, SolveError, Solver, UniPc,
    },
};

use crate::failure::Outcome;

use super::{
    law::{Law, Process, of_run, of_steps, prior},
    published::Scheme,
};

/// Lowest noise level above zero of our own grids.
const LEAST_SIGMA: f64 = 1e-3;

/// Exponent of Karras et al. 2022.
const RHO: f64 = 7.0;

/// Runs of one spectrum.
pub(crate) struct Problem<'a> {
    schedule: VariancePreserving,
    prior: GaussianPrior<2>,
    spectrum: &'a [f64],
}

/// One of our solvers on a grid of our choice.
pub(crate) struct Ours {
    pub(crate) name: &'static str,
    /// Evaluations a step.
    pub(crate) cost: usize,
    run: fn(&Problem<'_>, &TimeGrid) -> Result<Law, SolveError>,
}

impl<'a> Problem<'a> {
    /// The process of the experiment for a centred Gaussian with the given variances.
    pub(crate) fn new(spectrum: &'a [f64]) -> Outcome<Self> {
        Ok(Self {
            schedule: VariancePreserving::new(0.1, 20.0)?,
            prior: prior(spectrum)?,
            spectrum,
        })
    }

    fn flow(&self) -> Process {
        Reverse::flow(self.schedule, Counted::new(self.prior.clone()))
    }

    fn sde(&self) -> Process {
        Reverse::sde(self.schedule, Counted::new(self.prior.clone()))
    }

    fn steps<S: Solver<Process, 2, Memory = ()>>(
        &self,
        process: &Process,
        solver: &S,
        grid: &TimeGrid,
        draws: usize,
    ) -> Law {
        of_steps(process, solver, grid, self.spectrum.len(), draws)
    }

    fn silent_run<S: Solver<Process, 2>>(
        &self,
        solver: &S,
        grid: &TimeGrid,
    ) -> Result<Law, SolveError> {
        of_run(&self.flow(), solver, grid, self.spectrum.len(), false)
    }

    fn noisy_run<S: Solver<Process, 2>>(
        &self,
        solver: &S,
        grid: &TimeGrid,
    ) -> Result<Law, SolveError> {
        of_run(&self.sde(), solver, grid, self.spectrum.len(), true)
    }

    /// A scheme of the published table.
    pub(crate) fn published(&self, scheme: Scheme, grid: &TimeGrid) -> Law {
        match scheme {
            Scheme::EulerMaruyama => self.steps(&self.sde(), &EulerMaruyama, grid, 1),
            Scheme::ExponentialEuler => self.steps(&self.sde(), &ExponentialEuler, grid, 1),
            Scheme::Ddpm => self.steps(&self.sde(), &Ancestral, grid, 1),
            Scheme::Euler => self.steps(&self.flow(), &EulerMaruyama, grid, 0),
            Scheme::Heun => self.steps(&self.flow(), &Heun, grid, 0),
            Scheme::Rk4 => self.steps(&self.flow(), &Rk4, grid, 0),
        }
    }

    /// One of our solvers with about `evaluations` of the denoiser.
    pub(crate) fn ours(&self, ours: &Ours, evaluations: usize) -> Outcome<(TimeGrid, Law)> {
        let grid = self.grid(evaluations / ours.cost)?;
        let law = (ours.run)(self, &grid)?;
        Ok((grid, law))
    }

    /// Noise levels after Karras et al. 2022, the last step to zero.
    fn grid(&self, steps: usize) -> Result<TimeGrid, GridError> {
        let top = self.schedule.sigma(self.schedule.horizon());
        TimeGrid::karras(&self.schedule, top, LEAST_SIGMA, RHO, steps - 1).map(TimeGrid::then_zero)
    }
}

const fn ours(
    name: &'static str,
    cost: usize,
    run: fn(&Problem<'_>, &TimeGrid) -> Result<Law, SolveError>,
) -> Ours {
    Ours { name, cost, run }
}

/// Every solver whose steps are linear when the denoiser is: not those that choose their steps, or their noise, by what
/// they see.
pub(crate) const OURS: &[Ours] = &[
    ours("Euler (flow)", 1, |p, grid| {
        Ok(p.steps(&p.flow(), &EulerMaruyama, grid, 0))
    }),
    ours("Heun (flow)", 2, |p, grid| {
        Ok(p.steps(&p.flow(), &Heun, grid, 0))
    }),
    ours("RK4 (flow)", 4, |p, grid| {
        Ok(p.steps(&p.flow(), &Rk4, grid, 0))
    }),
    ours("DDIM(0)", 1, |p, grid| {
        Ok(p.steps(&p.flow(), &Ddim::new(0.0)?, grid, 0))
    }),
    ours("EDM, no churn", 2, |p, grid| {
        Ok(p.steps(
            &p.flow(),
            &Edm::new(EdmConfig::deterministic(grid.steps()))?,
            grid,
            0,
        ))
    }),
    ours("EDM, churn 40", 2, |p, grid| {
        let config = EdmConfig {
            s_churn: 40.0,
            ..EdmConfig::deterministic(grid.steps())
        };
        Ok(p.steps(&p.flow(), &Edm::new(config)?, grid, 1))
    }),
    ours("DPM-Solver-2", 2, |p, grid| {
        Ok(p.steps(&p.flow(), &DpmSolver2, grid, 0))
    }),
    ours("DPM-Solver++(2S)", 2, |p, grid| {
        Ok(p.steps(&p.flow(), &DpmSolverPp2S, grid, 0))
    }),
    ours("DPM-Solver++(2M)", 1, |p, grid| {
        p.silent_run(&DpmSolverPp2M, grid)
    }),
    ours("UniPC-2", 1, |p, grid| p.silent_run(&UniPc::new(2)?, grid)),
    ours("UniPC-3", 1, |p, grid| p.silent_run(&UniPc::new(3)?, grid)),
    ours("Adams-Bashforth 2", 1, |p, grid| {
        p.silent_run(&AdamsBashforth::new(2)?, grid)
    }),
    ours("Adams-Bashforth 4", 1, |p, grid| {
        p.silent_run(&AdamsBashforth::new(4)?, grid)
    }),
    ours("Euler-Maruyama", 1, |p, grid| {
        Ok(p.steps(&p.sde(), &EulerMaruyama, grid, 1))
    }),
    ours("Heun (stochastic)", 2, |p, grid| {
        Ok(p.steps(&p.sde(), &Heun, grid, 1))
    }),
    ours("exponential Euler", 1, |p, grid| {
        Ok(p.steps(&p.sde(), &ExponentialEuler, grid, 1))
    }),
    ours("DDPM", 1, |p, grid| Ok(p.steps(&p.sde(), &Ddpm, grid, 1))),
    ours("DPM-Solver++(2M) SDE", 1, |p, grid| {
        p.noisy_run(&DpmSolverPp2MSde::new(1.0)?, grid)
    }),
    ours("DPM-Solver++(3M) SDE", 1, |p, grid| {
        p.noisy_run(&DpmSolverPp3MSde::new(1.0)?, grid)
    }),
];
