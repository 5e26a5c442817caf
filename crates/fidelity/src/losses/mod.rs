//! Data terms for noise other than Gaussian, one per file.

mod amplitude;
mod ball;
mod l1;
mod poisson;
mod poisson_gaussian;
mod stacked;

pub use amplitude::Amplitude;
pub use ball::Ball;
pub use l1::L1;
pub use poisson::Poisson;
pub use poisson_gaussian::PoissonGaussian;
pub use stacked::Stacked;
