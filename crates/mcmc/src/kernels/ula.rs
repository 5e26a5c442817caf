//! ULA, the unadjusted Langevin algorithm: Euler's step of `dx = -grad U(x) dt + sqrt(2) dw`.
//!
//! `x <- x - h grad U(x) + sqrt(2 h) n`, `n ~ N(0, I)`
//!
//! Roberts & Tweedie 1996, section 1.4.1, <https://doi.org/10.2307/3318418>; Durmus & Moulines 2017,
//! <https://doi.org/10.1214/16-AAP1238>, for the bounds on its bias. With `U = |P^(1/2) (x - m)|^2 / 2` the chain is
//! linear: its stationary law is Gaussian of mean `m` and covariance `P^-1 (I - h P / 2)^-1`, and there is none unless `h`
//! is below `2/L`, `L` the largest eigenvalue of `P`. Up to `1/L` no variance is more than doubled.
//!
//! - Needs: the gradient of the potential.
//! - Cost: one gradient a step.
//! - Gaussian prior: exact mean; variances too large, by `1/(1 - h P/2)`: by up to 2 at `h = 1/L`.
//! - Use: the baseline; cheap steps where the bias of order `h` is below the Monte-Carlo error.

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_fidelity::{Gradient, Smooth};

use crate::{
    ChainError, IdentityPreconditioner, Info, MarkovKernel, Position, Preconditioner, StepSize,
    error::require_positive,
};

/// `x <- x - h grad U(x) + sqrt(2 h) n`, admissible up to `h = 1/L`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{ChainState, MarkovKernel, Ula};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Ula::new(Tikhonov::pixels(4.0)?, 0.1)?;
/// let state = kernel.init(Tensor::<4>::zeros([100, 1, 2, 2], &device));
/// let (state, _) = kernel.step(state, &mut Rng::seeded(0, &device));
/// assert_eq!(state.position().dims(), [100, 1, 2, 2]);
/// assert_eq!(MarkovKernel::<4>::step_size(&kernel).unwrap().bound, Some(0.25));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ula<T, M = IdentityPreconditioner> {
    target: T,
    preconditioner: M,
    step: StepSize,
}

impl<T: Smooth> Ula<T> {
    /// For the potential `target` and the step `h = step_size`, in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(target: T, step_size: f64) -> Result<Self, ChainError> {
        let step = StepSize::new(step_size, StepSize::euler_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step)
    }

    /// With the largest admissible step, `1/L`.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known.
    pub fn at_bound(target: T) -> Result<Self, ChainError> {
        let step = StepSize::at_bound(StepSize::euler_bound(&target))?;
        Self::preconditioned(target, IdentityPreconditioner, step)
    }
}

impl<T, M> Ula<T, M> {
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
        Ok(Self {
            target,
            preconditioner,
            step,
        })
    }
}

impl<const D: usize, T: Gradient<D>, M: Preconditioner<D>> MarkovKernel<D> for Ula<T, M> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, Position(x): Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let h = self.step.value;
        let fresh = noise.normal(x.dims());
        let gradient = self.target.grad(x.clone());
        let pull = self.preconditioner.factor_transposed(gradient);
        let change = combine([(-h, pull), ((2.0 * h).sqrt(), fresh)]);
        (
            Position(x + self.preconditioner.factor(change)),
            Info::default(),
        )
    }

    fn moved(&self, _: Position<D>, position: Tensor<D>) -> Option<Position<D>> {
        Some(Position(position))
    }

    fn gradients(&self) -> usize {
        1
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let preconditioner = self.preconditioner.describe();
        format!("ula, step_size {:e}, {preconditioner}", self.step.value)
    }
}
