//! Denoisers around denoisers: pixel range, image size, tiles, symmetries, batches and clipping.

mod batched;
mod clipped;
mod padded;
mod self_ensemble;
mod tiled;
mod unit_range;

pub use batched::Batched;
pub use clipped::Clipped;
pub use padded::Padded;
pub use self_ensemble::SelfEnsemble;
pub use tiled::{TileError, Tiled};
pub use unit_range::UnitRange;
