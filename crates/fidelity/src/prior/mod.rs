//! Priors for maximum a posteriori estimates and Markov chains, one per file: functions `f(x) = -log p(x)` up to a
//! constant.

mod difference;
mod moreau_envelope;
mod score;
mod tikhonov;
mod total_variation;
mod wavelet;

pub use moreau_envelope::MoreauEnvelope;
pub use score::ScorePrior;
pub use tikhonov::Tikhonov;
pub use total_variation::TotalVariation;
pub use wavelet::{Wavelet, WaveletL1};
