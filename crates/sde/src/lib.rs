//! Diffusion processes: the reverse of a noising process, driven by a denoiser.
//!
//! A [`Reverse`] joins a schedule and a prior denoiser into the family of reverse-time equations that share the forward
//! process's marginals. Solvers see it either as a general [`Sde`] (drift and diffusion) or, if they use the exact solution
//! of its linear part, as a [`Diffusion`] (schedule and denoised image). [`General`] is an equation of your own.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{GaussianPrior, VariancePreserving};
//! use tweedie_sde::{Reverse, Sde};
//!
//! let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 4, 4], &Device::flex()), 1.0);
//! let process = Reverse::sde(VariancePreserving::new(0.1, 20.0).unwrap(), prior);
//! let drift = process.drift(Tensor::<4>::ones([2, 1, 4, 4], &Device::flex()), 0.5);
//! assert_eq!(drift.dims(), [2, 1, 4, 4]);
//! ```

mod error;
mod forward;
mod general;
mod process;
mod reverse;

pub use error::ProcessError;
pub use forward::{perturb, pure_noise, transition};
pub use general::General;
pub use process::{Diffusion, Process, Sde};
pub use reverse::Reverse;
