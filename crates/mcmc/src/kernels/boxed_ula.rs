//! ULA with steps that end in a box; how they come back into it is what its kinds differ in.

use std::marker::PhantomData;

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{Gradient, Smooth};

use crate::{ChainError, Info, MarkovKernel, PixelBox, Position, StepSize, Ula};

/// A way back into a box.
pub trait WayBack {
    /// What the kernel's name begins with.
    const NAME: &'static str;

    /// Each pixel in the box; those inside stay where they are.
    fn back<const D: usize>(walls: &PixelBox, x: Tensor<D>) -> Tensor<D>;
}

/// A step of ULA, and then the way `W` back into a box: [`ProjectedUla`](crate::ProjectedUla) and
/// [`ReflectedUla`](crate::ReflectedUla). Admissible up to `h = 1/L`.
#[derive(Clone, Debug)]
pub struct BoxedUla<T, W> {
    ula: Ula<T>,
    walls: PixelBox,
    way: PhantomData<W>,
}

impl<T: Smooth, W> BoxedUla<T, W> {
    /// For the potential `target` on the box `walls`, with the step `h = step_size` in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(target: T, walls: PixelBox, step_size: f64) -> Result<Self, ChainError> {
        Ok(Self::with(Ula::new(target, step_size)?, walls))
    }

    /// With the largest admissible step, `1/L`.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known.
    pub fn at_bound(target: T, walls: PixelBox) -> Result<Self, ChainError> {
        Ok(Self::with(Ula::at_bound(target)?, walls))
    }

    fn with(ula: Ula<T>, walls: PixelBox) -> Self {
        Self {
            ula,
            walls,
            way: PhantomData,
        }
    }
}

impl<const D: usize, T: Gradient<D>, W: WayBack> MarkovKernel<D> for BoxedUla<T, W> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, state: Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let (Position(moved), info) = self.ula.step(state, noise);
        (Position(W::back(&self.walls, moved)), info)
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
        format!("{}-{ula}, {}", W::NAME, self.walls)
    }
}
