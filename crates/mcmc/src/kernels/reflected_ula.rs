//! Reflected Langevin: ULA whose steps bounce off the walls of a box.
//!
//! `x <- R_C(x - h grad U(x) + sqrt(2 h) n)`, `n ~ N(0, I)`, `R_C` the reflection of each pixel at `low` and `high`
//! until it is inside
//!
//! For images Melidonis, Dobson, Altmann, Pereyra & Zygalakis 2023, <https://doi.org/10.1137/22M1497080>. It follows
//! the reflected diffusion, whose law is `exp(-U)` on `C = [low, high]`. For a constant `U` the uniform law of the box
//! is invariant at any step, also one longer than the box; else the bias is of order `h`.
//!
//! - Needs: the gradient of the potential, a box.
//! - Cost: one gradient a step.
//! - Gaussian prior: truncated to the box; bias of order `h`.
//! - Use: pixels that must not leave their range; intensities above 0, as Poisson noise needs.

use burn::tensor::Tensor;

use super::boxed_ula::{BoxedUla, WayBack};
use crate::PixelBox;

/// `x <- R_C(x - h grad U(x) + sqrt(2 h) n)`, admissible up to `h = 1/L`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{ChainState, PixelBox, MarkovKernel, ReflectedUla};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let intensities = PixelBox::new(0.0, f64::INFINITY)?;
/// let kernel = ReflectedUla::at_bound(Tikhonov::pixels(4.0)?, intensities)?;
/// let state = kernel.init(Tensor::<4>::zeros([3, 1, 8, 8], &device));
/// let (state, _) = kernel.step(state, &mut Rng::seeded(0, &device));
/// assert!(state.position().clone().min().into_scalar::<f32>() >= 0.0);
/// # Ok(())
/// # }
/// ```
pub type ReflectedUla<T> = BoxedUla<T, Reflection>;

/// Reflected at the walls until inside.
#[derive(Clone, Copy, Debug)]
pub struct Reflection;

impl WayBack for Reflection {
    const NAME: &'static str = "reflected";

    fn back<const D: usize>(walls: &PixelBox, x: Tensor<D>) -> Tensor<D> {
        walls.reflect(x)
    }
}
