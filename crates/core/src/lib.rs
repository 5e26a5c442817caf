//! The ground floor of Tweedie: schedules, time grids, denoisers, randomness and automatic differentiation.
//!
//! Everything above speaks the language of this crate. A diffusion perturbs an image `x_0` into
//! `x_t = s(t) (x_0 + sigma(t) n)` with `n ~ N(0, I)`: a [`Schedule`] holds `s` and `sigma`. A [`Denoiser`] estimates
//! `E[x_0 | x_0 + sigma n]`; by Tweedie's formula it is also the [`Score`] of the smoothed prior. Neither knows the
//! other: a denoiser is indexed by its noise level alone, so any network runs under any schedule.
//!
//! Names and symbols are those of `docs/notation.md`. No backend is chosen here: a tensor brings its own device.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{Denoiser, GaussianPrior, Schedule, Score, VariancePreserving};
//!
//! # fn main() -> Result<(), tweedie_core::ScheduleError> {
//! let device = Device::flex();
//! let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device), 0.04);
//! let schedule = VariancePreserving::new(0.1, 20.0)?;
//! let noisy = Tensor::<4>::ones([1, 1, 8, 8], &device);
//! let sigma = schedule.sigma(0.3);
//! let clean = prior.denoise(noisy.clone(), sigma);
//! let score = prior.score(noisy, sigma);
//! assert_eq!(clean.dims(), score.dims());
//! # Ok(())
//! # }
//! ```

mod adapter;
mod analytic;
mod autodiff;
mod brownian;
mod classifier;
mod combine;
mod denoiser;
mod grid;
mod keystream;
mod memory;
mod normal;
mod precondition;
mod quadrature;
mod rng;
mod schedule;

pub use adapter::{
    Batched, ClassifierFree, Clipped, Conditioned, Padded, SelfEnsemble, TileError, Tiled,
    UnitRange, enlarged,
};
pub use analytic::{
    AnalyticPrior, FullGaussian, GaussianMixture, GaussianPrior, PointMass, PriorError,
};
pub use autodiff::value_and_vjp;
pub use brownian::{BrownianError, BrownianPath};
pub use classifier::NoisyClassifier;
pub use combine::combine;
pub use denoiser::{Backbone, Conditioning, Counted, Denoiser, DenoiserFn, Given, Score};
pub use grid::{GridError, Spacing, Span, TimeGrid};
pub use precondition::{
    Clean, Coefficients, Denoised, Edm, Epsilon, Flow, NoiseLabel, Parametrisation, Preconditioned,
    Preconditioning, Residual, ScoreOf, Velocity,
};
pub use quadrature::gauss_legendre;
pub use rng::{Noise, Rng, RngPosition, RngRow, Stream, seed_dropout, stream};
pub use schedule::{
    Cosine, Custom, DdpmTable, FlowMatching, FromCoefficients, Karras, Scaled, ScaledLinear,
    Schedule, ScheduleConfig, ScheduleError, Sigmoid, SubVariancePreserving, VarianceExploding,
    VariancePreserving,
};
