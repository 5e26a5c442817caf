//! Problems and the registry of solvers.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{
    Cosine, Counted, DdpmTable, GaussianPrior, Noise, Schedule, TimeGrid, VarianceExploding,
    VariancePreserving,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{
    AdamsBashforth, Ancestral, Ddim, Ddpm, DpmSolver2, DpmSolverPp2M, DpmSolverPp2MSde,
    DpmSolverPp2S, DpmSolverPp3MSde, Edm, EdmConfig, EulerMaruyama, ExponentialEuler, Heun, Rk4,
    Solver, UniPc, integrate,
};
use tweedie_testkit::{Moments, affine_law, exact};

pub(crate) type Process = Reverse<Arc<dyn Schedule>, Counted<GaussianPrior<2>>>;

/// What the laws check, unless they say otherwise: neither centred nor of unit variance.
pub(crate) const PRIOR: Moments = Moments {
    mean: 0.7,
    variance: 0.25,
};

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

/// The reverse process of a Gaussian prior on one pixel.
pub(crate) fn process(prior: Moments, schedule: &Arc<dyn Schedule>, alpha: f64) -> Process {
    let denoiser = GaussianPrior::new(exact(&[prior.mean], [1, 1]), prior.variance);
    Reverse::new(schedule.clone(), Counted::new(denoiser), alpha).unwrap()
}

/// Law of a Gaussian prior at time `t`.
pub(crate) fn marginal(prior: Moments, schedule: &dyn Schedule, t: f64) -> Moments {
    let (s, sigma) = (schedule.scale(t), schedule.sigma(t));
    Moments {
        mean: s * prior.mean,
        variance: s * s * (prior.variance + sigma * sigma),
    }
}

/// A whole run from a given start.
type Run = Box<dyn Fn(&Process, Tensor<2>, &TimeGrid, &mut dyn Noise<2>) -> Tensor<2>>;

/// A solver with everything the laws need to know of it.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// Stochasticity of the process that it solves.
    pub(crate) alpha: f64,
    /// Order at which mean and variance of the output converge.
    pub(crate) order: f64,
    /// Order at which the state converges on a fixed Brownian path; none for a method without noise.
    pub(crate) strong_order: Option<f64>,
    /// How many evaluations so many steps take, the last of which ends above time 0.
    pub(crate) evaluations: fn(usize) -> usize,
    /// Exact for a point mass at any step size.
    pub(crate) exact_for_points: bool,
    /// Only for schedules that preserve the variance.
    pub(crate) preserving_only: bool,
    /// By how much finer than others its grids are where its order is observed: it is more accurate on coarse ones.
    pub(crate) finer: usize,
    /// At most how many times a step draws noise.
    pub(crate) draws: usize,
    pub(crate) run: Run,
}

impl Member {
    /// A method with one evaluation a step, for the given process.
    fn new<S: Solver<Process, 2> + 'static>(
        name: &'static str,
        solver: S,
        alpha: f64,
        order: f64,
    ) -> Self {
        Self {
            name,
            alpha,
            order,
            strong_order: None,
            evaluations: |steps| steps,
            exact_for_points: false,
            preserving_only: false,
            finer: 1,
            draws: 1,
            run: Box::new(move |process, start, grid, noise| {
                integrate(process, &solver, start, grid, noise, |_| ()).unwrap()
            }),
        }
    }

    fn evaluations(mut self, evaluations: fn(usize) -> usize) -> Self {
        self.evaluations = evaluations;
        self
    }

    fn silent(mut self) -> Self {
        self.draws = 0;
        self
    }

    fn strong_order(mut self, order: f64) -> Self {
        self.strong_order = Some(order);
        self
    }

    fn preserving_only(mut self) -> Self {
        self.preserving_only = true;
        self
    }

    fn finer(mut self, finer: usize) -> Self {
        self.finer = finer;
        self
    }

    fn exact_for_points(mut self) -> Self {
        self.exact_for_points = true;
        self
    }

    pub(crate) fn suits(&self, schedule_name: &str) -> bool {
        !(self.preserving_only && schedule_name == "exploding")
    }

    /// The exact law of the output when the start has the exact law of its time.
    pub(crate) fn law(
        &self,
        prior: Moments,
        schedule: &Arc<dyn Schedule>,
        grid: &TimeGrid,
    ) -> Moments {
        let process = process(prior, schedule, self.alpha);
        affine_law(self.draws * grid.steps(), |start, noise| {
            (self.run)(&process, start, grid, noise)
        })
        .output(marginal(prior, schedule.as_ref(), grid.start()))
    }
}

/// A method for the flow that uses the structure of a diffusion, with one evaluation a step.
fn flow<S: Solver<Process, 2> + 'static>(name: &'static str, solver: S, order: f64) -> Member {
    Member::new(name, solver, 0.0, order)
        .exact_for_points()
        .silent()
}

