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
use tweedie_core::Noise;
use tweedie_fidelity::{Gradient, Smooth};

use crate::{ChainError, Info, MarkovKernel, PixelBox, Position, StepSize, Ula};

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
#[derive(Clone, Debug)]
pub struct ReflectedUla<T> {
    ula: Ula<T>,
    walls: PixelBox,
}

impl<T: Smooth> ReflectedUla<T> {
    /// For the potential `target` on the box `walls`, with the step `h = step_size` in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(target: T, walls: PixelBox, step_size: f64) -> Result<Self, ChainError> {
        let ula = Ula::new(target, step_size)?;
        Ok(Self { ula, walls })
    }

    /// With the largest admissible step, `1/L`.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known.
    pub fn at_bound(target: T, walls: PixelBox) -> Result<Self, ChainError> {
        let ula = Ula::at_bound(target)?;
        Ok(Self { ula, walls })
    }
}

impl<const D: usize, T: Gradient<D>> MarkovKernel<D> for ReflectedUla<T> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, state: Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let (Position(moved), info) = self.ula.step(state, noise);
        (Position(self.walls.reflect(moved)), info)
    }

    fn moved(&self, _: Position<D>, position: Tensor<D>) -> Option<Position<D>> {
        Some(Position(position))
    }

    fn gradients(&self) -> usize {
        MarkovKernel::<D>::gradients(&self.ula)
    }

    fn step_size(&self) -> Option<StepSize> {
        MarkovKernel::<D>::step_size(&self.ula)
    }

    fn describe(&self) -> String {
        let ula = MarkovKernel::<D>::describe(&self.ula);
        format!("reflected-{ula}, {}", self.walls)
    }
}
