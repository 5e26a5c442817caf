//! MALA, the Metropolis-adjusted Langevin algorithm: the step of ULA as a proposal, with the test that makes it exact.
//!
//! `y = x - h M grad U(x) + sqrt(2 h) M^(1/2) n`, `n ~ N(0, I)`, taken with probability
//! `min(1, e^(U(x) - U(y)) q(x | y) / q(y | x))`
//!
//! `q(y | x) = N(y; x - h M grad U(x), 2 h M)` is the density of the proposal, `M` the preconditioner, the identity unless one
//! is given. Roberts & Tweedie 1996, <https://doi.org/10.2307/3318418>. In high dimension `d` the best step is of order
//! `d^(-1/3)` and accepts 0.574 of the proposals (Roberts & Rosenthal 1998, <https://doi.org/10.1111/1467-9868.00123>): what
//! [`Adaptive`](crate::Adaptive) finds. The potential of an image of 10^5 pixels is of that order, known to about 0.01 in single
//! precision, and so is the log ratio.
//!
//! - Needs: value and gradient of the potential.
//! - Cost: one gradient and one value a step.
//! - Gaussian prior: exact, at any step.
//! - Use: exact draws where the potential has a value; the step falls with the number of pixels.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{DataFidelity, Smooth};

use super::leapfrog::{Evaluated, Leapfrog, Length};
use crate::{
    ChainError, IdentityPreconditioner, Info, MarkovKernel, Preconditioner, StepSize, Tunable,
    error::require_positive,
};

/// ULA's step and a Metropolis test, for any step size `h`; above `1/L` few proposals are taken.
///
/// A proposal whose potential is not finite is refused. Chains must start where `U` and its gradient are finite.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{Mala, MarkovKernel};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Mala::new(Tikhonov::pixels(4.0)?, 0.1)?;
/// let state = kernel.init(Tensor::<4>::zeros([100, 1, 2, 2], &device));
/// let (_, info) = kernel.step(state, &mut Rng::seeded(0, &device));
/// assert!(info.acceptance.unwrap().mean().into_scalar::<f32>() > 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mala<T, M = IdentityPreconditioner> {
    proposal: Leapfrog<T, M>,
    step: StepSize,
}

impl<T: Smooth> Mala<T> {
    /// For the potential `target` and the step `h = step_size`, in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(target: T, step_size: f64) -> Result<Self, ChainError> {
        let step = StepSize::new(step_size, StepSize::euler_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step)
    }

    /// With the step `1/L`, up to which the proposal by itself would have no variance more than doubled. In many dimensions it
    /// is too long to be taken often.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known.
    pub fn at_bound(target: T) -> Result<Self, ChainError> {
        let step = StepSize::at_bound(StepSize::euler_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step)
    }
}

impl<T, M> Mala<T, M> {
    /// With a preconditioner `M = S S^T`, and a step without unit. Its bound is the reciprocal of the Lipschitz constant of the
    /// gradient of `z -> U(S z)`.
    ///
    /// # Errors
    /// Unless the step is finite and above 0.
    pub fn preconditioned(
        target: T,
        preconditioner: M,
        step: StepSize,
    ) -> Result<Self, ChainError> {
        require_positive("step_size", step.value)?;
        let proposal = Leapfrog {
            target,
            preconditioner,
            steps: 1,
        };
        Ok(Self { proposal, step })
    }
}

impl<const D: usize, T: DataFidelity<D>, M: Preconditioner<D>> MarkovKernel<D> for Mala<T, M> {
    type State = Evaluated<D>;

    fn init(&self, position: Tensor<D>) -> Evaluated<D> {
        self.proposal.evaluate(position)
    }

    fn step(&self, state: Evaluated<D>, noise: &mut dyn Noise<D>) -> (Evaluated<D>, Info) {
        let length = (2.0 * self.step.value).sqrt();
        self.proposal.step(state, Length::Shared(length), noise)
    }

    fn gradients(&self) -> usize {
        1
    }

    fn gradients_to_start(&self) -> usize {
        1
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let preconditioner = self.proposal.preconditioner.describe();
        format!("mala, step_size {:e}, {preconditioner}", self.step.value)
    }
}

impl<const D: usize, T: DataFidelity<D>, M: Preconditioner<D>> Tunable<D> for Mala<T, M> {
    fn step_with(
        &self,
        state: Evaluated<D>,
        step_sizes: Tensor<D>,
        noise: &mut dyn Noise<D>,
    ) -> (Evaluated<D>, Info) {
        let lengths = step_sizes.mul_scalar(2.0).sqrt();
        self.proposal.step(state, Length::Each(&lengths), noise)
    }

    fn target_acceptance(&self) -> f64 {
        0.574
    }
}