/// Every solver of the crate; a new one adds a row.
pub(crate) fn registry() -> Vec<Member> {
    vec![
        Member::new("Euler (flow)", EulerMaruyama, 0.0, 1.0).silent(),
        Member::new("Euler-Maruyama", EulerMaruyama, 1.0, 1.0).strong_order(1.0),
        Member::new("Euler-Maruyama, half noise", EulerMaruyama, 0.5, 1.0).strong_order(1.0),
        Member::new("Heun (flow)", Heun, 0.0, 2.0)
            .evaluations(|steps| 2 * steps)
            .silent(),
        Member::new("Heun (stochastic)", Heun, 1.0, 2.0)
            .evaluations(|steps| 2 * steps)
            .strong_order(1.0),
        Member::new("Ancestral", Ancestral, 1.0, 1.0)
            .preserving_only()
            .strong_order(1.0),
        Member::new("DDPM", Ddpm, 1.0, 1.0)
            .exact_for_points()
            .strong_order(1.0),
        Member::new("DDIM(0)", ddim(0.0), 0.0, 1.0)
            .exact_for_points()
            .silent(),
        Member::new("DDIM(0.5)", ddim(0.5), 0.0, 1.0)
            .exact_for_points()
            .strong_order(1.0),
        Member::new("DDIM(1)", ddim(1.0), 0.0, 1.0)
            .exact_for_points()
            .strong_order(1.0),
        Member::new("EDM", Edm::default(), 0.0, 2.0)
            .evaluations(|steps| 2 * steps)
            .exact_for_points()
            .silent(),
        edm_with_churn()
            .evaluations(|steps| 2 * steps)
            .exact_for_points(),
        Member::new("Exponential Euler (flow)", ExponentialEuler, 0.0, 1.0).silent(),
        Member::new("Exponential Euler, half noise", ExponentialEuler, 0.5, 1.0).strong_order(1.0),
        Member::new("Exponential Euler", ExponentialEuler, 1.0, 1.0).strong_order(1.0),
        Member::new("SDE-DPM-Solver++(2M), eta 0", two_step(0.0), 0.0, 2.0)
            .exact_for_points()
            .silent(),
        Member::new("SDE-DPM-Solver++(2M), eta 0.6", two_step(0.6), 0.0, 2.0)
            .exact_for_points()
            .strong_order(1.0),
        Member::new("SDE-DPM-Solver++(2M)", two_step(1.0), 1.0, 2.0)
            .exact_for_points()
            .strong_order(1.0),
        Member::new("SDE-DPM-Solver++(3M), eta 0.6", three_step(0.6), 0.0, 2.0)
            .exact_for_points()
            .finer(4)
            .strong_order(1.0),
        Member::new("SDE-DPM-Solver++(3M)", three_step(1.0), 1.0, 2.0)
            .exact_for_points()
            .finer(4)
            .strong_order(1.0),
        flow("DPM-Solver-2", DpmSolver2, 2.0).evaluations(|steps| 2 * steps),
        flow("DPM-Solver++(2S)", DpmSolverPp2S, 2.0).evaluations(|steps| 2 * steps),
        flow("DPM-Solver++(2M)", DpmSolverPp2M, 2.0),
        flow("UniPC-1", UniPc::new(1).unwrap(), 2.0),
        flow("UniPC-2", UniPc::new(2).unwrap(), 3.0),
        flow("UniPC-3", UniPc::new(3).unwrap(), 4.0),
        flow("AB1", AdamsBashforth::new(1).unwrap(), 1.0),
        flow("AB2", AdamsBashforth::new(2).unwrap(), 2.0),
        flow("AB3", AdamsBashforth::new(3).unwrap(), 3.0).evaluations(|steps| steps + 2),
        flow("AB4", AdamsBashforth::new(4).unwrap(), 4.0).evaluations(|steps| steps + 4),
        Member::new("RK4", Rk4, 0.0, 4.0)
            .evaluations(|steps| 4 * steps)
            .silent(),
    ]
}

pub(crate) fn ddim(eta: f64) -> Ddim {
    Ddim::new(eta).unwrap()
}

pub(crate) fn two_step(eta: f64) -> DpmSolverPp2MSde {
    DpmSolverPp2MSde::new(eta).unwrap()
}

pub(crate) fn three_step(eta: f64) -> DpmSolverPp3MSde {
    DpmSolverPp3MSde::new(eta).unwrap()
}

/// The churn is shared among the steps of a run, whose number is that of its grid.
fn edm_with_churn() -> Member {
    let config = |steps| EdmConfig {
        s_churn: 8.0,
        s_min: 0.4,
        s_max: Some(10.0),
        ..EdmConfig::deterministic(steps)
    };
    Member {
        run: Box::new(move |process, start, grid, noise| {
            let solver = Edm::new(config(grid.steps())).unwrap();
            integrate(process, &solver, start, grid, noise, |_| ()).unwrap()
        }),
        ..Member::new("EDM with churn", Edm::default(), 0.0, 2.0)
    }
}

/// Least-squares slope of `-log error` against `log steps`.
pub(crate) fn observed_order(counts: &[usize], errors: &[f64]) -> f64 {
    let x: Vec<f64> = counts.iter().map(|n| (*n as f64).ln()).collect();
    let y: Vec<f64> = errors.iter().map(|e| -e.ln()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let covariance: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    covariance / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}
