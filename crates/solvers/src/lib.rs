//! Numerical solvers for reverse-time diffusions, and the loop that runs them.
//!
//! A [`Solver`] makes one step; [`integrate`] walks a [`TimeGrid`](tweedie_core::TimeGrid) with it. The bound on the problem
//! states what a method needs: [`EulerMaruyama`] and [`Heun`] solve any [`Sde`](tweedie_sde::Sde), [`Ddpm`] and [`Ddim`] use
//! the structure of a [`Diffusion`](tweedie_sde::Diffusion) and solve its linear part exactly.
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
//! let process = Reverse::new(schedule, prior, 0.0);
//! let grid = TimeGrid::uniform(1.0, 0.0, 20).unwrap();
//! let samples = integrate(&process, &Ddim::new(0.0), start, &grid, &mut rng, |_| ());
//! assert_eq!(samples.dims(), [2, 1, 8, 8]);
//! ```

mod ddim;
mod ddpm;
mod euler_maruyama;
mod heun;
mod integrate;
mod recorder;

pub use ddim::Ddim;
pub use ddpm::Ddpm;
pub use euler_maruyama::EulerMaruyama;
pub use heun::Heun;
pub use integrate::{Solver, Step, integrate};
pub use recorder::Recorder;
