//! Markov chain Monte Carlo: draws from `exp(-U(x))` for a potential `U = f + g` of a data term and a prior.
//!
//! A [`MarkovKernel`] moves many chains at once, one for each row of the batch. The Langevin kernels need the
//! [`Gradient`](tweedie_fidelity::Gradient) of the potential and no more, which is all that the score of a denoiser
//! gives; those with a Metropolis test also need its value. [`PosteriorDensity`] adds a data term and a prior.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{GaussianPrior, Rng};
//! use tweedie_fidelity::{L2, ScorePrior};
//! use tweedie_mcmc::{ChainState, MarkovKernel, PosteriorDensity, Ula};
//! use tweedie_physics::Identity;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &device);
//! let fidelity = L2::new(Identity, y.clone(), 0.1)?.with_operator_norm(1.0)?;
//! let prior = ScorePrior::new(GaussianPrior::new(y.zeros_like(), 0.04), 0.02, 1.0)?;
//! let kernel = Ula::at_bound(PosteriorDensity { fidelity, prior })?;
//! let mut rng = Rng::seeded(0, &device);
//! let mut state = kernel.init(y.repeat_dim(0, 5));
//! for _ in 0..10 {
//!     state = kernel.step(state, &mut rng).0;
//! }
//! assert_eq!(state.position().dims(), [5, 1, 8, 8]);
//! # Ok(())
//! # }
//! ```

mod density;
mod error;
mod kernel;
mod kernels;

pub use density::PosteriorDensity;
pub use error::ChainError;
pub use kernel::{ChainState, Info, MarkovKernel, Position, StepSize};
pub use kernels::Ula;
