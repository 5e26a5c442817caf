//! Step sizes found in burn-in, by dual averaging of the acceptance.
//!
//! After step `t = 1, 2, ..` that accepted its proposal with probability `a_t`, towards the target `delta`:
//!
//! `H_t = (1 - w) H_{t-1} + w (delta - a_t)`, `w = 1/(t + t0)`,
//! `ln e_{t+1} = mu - sqrt(t)/gamma H_t`,
//! `ln e'_t = t^-kappa ln e_{t+1} + (1 - t^-kappa) ln e'_{t-1}`
//!
//! Hoffman & Gelman 2014, section 3.2, <https://jmlr.org/papers/v15/hoffman14a.html>, with their `gamma = 0.05`, `t0 = 10`,
//! `kappa = 0.75` and `mu = ln(10 e_1)`, `e_1` the kernel's own step. The next step takes `e_{t+1}`; at the end of burn-in the
//! average `e'` is fixed. Until then the chain is no Markov chain, so its draws are no draws of the target. Each chain has a
//! step size of its own.
//!
//! - Needs: what the adapted kernel needs.
//! - Cost: that of the adapted kernel.
//! - Gaussian prior: that of the adapted kernel, once adaptation has ended.
//! - Use: MALA and HMC, unless a good step is known.

use burn::tensor::Tensor;
use tweedie_core::Noise;

use crate::{ChainError, ChainState, Info, MarkovKernel, StepSize, error::require};

const GAMMA: f64 = 0.05;
const T0: f64 = 10.0;
/// `mu = ln(10 e_1)`: the search starts towards longer steps, which cost less.
const MU_FACTOR: f64 = 10.0;

/// A kernel with a Metropolis test that can give each chain another step size.
pub trait Tunable<const D: usize = 4>: MarkovKernel<D> {
    /// [`step`](MarkovKernel::step) with a step size above 0 for each chain, `[chains, 1, ..]`, in the kernel's unit. Its `Info` has
    /// the acceptance.
    fn step_with(
        &self,
        state: Self::State,
        step_sizes: Tensor<D>,
        noise: &mut dyn Noise<D>,
    ) -> (Self::State, Info);

    /// The mean acceptance probability at which the kernel moves fastest for its cost, in (0, 1).
    fn target_acceptance(&self) -> f64;
}

/// A kernel whose step size is adapted until [`freeze`](MarkovKernel::freeze).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{Adaptive, Mala, MarkovKernel};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let kernel = Adaptive::new(Mala::new(Tikhonov::pixels(4.0)?, 1e-4)?);
/// let mut rng = Rng::seeded(0, &device);
/// let mut state = kernel.init(Tensor::<4>::zeros([10, 1, 2, 2], &device));
/// for _ in 0..100 {
///     state = kernel.step(state, &mut rng).0;
/// }
/// let state = kernel.freeze(state);
/// assert!(state.step_sizes().min().into_scalar::<f32>() > 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Adaptive<K> {
    kernel: K,
    target_acceptance: Option<f64>,
}

impl<K> Adaptive<K> {
    /// Starts from the step size of `kernel`, towards its own target.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            target_acceptance: None,
        }
    }

    /// With another target for the mean acceptance probability.
    ///
    /// # Errors
    /// Unless it is in (0, 1).
    pub fn with_target_acceptance(self, target: f64) -> Result<Self, ChainError> {
        let valid = target > 0.0 && target < 1.0;
        require("target_acceptance", target, valid, "above 0 and below 1")?;
        let target_acceptance = Some(target);
        Ok(Self {
            target_acceptance,
            ..self
        })
    }

    fn target<const D: usize>(&self) -> f64
    where
        K: Tunable<D>,
    {
        self.target_acceptance
            .unwrap_or_else(|| self.kernel.target_acceptance())
    }

    fn first_step<const D: usize>(&self) -> f64
    where
        K: Tunable<D>,
    {
        let step = self.kernel.step_size();
        step.expect("a tunable kernel has a step size").value
    }
}

/// The state of a kernel, and of the search for its step sizes.
#[derive(Clone, Debug)]
pub struct AdaptiveState<S, const D: usize = 4> {
    inner: S,
    search: Search<D>,
}

/// Each of one number a chain, `[chains, 1, ..]`.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for all chains")]
enum Search<const D: usize> {
    Running(DualAveraging<D>),
    /// The step sizes to the end.
    Ended(Tensor<D>),
}

#[derive(Clone, Debug)]
struct DualAveraging<const D: usize> {
    /// `t`.
    count: Tensor<D>,
    /// `H_t`.
    shortfall: Tensor<D>,
    /// `ln e_{t+1}`.
    log_step: Tensor<D>,
    /// `ln e'_t`.
    log_average: Tensor<D>,
}

