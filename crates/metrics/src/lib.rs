//! Image quality and sample quality measures.
//!
//! [`mse`], [`psnr`] and [`ssim`] compare batches of images with their references, one number per
//! sample. [`Welford`] keeps the pixelwise mean and variance of draws that arrive in batches,
//! [`StreamingQuantiles`] their quantiles and the ends of an [`Interval`], and [`quantiles()`] are taken
//! of draws that were kept.
//!
//! Whether Markov chains have converged, and how well their mean is known, is told by [`ChainMoments`] and
//! [`Autocorrelation`] while they run, pixel by pixel in constant memory, and by [`StoredChains`] of draws of one
//! number that were kept. What streams has a `record()`, from which it continues bit for bit.
//!
//! Whether draws from a posterior are right is judged by [`coverage()`] of their intervals and
//! [`highest_density_coverage()`] of their sets, by the ranks of [`SbcRanks`], by the proper scores
//! [`crps()`] and [`energy_score()`], and by [`mmse_gap()`]; where exact draws exist, by
//! [`sliced_wasserstein()`] and [`max_sliced_wasserstein()`].
//!
//! How well a map of scores finds what it should is told by [`auroc()`], [`dice()`] and [`best_dice()`].
//!
//! Sets of images are compared by [`frechet_distance`] of features that a network has of them.
//!
//! The Cargo feature `perceptual` adds the module of that name: LPIPS and FID, by networks whose weights the caller has.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_metrics::{Welford, psnr, ssim};
//!
//! let device = Device::flex();
//! let reference = Tensor::<4>::full([1, 1, 16, 16], 0.5, &device);
//! let mut draws = Welford::default();
//! draws.update(Tensor::full([3, 1, 16, 16], 0.4, &device));
//! draws.update(Tensor::full([3, 1, 16, 16], 0.6, &device));
//! let mean = draws.mean().expect("six draws were counted");
//! assert!(psnr(mean.clone(), reference.clone(), 1.0).into_scalar::<f32>() > 60.0);
//! assert!(ssim(mean, reference).into_scalar::<f32>() > 0.999);
//! ```

mod auroc;
mod autocorrelation;
mod chain_moments;
mod chi_square;
mod coverage;
mod crps;
mod dice;
mod draws;
mod energy_score;
mod frechet;
mod gaps;
mod highest_density;
mod interval;
mod mmse_gap;
mod moments;
#[cfg(feature = "perceptual")]
pub mod perceptual;
mod psnr;
mod quantiles;
mod record;
mod sbc;
mod sliced_wasserstein;
mod ssim;
mod stored_chains;
mod streaming_quantiles;
mod welford;

pub use auroc::auroc;
pub use autocorrelation::{Autocorrelation, AutocorrelationRecord, CountedRecord};
pub use chain_moments::{ChainMoments, ChainMomentsRecord, SumsRecord};
pub use chi_square::ChiSquare;
pub use coverage::{Coverage, coverage};
pub use crps::crps;
pub use dice::{BestDice, best_dice, dice};
pub use energy_score::energy_score;
pub use frechet::frechet_distance;
pub use gaps::GapsRecord;
pub use highest_density::highest_density_coverage;
pub use interval::{Interval, tails};
pub use mmse_gap::mmse_gap;
pub use moments::MomentsRecord;
pub use psnr::{mse, psnr};
pub use quantiles::quantiles;
pub use record::RecordError;
pub use sbc::SbcRanks;
pub use sliced_wasserstein::{max_sliced_wasserstein, sliced_wasserstein};
pub use ssim::{SSIM_WINDOW, ssim};
pub use stored_chains::{ChainsError, StoredChains};
pub use streaming_quantiles::{
    CountedDrawsRecord, EXACT_DRAWS, HeldRecord, StreamingQuantiles, StreamingQuantilesRecord,
};
pub use welford::{Welford, WelfordRecord};
