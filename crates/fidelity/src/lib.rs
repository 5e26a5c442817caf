//! How well an image explains a measurement: `-log p(y | x)`, and its gradient seen through the noise of a diffusion.
//!
//! A [`DataFidelity`] closes over the measurement `y`, the operator `A` and the noise. It has a value and a
//! [`Gradient`], and a [`Proximal`] one a proximal operator. Priors have the same traits, as far as they go: the score
//! of a denoiser is a gradient without a value. A [`NoisyFidelity`] approximates `grad_x log p(y | x_sigma = x)`, the
//! term that turns the score of the prior into the score of the posterior; [`Posterior`] adds it to a prior's denoiser,
//! and the sum is a denoiser again, so each schedule and each solver can draw posterior samples.
//! A [`TweedieCovariance`] models how uncertain the denoised estimate is that a guidance starts from.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{Denoiser, GaussianPrior};
//! use tweedie_fidelity::{Isotropic, Pigdm, Posterior};
//! use tweedie_physics::{Inpainting, LinearOperator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device), 0.04);
//! let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
//! let y = operator.adjoint(Tensor::full([1, 1, 8, 8], 0.7, &device));
//! let guidance = Pigdm::new(operator, y, 0.05, Isotropic::new(0.04)?)?;
//! let posterior = Posterior { prior, guidance };
//! let estimate = posterior.denoise(Tensor::zeros([3, 1, 8, 8], &device), 1.0);
//! assert_eq!(estimate.dims(), [3, 1, 8, 8]);
//! # Ok(())
//! # }
//! ```

mod closure;
mod conditional;
mod covariance;
mod error;
mod fidelity;
mod guidance;
mod l2;
mod losses;
mod misfit;
mod prior;
mod shrink;
mod splitting;
mod sum;

pub use closure::{Autodiff, PotentialFn};
pub use conditional::{ConditionalDraw, LinearGaussian, Nearby};
pub use covariance::{Diagonal, Full, Isotropic, TweedieCovariance};
pub use error::FidelityError;
pub use fidelity::{DataFidelity, Gradient, Proximal, Smooth};
pub use guidance::{
    Ald, ClassLikelihood, Dps, GaussianGuidance, Guided, LgdMc, Mmps, NoisyFidelity, Pigdm,
    Posterior, ReconstructionGuidance, Sda, Tmpd,
};
pub use l2::L2;
pub use losses::{Amplitude, Ball, L1, Poisson, PoissonGaussian, Stacked};
pub use prior::{MoreauEnvelope, ScorePrior, Tikhonov, TotalVariation, Wavelet, WaveletL1};
pub use splitting::Admm;
