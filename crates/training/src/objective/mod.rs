//! What is minimised over the weights of a network.

mod config;
mod denoising;
mod distance;
mod hybrid;
mod implicit;
mod jacobian;
mod noisy;
mod prediction;
mod sliced;
mod weighting;

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Given, Rng};

use crate::Level;

pub use config::ObjectiveConfig;
pub use denoising::Denoising;
pub use distance::Distance;
pub(crate) use distance::rows;
pub use hybrid::Hybrid;
pub(crate) use hybrid::divergence;
pub use implicit::Implicit;
pub(crate) use noisy::Noisy;
pub use prediction::Prediction;
pub(crate) use prediction::column;
pub use sliced::Sliced;
pub use weighting::Weighting;

/// A loss of a network on clean data at given noise levels.
///
/// All is in the network's own pixel units; axis 0 is the batch, and nothing couples two rows.
pub trait Objective<const D: usize = 4>: Send + Sync {
    /// The loss of each row, `[batch]`, with the tape of the network's weights: an unbiased estimate of the row's share of the
    /// objective. [`Level::weight`] is left out.
    ///
    /// `levels` has one level for each row of `clean`; row `i` draws from row `i` of `rng`.
    fn losses(
        &self,
        network: &dyn Backbone<D>,
        clean: Tensor<D>,
        given: Given<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1>;
}