impl<const D: usize> DualAveraging<D> {
    /// Before the first step of as many chains as `position` has rows.
    fn new(first_step: f64, position: &Tensor<D>) -> Self {
        let mut shape = [1; D];
        shape[0] = position.dims()[0];
        let log_step = Tensor::full(
            shape,
            first_step.ln(),
            (&position.device(), position.dtype()),
        );
        Self {
            count: log_step.zeros_like(),
            shortfall: log_step.zeros_like(),
            log_average: log_step.clone(),
            log_step,
        }
    }

    /// After one more step, of these acceptance probabilities.
    fn updated(self, acceptance: Tensor<D>, target: f64, first_step: f64) -> Self {
        let count = self.count.add_scalar(1.0);
        let root = count.clone().sqrt();
        let weight = count.clone().add_scalar(T0).recip();
        let surprise = acceptance.neg().add_scalar(target) - self.shortfall.clone();
        let shortfall = self.shortfall + weight * surprise;
        let mu = (MU_FACTOR * first_step).ln();
        let log_step = (root.clone() * shortfall.clone())
            .mul_scalar(-1.0 / GAMMA)
            .add_scalar(mu);
        // t^(-3/4)
        let weight = (root.clone() * root.sqrt()).recip();
        let change = log_step.clone() - self.log_average.clone();
        Self {
            count,
            shortfall,
            log_average: self.log_average + weight * change,
            log_step,
        }
    }

    fn parts(&self) -> [Tensor<D>; 4] {
        [
            self.count.clone(),
            self.shortfall.clone(),
            self.log_step.clone(),
            self.log_average.clone(),
        ]
    }

    fn restored([count, shortfall, log_step, log_average]: &[Tensor<D>; 4]) -> Self {
        Self {
            count: count.clone(),
            shortfall: shortfall.clone(),
            log_step: log_step.clone(),
            log_average: log_average.clone(),
        }
    }
}

impl<S, const D: usize> AdaptiveState<S, D> {
    /// The step sizes of the next step, `[chains, 1, ..]`.
    pub fn step_sizes(&self) -> Tensor<D> {
        match &self.search {
            Search::Running(averaging) => averaging.log_step.clone().exp(),
            Search::Ended(steps) => steps.clone(),
        }
    }
}

impl<S: ChainState<D>, const D: usize> ChainState<D> for AdaptiveState<S, D> {
    fn position(&self) -> &Tensor<D> {
        self.inner.position()
    }

    fn parts(&self) -> Vec<Tensor<D>> {
        let mut parts = self.inner.parts();
        match &self.search {
            Search::Running(averaging) => parts.extend(averaging.parts()),
            Search::Ended(steps) => parts.push(steps.clone()),
        }
        parts
    }
}

impl<const D: usize, K: Tunable<D>> MarkovKernel<D> for Adaptive<K> {
    type State = AdaptiveState<K::State, D>;

    fn init(&self, position: Tensor<D>) -> Self::State {
        let averaging = DualAveraging::new(self.first_step(), &position);
        AdaptiveState {
            inner: self.kernel.init(position),
            search: Search::Running(averaging),
        }
    }

    fn step(&self, state: Self::State, noise: &mut dyn Noise<D>) -> (Self::State, Info) {
        let steps = state.step_sizes();
        let (inner, info) = self.kernel.step_with(state.inner, steps, noise);
        let search = match state.search {
            Search::Running(averaging) => {
                let acceptance = info.acceptance.clone();
                let acceptance = acceptance.expect("a tunable kernel tells its acceptance");
                let acceptance = acceptance.reshape(averaging.count.dims());
                Search::Running(averaging.updated(acceptance, self.target(), self.first_step()))
            }
            ended => ended,
        };
        (AdaptiveState { inner, search }, info)
    }

    /// Of as many parts as the adapted kernel's state has, and four more, or one more once adaptation has ended.
    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Self::State> {
        let running = || {
            let (inner, averaging) = parts.split_last_chunk()?;
            let inner = self.kernel.restore(inner.to_vec())?;
            let search = Search::Running(DualAveraging::restored(averaging));
            Some(AdaptiveState { inner, search })
        };
        let ended = || {
            let (steps, inner) = parts.split_last()?;
            let inner = self.kernel.restore(inner.to_vec())?;
            let search = Search::Ended(steps.clone());
            Some(AdaptiveState { inner, search })
        };
        running().or_else(ended)
    }

    fn freeze(&self, state: Self::State) -> Self::State {
        let steps = match state.search {
            Search::Running(averaging) => averaging.log_average.exp(),
            Search::Ended(steps) => steps,
        };
        AdaptiveState {
            inner: self.kernel.freeze(state.inner),
            search: Search::Ended(steps),
        }
    }

    fn gradients(&self) -> usize {
        self.kernel.gradients()
    }

    fn gradients_to_start(&self) -> usize {
        self.kernel.gradients_to_start()
    }

    /// The first one.
    fn step_size(&self) -> Option<StepSize> {
        self.kernel.step_size()
    }

    fn describe(&self) -> String {
        let (kernel, target) = (self.kernel.describe(), self.target());
        format!("adaptive {kernel}, target_acceptance {target:e}")
    }
}
