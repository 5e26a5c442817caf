//! The operators, one per file.

mod blur;
mod downsampling;
mod identity;
mod inpainting;

pub use blur::Blur;
pub use downsampling::AverageDownsampling;
pub use identity::Identity;
pub use inpainting::{Inpainting, Region};
