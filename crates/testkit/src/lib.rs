//! What the tests of Tweedie share: the device, exact laws of solvers, statistical bounds, gradient checks, golden files.
//!
//! For tests only: no library depends on it, and it may panic with a message where a library would return an error.

mod device;
mod gradient;
mod law;
mod z;

pub use device::{device, exact, golden, values};
pub use gradient::{assert_adjoint, assert_close, assert_vjp, directional_derivative};
pub use law::{AffineLaw, Moments, UnitNoise, affine_law};
/// For the tests of a crate beside which `tweedie-core` lies, not below.
pub use tweedie_core::{Rng, Stream, stream};
pub use z::{assert_z, z_bound};
