//! The kernels, one to a file.

mod metropolis;
mod ula;

pub use ula::Ula;
