//! HMC, Hamiltonian (hybrid) Monte Carlo: leapfrog steps of a particle with fresh momentum, and a Metropolis test.
//!
//! `v ~ N(0, I)`, then `steps` times `v <- v - e/2 S^T grad U(x)`, `x <- x + e S v`, `v <- v - e/2 S^T grad U(x)`; the end is
//! taken with probability `min(1, e^(H - H'))`, `H = U(x) + |v|^2 / 2`
//!
//! Duane et al. 1987, <https://doi.org/10.1016/0370-2693%2887%2991197-X>; Neal 2011, <https://arxiv.org/abs/1206.1901>. `S S^T` is
//! the inverse of the mass matrix, which is the identity unless a preconditioner is given. The energy error of a
//! trajectory of fixed length `e steps` is of order `e^2`. With one step it is MALA of step `h = e^2/2`.
//!
//! In a direction of curvature `k` the leapfrog is stable below `e = 2/sqrt(k)` and turns by `arccos(1 - e^2 k/2)` a step: where
//! the whole trajectory turns by a multiple of half a turn, that direction is not moved. Targets with one curvature
//! alone should not be given such lengths.
//!
//! - Needs: value and gradient of the potential.
//! - Cost: `steps` gradients and one value a step.
//! - Gaussian prior: exact, at any step.
//! - Use: exact draws of targets with slow directions, which a trajectory of `steps` crosses and a random walk does not.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{DataFidelity, Smooth};

use super::leapfrog::{Evaluated, Leapfrog, Length};
use crate::{
    ChainError, ChainState, IdentityPreconditioner, Info, MarkovKernel, Preconditioner, StepSize,
    Tunable,
    error::{require, require_positive},
};

/// Leapfrog trajectories and a Metropolis test, for any length `e` of a step.
///
/// A proposal whose potential is not finite is refused. Chains must start where `U` and its gradient are finite.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{Hmc, MarkovKernel};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Hmc::new(Tikhonov::pixels(4.0)?, 0.1, 8)?;
/// let state = kernel.init(Tensor::<4>::zeros([100, 1, 2, 2], &device));
/// let (_, info) = kernel.step(state, &mut Rng::seeded(0, &device));
/// assert!(info.acceptance.unwrap().mean().into_scalar::<f32>() > 0.9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Hmc<T, M = IdentityPreconditioner> {
    proposal: Leapfrog<T, M>,
    step: StepSize,
}

impl<T: Smooth> Hmc<T> {
    /// For the potential `target`: `steps >= 1` leapfrog steps of length `e = step_size`, in units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0 and `steps` at least 1.
    pub fn new(target: T, step_size: f64, steps: usize) -> Result<Self, ChainError> {
        let step = StepSize::new(step_size, StepSize::leapfrog_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step, steps)
    }

    /// With the largest admissible length, `sqrt(2/L)`: that of MALA's `h = 1/L`.
    ///
    /// The leapfrog is stable below `2/sqrt(L)`. On the way there the ellipse that it follows grows along `x`: in the steepest
    /// direction `x^2` is twice too large at `sqrt(2/L)`.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known, and unless `steps` is at least 1.
    pub fn at_bound(target: T, steps: usize) -> Result<Self, ChainError> {
        let step = StepSize::at_bound(StepSize::leapfrog_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step, steps)
    }
}

impl<T, M> Hmc<T, M> {
    /// With the mass matrix `M^-1`, `M = S S^T`, and a length without unit. Its bound is `sqrt(2/l)`, `l` the Lipschitz
    /// constant of the gradient of `z -> U(S z)`.
    ///
    /// # Errors
    /// Unless the step is finite and above 0 and `steps` at least 1.
    pub fn preconditioned(
        target: T,
        preconditioner: M,
        step: StepSize,
        steps: usize,
    ) -> Result<Self, ChainError> {
        require_positive("step_size", step.value)?;
        require("steps", steps as f64, steps > 0, "at least 1")?;
        let proposal = Leapfrog {
            target,
            preconditioner,
            steps,
        };
        Ok(Self { proposal, step })
    }

    /// The end `(x', v')` of the trajectory that starts at `position` with `momentum`, before any test. From `(x', -v')` it
    /// leads to `(x, -v)`.
    pub fn trajectory<const D: usize>(
        &self,
        position: Tensor<D>,
        momentum: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>)
    where
        T: DataFidelity<D>,
        M: Preconditioner<D>,
    {
        let start = self.proposal.evaluate(position);
        let length = Length::Shared(self.step.value);
        let (end, momentum) = self.proposal.flow(start, momentum, length);
        (end.position().clone(), momentum)
    }
}

impl<const D: usize, T: DataFidelity<D>, M: Preconditioner<D>> MarkovKernel<D> for Hmc<T, M> {
    type State = Evaluated<D>;

    fn init(&self, position: Tensor<D>) -> Evaluated<D> {
        self.proposal.evaluate(position)
    }

    fn step(&self, state: Evaluated<D>, noise: &mut dyn Noise<D>) -> (Evaluated<D>, Info) {
        let length = Length::Shared(self.step.value);
        self.proposal.step(state, length, noise)
    }

    fn gradients(&self) -> usize {
        self.proposal.steps
    }

    fn gradients_to_start(&self) -> usize {
        1
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let Leapfrog {
            preconditioner,
            steps,
            ..
        } = &self.proposal;
        let preconditioner = preconditioner.describe();
        format!(
            "hmc, step_size {:e}, steps {steps}, {preconditioner}",
            self.step.value
        )
    }
}

impl<const D: usize, T: DataFidelity<D>, M: Preconditioner<D>> Tunable<D> for Hmc<T, M> {
    fn step_with(
        &self,
        state: Evaluated<D>,
        step_sizes: Tensor<D>,
        noise: &mut dyn Noise<D>,
    ) -> (Evaluated<D>, Info) {
        self.proposal.step(state, Length::Each(&step_sizes), noise)
    }

    /// As the number of dimensions grows the best rate tends to 0.651 (Beskos et al. 2013,
    /// <https://arxiv.org/abs/1001.4460>), on targets of independent, like coordinates. Elsewhere too long a step costs
    /// much, trajectories that leave the stable region being all refused, and too short a one little.
    fn target_acceptance(&self) -> f64 {
        0.8
    }
}
