//! The kernels, one to a file.

mod adaptation;
mod annealed_langevin;
mod boxed_ula;
mod hmc;
mod leapfrog;
mod mala;
mod metropolis;
mod myula;
mod pcn;
mod pnp_ula;
mod preconditioner;
mod projected_ula;
mod reflected_ula;
mod sk_rock;
mod split_gibbs;
mod tempering;
mod ula;
mod underdamped;

pub use adaptation::{Adaptive, AdaptiveState, Tunable};
pub use annealed_langevin::{Annealed, AnnealedLangevin};
pub use boxed_ula::{BoxedUla, WayBack};
pub use hmc::Hmc;
pub use leapfrog::Evaluated;
pub use mala::Mala;
pub use myula::Myula;
pub use pcn::{GaussianReference, Pcn, Weighed};
pub use pnp_ula::PnpUla;
pub use preconditioner::{
    DiagonalPreconditioner, IdentityPreconditioner, Preconditioner, SpectralPreconditioner,
};
pub use projected_ula::{ProjectedUla, Projection};
pub use reflected_ula::{ReflectedUla, Reflection};
pub use sk_rock::SkRock;
pub use split_gibbs::{LangevinDraw, Split, SplitDraw, SplitGibbs};
pub use tempering::{Ladder, ParallelTempering};
pub use ula::Ula;
pub use underdamped::{Moving, Underdamped};
