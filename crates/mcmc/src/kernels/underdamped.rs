//! Underdamped (kinetic) Langevin: `dx = v dt`, `dv = -grad U(x) dt - gamma v dt + sqrt(2 gamma) dw`, split as BAOAB.
//!
//! `v <- v - (h/2) grad U(x)`, `x <- x + (h/2) v`, `v <- e v + sqrt(1 - e^2) n` with `e = exp(-gamma h)`, `x <- x + (h/2) v`,
//! `v <- v - (h/2) grad U(x)`
//!
//! Leimkuhler & Matthews 2013, <https://doi.org/10.1093/amrx/abs010>. Masses are 1, and the gradient at the end of a step is
//! that at the start of the next. Chains start at rest, and forget that in a time `1/gamma`.
//!
//! With `U = |P^(1/2) (x - m)|^2 / 2` the positions have the covariance `P^-1` itself, for every `h` and `gamma`; only the
//! velocities, which are no draws, have `I - h^2 P / 4`. There is a stationary law for `h < 2/sqrt(L)`, `L` the largest
//! eigenvalue of `P`. The bound of the step is `sqrt(2/L)`, where no variance of a velocity is less than half of what it should
//! be; with a large friction a step drifts as one of [`Ula`](crate::Ula) of length `h^2/2`, so it is the bound of `Ula` as well.
//! For other targets the bias is of order `h^2`.
//!
//! In a direction of curvature `p` the positions forget fastest for `gamma = 2 sqrt(p)`, in a time `1/sqrt(p)`: Langevin's first
//! order equation takes `1/p`. So `gamma` is to suit the slowest direction that matters.
//!
//! - Needs: the gradient of the potential.
//! - Cost: one gradient a step.
//! - Gaussian prior: exact mean and covariance of the positions.
//! - Use: ill-conditioned targets with a known smallest curvature `p`, friction `2 sqrt(p)`.

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_fidelity::{Gradient, Smooth};

use crate::{ChainError, ChainState, Info, MarkovKernel, StepSize, error::require_positive};

/// BAOAB steps of underdamped Langevin dynamics, admissible up to `h = sqrt(2/L)`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{ChainState, MarkovKernel, Underdamped};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Underdamped::new(Tikhonov::pixels(4.0)?, 0.5, 4.0)?;
/// let state = kernel.init(Tensor::<4>::zeros([100, 1, 2, 2], &device));
/// let (state, _) = kernel.step(state, &mut Rng::seeded(0, &device));
/// assert_eq!(state.position().dims(), [100, 1, 2, 2]);
/// assert_eq!(state.velocity().dims(), [100, 1, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Underdamped<T> {
    target: T,
    friction: f64,
    step: StepSize,
}

/// Position, velocity, and the gradient at the position.
#[derive(Clone, Debug)]
pub struct Moving<const D: usize = 4> {
    position: Tensor<D>,
    velocity: Tensor<D>,
    gradient: Tensor<D>,
}

impl<const D: usize> Moving<D> {
    /// `v`, of the shape of the position.
    pub fn velocity(&self) -> &Tensor<D> {
        &self.velocity
    }
}

impl<const D: usize> ChainState<D> for Moving<D> {
    fn position(&self) -> &Tensor<D> {
        &self.position
    }

    fn parts(&self) -> Vec<Tensor<D>> {
        vec![self.position.clone(), self.velocity.clone()]
    }
}

impl<T: Smooth> Underdamped<T> {
    /// For the potential `target`, the step `h = step_size`, in units of `x` (masses are 1), and `gamma = friction`, in their
    /// inverse.
    ///
    /// # Errors
    /// Unless `step_size` and `friction` are finite and above 0.
    pub fn new(target: T, step_size: f64, friction: f64) -> Result<Self, ChainError> {
        let step = StepSize::new(step_size, StepSize::leapfrog_bound(&target))?;
        Self::with(target, step, friction)
    }

    /// With the largest admissible step, `sqrt(2/L)`.
    ///
    /// # Errors
    /// Unless `friction` is finite and above 0; [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not
    /// known.
    pub fn at_bound(target: T, friction: f64) -> Result<Self, ChainError> {
        let step = StepSize::at_bound(StepSize::leapfrog_bound(&target))?;
        Self::with(target, step, friction)
    }

    fn with(target: T, step: StepSize, friction: f64) -> Result<Self, ChainError> {
        require_positive("friction", friction)?;
        Ok(Self {
            target,
            friction,
            step,
        })
    }

    fn at<const D: usize>(&self, position: Tensor<D>, velocity: Tensor<D>) -> Moving<D>
    where
        T: Gradient<D>,
    {
        let gradient = self.target.grad(position.clone());
        Moving {
            position,
            velocity,
            gradient,
        }
    }
}

impl<const D: usize, T: Gradient<D>> MarkovKernel<D> for Underdamped<T> {
    type State = Moving<D>;

    fn init(&self, position: Tensor<D>) -> Moving<D> {
        let at_rest = position.zeros_like();
        self.at(position, at_rest)
    }

    fn step(&self, state: Moving<D>, noise: &mut dyn Noise<D>) -> (Moving<D>, Info) {
        let half = 0.5 * self.step.value;
        let forgetting = self.friction * self.step.value;
        let kept = (-forgetting).exp();
        let strength = (-(-2.0 * forgetting).exp_m1()).sqrt();
        let fresh = noise.normal(state.position.dims());
        let kicked = combine([(1.0, state.velocity), (-half, state.gradient)]);
        let turned = combine([(kept, kicked.clone()), (strength, fresh)]);
        let position = combine([
            (1.0, state.position),
            (half, kicked),
            (half, turned.clone()),
        ]);
        let gradient = self.target.grad(position.clone());
        let velocity = combine([(1.0, turned), (-half, gradient.clone())]);
        let moved = Moving {
            position,
            velocity,
            gradient,
        };
        (moved, Info::default())
    }

    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Moving<D>> {
        let [position, velocity]: [Tensor<D>; 2] = parts.try_into().ok()?;
        Some(self.at(position, velocity))
    }

    /// With the velocity kept, at the cost of one more gradient.
    fn moved(&self, state: Moving<D>, position: Tensor<D>) -> Option<Moving<D>> {
        Some(self.at(position, state.velocity))
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
        let (h, friction) = (self.step.value, self.friction);
        format!("underdamped, step_size {h:e}, friction {friction:e}")
    }
}
