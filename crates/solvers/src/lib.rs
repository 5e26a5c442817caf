//! Numerical solvers for reverse-time diffusions, and the loop that runs them.
//!
//! A [`Solver`] makes one step; [`integrate`] walks a [`TimeGrid`](tweedie_core::TimeGrid) with it. The bound on the process
//! states what a method needs. [`EulerMaruyama`], [`Heun`] and [`Rk4`] solve any [`Sde`](tweedie_sde::Sde). The others use the
//! structure of a [`Diffusion`](tweedie_sde::Diffusion) and solve its linear part exactly: [`Ddpm`],
//! [`LearnedDdpm`], [`Ddim`], [`Edm`] and [`DpmSolverPp2S`] in single steps, [`DpmSolverPp2M`], [`DpmSolverPp2MSde`], [`UniPc`] and [`AdamsBashforth`] with a memory.
//! [`DormandPrince`] and [`AdaptiveSde`] choose their steps, and [`log_likelihood`] runs the flow from an image to noise.
//! `docs/solvers.md` compares them.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
//! use tweedie_sde::{Reverse, pure_noise};
//! use tweedie_solvers::{Ddim, integrate};
//!
//! let device = Device::flex();
//! let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
//! let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device), 0.04);
//! let mut rng = Rng::seeded(0, &device);
//! let start = pure_noise(&schedule, [2, 1, 8, 8], 1.0, &mut rng);
//! let process = Reverse::flow(schedule, prior);
//! let grid = TimeGrid::uniform(1.0, 0.0, 20).unwrap();
//! let samples = integrate(&process, &Ddim::new(0.0).unwrap(), start, &grid, &mut rng, |_| ()).unwrap();
//! assert_eq!(samples.dims(), [2, 1, 8, 8]);
//! ```

mod adams_bashforth;
mod adaptive;
mod adaptive_sde;
mod ancestral;
mod annealed_langevin;
mod bridge;
mod ddim;
mod ddpm;
mod dormand_prince;
mod dpm_solver_2;
mod dpm_solver_pp_2m;
mod dpm_solver_pp_2m_sde;
mod dpm_solver_pp_2s;
mod dpm_solver_pp_3m_sde;
mod edm;
mod error;
mod euler_maruyama;
mod exponential_euler;
mod heun;
mod history;
mod integrate;
mod kick;
mod lagrange;
mod learned_ddpm;
mod levels;
mod likelihood;
mod predictor_corrector;
mod quadrature;
mod recorder;
mod rk4;
mod unipc;
mod variation;

pub use adams_bashforth::AdamsBashforth;
pub use adaptive::{Adaptive, Attempt, RowStats, StepControl};
pub use adaptive_sde::AdaptiveSde;
pub use ancestral::Ancestral;
pub use annealed_langevin::AnnealedLangevin;
pub use ddim::Ddim;
pub use ddpm::Ddpm;
pub use dormand_prince::DormandPrince;
pub use dpm_solver_2::DpmSolver2;
pub use dpm_solver_pp_2m::DpmSolverPp2M;
pub use dpm_solver_pp_2m_sde::DpmSolverPp2MSde;
pub use dpm_solver_pp_2s::DpmSolverPp2S;
pub use dpm_solver_pp_3m_sde::DpmSolverPp3MSde;
pub use edm::{Edm, EdmConfig};
pub use error::SolveError;
pub use euler_maruyama::EulerMaruyama;
pub use exponential_euler::ExponentialEuler;
pub use heun::Heun;
pub use integrate::{Health, Solver, Step, integrate};
pub use learned_ddpm::LearnedDdpm;
pub use likelihood::{
    LogLikelihood, Probe, Trace, bits_per_dimension, log_likelihood, pure_noise_log_density,
};
pub use predictor_corrector::PredictorCorrector;
pub use recorder::Recorder;
pub use rk4::Rk4;
pub use unipc::UniPc;
