//! Diffusion models and Bayesian posterior sampling for imaging.
//!
//! Train a denoiser, or load one; give a measurement `y = N(A x)`; get samples of `x` whose spread can be trusted. This crate
//! re-exports the crates of the workspace, each of which can be used alone, and adds no logic of its own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | schedules, time grids, denoisers, scores, analytic priors, random streams, vector-Jacobian products |
//! | [`sde`] | forward and reverse-time processes |
//! | [`solvers`] | one-step, multistep and adaptive solvers, the loop that runs them, log-likelihoods |
//! | [`physics`] | measurement operators and noise models |
//! | [`fidelity`] | data terms, priors, and their approximations at noisy images (guidance) |
//! | [`mcmc`] | Markov chain Monte Carlo: kernels, the loop that runs chains, when they have converged |
//! | [`samplers`] | finished posterior samplers and the statistics of their draws |
//! | [`kernels`] | fast layers for networks on the CPU, and the switch for them |
//! | [`models`] | networks, and model folders on disk |
//! | [`training`] | objectives, weight averaging, checkpoints and the training loop |
//! | [`data`] | images in and out, data sets, phantoms |
//! | [`metrics`] | PSNR, SSIM, streaming moments, calibration, distances between samples |
//!
//! The device of a tensor decides where everything runs. The Cargo features `flex` (CPU), `wgpu` and `cuda` compile burn's
//! backends; none is on by default, since that is the program's choice.

#[doc = include_str!("../../../README.md")]
#[cfg(doctest)]
struct Readme;

pub use burn;
pub use tweedie_core as core;
pub use tweedie_data as data;
pub use tweedie_fidelity as fidelity;
pub use tweedie_kernels as kernels;
pub use tweedie_mcmc as mcmc;
pub use tweedie_metrics as metrics;
pub use tweedie_models as models;
pub use tweedie_physics as physics;
pub use tweedie_samplers as samplers;
pub use tweedie_sde as sde;
pub use tweedie_solvers as solvers;
pub use tweedie_training as training;

/// The traits and the types that most programs name.
pub mod prelude {
    pub use burn::tensor::{Device, Tensor};
    pub use tweedie_core::{Clipped, Denoiser, DenoiserFn, Noise, Rng, Schedule, Score, TimeGrid};
    pub use tweedie_data::Image;
    pub use tweedie_fidelity::{DataFidelity, Gradient, NoisyFidelity, Posterior, Proximal};
    pub use tweedie_models::Pretrained;
    pub use tweedie_physics::{ForwardOperator, LinearOperator, NoiseModel, Svd};
    pub use tweedie_sde::{Reverse, pure_noise};
    pub use tweedie_solvers::{
        Ddim, Ddpm, DpmSolverPp2M, DpmSolverPp2MSde, EulerMaruyama, Heun, Solver, UniPc, integrate,
    };
}
