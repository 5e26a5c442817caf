//! Finished samplers: from a prior, a measurement and a solver to draws with their uncertainty.
//!
//! A [`PosteriorSampler`] draws a batch; [`draw`] asks it for any number of samples in batches that fit in memory and
//! keeps their mean, standard deviation and quantiles. Sample `i` depends on the seed and on `i` alone, so the batch
//! size changes nothing.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
//! use tweedie_fidelity::Posterior;
//! # use tweedie_fidelity::{Guided, NoisyFidelity};
//! # use tweedie_core::Denoiser;
//! use tweedie_samplers::{DiffusionSampler, DrawConfig, draw};
//! use tweedie_sde::Reverse;
//! use tweedie_solvers::Ddpm;
//! # struct NoData;
//! # impl NoisyFidelity for NoData {
//! #     fn guide(&self, prior: &dyn Denoiser, noisy: Tensor<4>, sigma: f64) -> Guided {
//! #         Guided { likelihood_score: noisy.zeros_like(), denoised: prior.denoise(noisy, sigma) }
//! #     }
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let prior = GaussianPrior::new(Tensor::full([1, 1, 8, 8], 0.5, &device), 0.04);
//! # let guidance = NoData;
//! // `guidance` is any `NoisyFidelity`, such as `tweedie_fidelity::Pigdm`.
//! let posterior = Posterior { prior, guidance };
//! let process = Reverse::sde(VariancePreserving::new(0.1, 20.0)?, posterior);
//! let sampler = DiffusionSampler::new(process, Ddpm, TimeGrid::uniform(1.0, 0.0, 20)?);
//! let config = DrawConfig::new(5, 2);
//! let draws = draw(&sampler, [1, 8, 8], config, &Rng::seeded(0, &device), |_| ())?;
//! assert_eq!(draws.mean.dims(), [1, 1, 8, 8]);
//! # Ok(())
//! # }
//! ```

mod counterfactual;
mod daps;
mod ddnm;
mod ddrm;
mod decoded;
mod descent;
mod diffpir;
mod diffusion;
mod dpnp;
mod dps;
mod draw;
mod error;
mod fps;
mod fresh;
mod likelihood_step;
mod mcg;
mod measurement;
mod particles;
mod pigdm;
mod pnp_dm;
mod posterior_diffusion;
mod projection;
mod red_diff;
mod repaint;
mod rounds;
mod sampler;
mod split_gibbs;
mod travel;
mod walk;

pub use counterfactual::{Ascent, Counterfactual, anomaly_map};
pub use daps::{Daps, DapsConfig};
pub use ddnm::{DdnmConfig, DdnmPlus};
pub use ddrm::{Ddrm, DdrmConfig};
pub use decoded::Decoded;
pub use diffpir::{DiffPir, DiffPirConfig};
pub use diffusion::DiffusionSampler;
pub use dpnp::{Dpnp, DpnpConfig};
pub use dps::{DpsConfig, DpsSampler};
pub use draw::{Draw, DrawConfig, Draws, draw};
pub use error::SampleError;
pub use fps::{Fps, FpsConfig};
pub use likelihood_step::{Langevin, LangevinConfig, LikelihoodStep, Near};
pub use mcg::{Mcg, McgConfig};
pub use measurement::Measurement;
pub use particles::{
    McgDiff, McgDiffConfig, Particles, Tds, TdsConfig, effective_sample_size, systematic,
};
pub use pigdm::{PigdmConfig, PigdmSampler};
pub use pnp_dm::{PnpDm, PnpDmConfig};
pub use posterior_diffusion::PosteriorDiffusion;
pub use projection::{Projected, ProjectionConfig};
pub use red_diff::{RedDiff, RedDiffConfig};
pub use repaint::{Repaint, RepaintConfig};
pub use sampler::PosteriorSampler;
