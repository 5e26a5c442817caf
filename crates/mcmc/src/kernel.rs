//! What a Markov chain is: a state, and a kernel that moves it.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::Smooth;

use crate::{ChainError, error::require_positive};

/// The state of many chains, one for each row.
pub trait ChainState<const D: usize = 4>: Clone {
    /// Where the chains are, `[chains, ...]`: the draws.
    fn position(&self) -> &Tensor<D>;

    /// All that the next step depends on and [`MarkovKernel::restore`] cannot compute again, the position first. Axis 0 of
    /// each part is the chain.
    fn parts(&self) -> Vec<Tensor<D>> {
        vec![self.position().clone()]
    }
}

/// The state of a kernel that remembers nothing but where it is.
#[derive(Clone, Debug)]
pub struct Position<const D: usize = 4>(pub Tensor<D>);

impl<const D: usize> ChainState<D> for Position<D> {
    fn position(&self) -> &Tensor<D> {
        &self.0
    }
}

/// What a step tells beside the new state; each of one number a chain, `[chains]`.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// The probability with which the Metropolis test accepted the proposal; none without a test.
    pub acceptance: Option<Tensor<1>>,
    /// The potential `U` at the new position, up to a constant; none where it is not known anyway.
    pub energy: Option<Tensor<1>>,
}

/// The length of a kernel's step, and up to which it should go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSize {
    /// The length, above 0; its unit is the kernel's.
    pub value: f64,
    /// The largest one that the kernel's theory admits; none where a Lipschitz constant is not known.
    pub bound: Option<f64>,
}

impl StepSize {
    /// A length, with its bound.
    ///
    /// # Errors
    /// Unless `value` is finite and above 0.
    pub fn new(value: f64, bound: Option<f64>) -> Result<Self, ChainError> {
        require_positive("step_size", value)?;
        Ok(Self { value, bound })
    }

    /// The bound itself.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] without one.
    pub fn at_bound(bound: Option<f64>) -> Result<Self, ChainError> {
        let value = bound.ok_or(ChainError::NoBound)?;
        Self::new(value, bound)
    }

    /// The one nearest to its bound, or furthest above; one without a bound comes last.
    pub(crate) fn tightest(steps: impl Iterator<Item = Self>) -> Option<Self> {
        let share = |step: &Self| step.bound.map_or(0.0, |bound| step.value / bound);
        steps.max_by(|a, b| share(a).total_cmp(&share(b)))
    }

    /// `1/L`, up to which Euler's step at most doubles a variance of a Gaussian.
    pub(crate) fn euler_bound(target: &impl Smooth) -> Option<f64> {
        target.lipschitz().map(f64::recip)
    }

    /// `sqrt(2/L)`, the length of a leapfrog or BAOAB step that moves as far as Euler's of `1/L`.
    pub(crate) fn leapfrog_bound(target: &impl Smooth) -> Option<f64> {
        target.lipschitz().map(|constant| (2.0 / constant).sqrt())
    }

    /// Whether the length is above its bound, by more than rounding.
    pub fn exceeds_bound(&self) -> bool {
        self.bound
            .is_some_and(|bound| self.value > bound * (1.0 + 1e-9))
    }
}

/// One step of many independent chains, which run along the batch axis.
///
/// Row `i` of a result depends on row `i` of the state, and on row `i` of the noise, alone.
pub trait MarkovKernel<const D: usize = 4> {
    /// What the next step needs.
    type State: ChainState<D>;

    /// Chains that start at `position`, `[chains, ...]`.
    fn init(&self, position: Tensor<D>) -> Self::State;

    /// One step of each chain.
    fn step(&self, state: Self::State, noise: &mut dyn Noise<D>) -> (Self::State, Info);

    /// The state whose [`parts`](ChainState::parts) these are; none for another number of parts.
    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Self::State> {
        let [position]: [Tensor<D>; 1] = parts.try_into().ok()?;
        Some(self.init(position))
    }

    /// The state with adaptation ended: from here on the kernel leaves its law invariant. Nothing unless the kernel adapts.
    fn freeze(&self, state: Self::State) -> Self::State {
        state
    }

    /// The state moved to another position, for kernels that may be clipped to a box: none for one with a Metropolis test,
    /// whose law that would spoil.
    fn moved(&self, state: Self::State, position: Tensor<D>) -> Option<Self::State> {
        let _ = (state, position);
        None
    }

    /// How many gradients of the potential one step evaluates.
    fn gradients(&self) -> usize;

    /// How many [`init`](Self::init) and [`restore`](Self::restore) evaluate: those that a state keeps.
    fn gradients_to_start(&self) -> usize {
        0
    }

    /// The step and its bound; none for a kernel without one.
    fn step_size(&self) -> Option<StepSize>;

    /// Its name and all settings, which a checkpoint compares.
    fn describe(&self) -> String;
}

impl<const D: usize, K: MarkovKernel<D> + ?Sized> MarkovKernel<D> for &K {
    type State = K::State;

    fn init(&self, position: Tensor<D>) -> Self::State {
        (**self).init(position)
    }
    fn step(&self, state: Self::State, noise: &mut dyn Noise<D>) -> (Self::State, Info) {
        (**self).step(state, noise)
    }
    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Self::State> {
        (**self).restore(parts)
    }
    fn freeze(&self, state: Self::State) -> Self::State {
        (**self).freeze(state)
    }
    fn moved(&self, state: Self::State, position: Tensor<D>) -> Option<Self::State> {
        (**self).moved(state, position)
    }
    fn gradients(&self) -> usize {
        (**self).gradients()
    }
    fn gradients_to_start(&self) -> usize {
        (**self).gradients_to_start()
    }
    fn step_size(&self) -> Option<StepSize> {
        (**self).step_size()
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}
