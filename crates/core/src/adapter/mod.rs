//! Denoisers around denoisers: pixel range, image size, tiles, symmetries, batches and clipping; and what a network is told.

mod batched;
mod classifier_free;
mod clipped;
mod conditioned;
mod padded;
mod self_ensemble;
mod tiled;
mod unit_range;

pub use batched::Batched;
pub use classifier_free::ClassifierFree;
pub use clipped::Clipped;
pub use conditioned::Conditioned;
pub use padded::{Padded, enlarged};
pub use self_ensemble::SelfEnsemble;
pub use tiled::{TileError, Tiled};
pub use unit_range::UnitRange;
