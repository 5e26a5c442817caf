//! Problems and the registry of solvers.

use std::sync::Arc;

use tweedie_core::{
    Cosine, DdpmTable, GaussianPrior, Schedule, TimeGrid, VarianceExploding, VariancePreserving,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Ddpm, EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{Moments, affine_law, exact};

pub(crate) type Process = Reverse<Arc<dyn Schedule>, GaussianPrior<2>>;

pub(crate) fn schedules() -> Vec<(&'static str, Arc<dyn Schedule>)> {
    vec![
        (
            "exploding",
            Arc::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        ),
        (
            "preserving",
            Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
        ("cosine", Arc::new(Cosine::new(0.008, 1000.0).unwrap())),
        (
            "ddpm",
            Arc::new(DdpmTable::linear(1000, 1e-4, 0.02).unwrap()),
        ),
    ]
}

/// Law of a Gaussian prior at time `t`.
pub(crate) fn marginal(prior: Moments, schedule: &dyn Schedule, t: f64) -> Moments {
    let (s, sigma) = (schedule.scale(t), schedule.sigma(t));
    Moments {
        mean: s * prior.mean,
        variance: s * s * (prior.variance + sigma * sigma),
    }
}

/// The exact law of what `solver` makes of the exact law at the start of `grid`.
pub(crate) fn output_law(
    solver: &impl Solver<Process, 2>,
    alpha: f64,
    prior: Moments,
    schedule: &Arc<dyn Schedule>,
    grid: &TimeGrid,
) -> Moments {
    let denoiser = GaussianPrior::new(exact(&[prior.mean], [1, 1]), prior.variance);
    let process = Reverse::new(schedule.clone(), denoiser, alpha);
    affine_law(grid.steps(), |start, noise| {
        integrate(&process, solver, start, grid, noise, |_| ())
    })
    .output(marginal(prior, schedule.as_ref(), grid.start()))
}

/// The exact law at the end of a grid, given the prior and the schedule.
type Law = Box<dyn Fn(Moments, &Arc<dyn Schedule>, &TimeGrid) -> Moments>;

/// A solver with everything the laws need to know of it.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// Order at which mean and variance of the output converge.
    pub(crate) order: f64,
    /// Exact for a point mass at any step size.
    pub(crate) exact_for_points: bool,
    pub(crate) law: Law,
}

fn member<S: Solver<Process, 2> + 'static>(
    name: &'static str,
    solver: S,
    alpha: f64,
    order: f64,
    exact_for_points: bool,
) -> Member {
    Member {
        name,
        order,
        exact_for_points,
        law: Box::new(move |prior, schedule, grid| {
            output_law(&solver, alpha, prior, schedule, grid)
        }),
    }
}

/// Every solver of the crate; a new one adds a row.
pub(crate) fn registry() -> Vec<Member> {
    vec![
        member("Euler (flow)", EulerMaruyama, 0.0, 1.0, false),
        member("Euler-Maruyama", EulerMaruyama, 1.0, 1.0, false),
        member("Euler-Maruyama, half noise", EulerMaruyama, 0.5, 1.0, false),
        member("Heun (flow)", Heun, 0.0, 2.0, false),
        member("Heun (stochastic)", Heun, 1.0, 1.0, false),
        member("DDPM", Ddpm, 1.0, 1.0, true),
        member("DDIM(0)", Ddim::new(0.0), 0.0, 1.0, true),
        member("DDIM(0.5)", Ddim::new(0.5), 0.0, 1.0, true),
        member("DDIM(1)", Ddim::new(1.0), 0.0, 1.0, true),
    ]
}
