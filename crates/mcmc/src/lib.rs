//! Markov chain Monte Carlo: draws from `exp(-U(x))` for a potential `U = f + g` of a data term and a prior.
//!
//! A [`MarkovKernel`] moves many chains at once, one for each row of the batch. The Langevin kernels need the
//! [`Gradient`](tweedie_fidelity::Gradient) of the potential and no more, which is all that the score of a denoiser
//! gives; those with a Metropolis test also need its value. [`PosteriorDensity`] adds a data term and a prior.
//!
//! [`sample_chains`] runs a kernel: burn-in, thinning, and statistics of the draws in constant memory, with effective
//! sample sizes and R-hat for each pixel. [`Chains`] adds statistics of functions, traces along directions, draws in a
//! file, and checkpoints from which a run goes on bit for bit. The [`ChainReport`] says whether the chains have
//! converged, and why.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{GaussianPrior, Rng};
//! use tweedie_fidelity::{L2, ScorePrior};
//! use tweedie_mcmc::{ChainConfig, PosteriorDensity, Start, Ula, sample_chains};
//! use tweedie_physics::Identity;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &device);
//! let fidelity = L2::new(Identity, y.clone(), 0.1)?.with_operator_norm(1.0)?;
//! let prior = ScorePrior::new(GaussianPrior::new(y.zeros_like(), 0.04), 0.02, 1.0)?;
//! let kernel = Ula::at_bound(PosteriorDensity { fidelity, prior })?;
//! let mut rng = Rng::seeded(0, &device);
//! let start = Start::given(y).over_dispersed(0.5)?.chains(4, &rng)?;
//! let run = sample_chains(kernel, start, &ChainConfig::default(), &mut rng, |_| {
//!     ControlFlow::Continue(())
//! })?;
//! let report = run.report();
//! assert_eq!((report.chains, report.draws), (4, 800));
//! assert_eq!(run.statistics.unwrap().mean.dims(), [1, 1, 8, 8]);
//! # Ok(())
//! # }
//! ```

mod density;
mod error;
mod hex;
mod kernel;
mod kernels;
mod pixel_box;
mod run;

pub use density::PosteriorDensity;
pub use error::{ChainError, OtherRun};
pub use kernel::{ChainState, Info, MarkovKernel, Position, StepSize};
pub use kernels::{
    Adaptive, AdaptiveState, Annealed, AnnealedLangevin, BoxedUla, DiagonalPreconditioner,
    Evaluated, GaussianReference, Hmc, IdentityPreconditioner, Ladder, LangevinDraw, Mala, Moving,
    Myula, ParallelTempering, Pcn, PnpUla, Preconditioner, ProjectedUla, Projection, ReflectedUla,
    Reflection, SkRock, SpectralPreconditioner, Split, SplitDraw, SplitGibbs, Tunable, Ula,
    Underdamped, WayBack, Weighed,
};
pub use pixel_box::PixelBox;
pub use run::{
    ACCEPTANCE, ChainConfig, ChainEvent, ChainFailure, ChainReport, ChainRun, Chains, ENERGY,
    ESS_PER_CHAIN, Outcome, Phase, RHAT_BOUND, Reason, Start, Statistics, StopRule, Trace,
    TraceSummary, Verdict, fingerprint, sample_chains,
};
