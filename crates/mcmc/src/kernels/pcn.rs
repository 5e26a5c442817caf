//! pCN, the preconditioned Crank-Nicolson proposal: exact for a Gaussian prior, at a rate that no refinement spoils.
//!
//! `y = m + sqrt(1 - beta^2) (x - m) + beta xi`, `xi ~ N(0, C)`, taken with probability `min(1, e^(f(x) - f(y)))`
//!
//! Cotter, Roberts, Stuart & White 2013, <https://doi.org/10.1214/13-STS421>. The proposal is reversible for the prior
//! `N(m, C)`, so the test sees the data term `f` alone; with `f = 0` all is taken. The acceptance does not fall as the
//! image is refined, as it does for a random walk.
//!
//! - Needs: the value of the data term, and a Gaussian prior to draw from.
//! - Cost: one value of the data term a step, no gradient.
//! - Gaussian prior: exact, at any `beta`; it has no other prior.
//! - Use: data that say little beside the prior, or have no gradient.

use burn::tensor::Tensor;
use tweedie_core::{FullGaussian, GaussianPrior, Noise, combine};
use tweedie_fidelity::DataFidelity;

use super::metropolis;
use crate::{ChainError, ChainState, Info, MarkovKernel, StepSize, error::require};

/// A Gaussian law `N(m, C)` that can be drawn from.
pub trait GaussianReference<const D: usize = 4> {
    /// `m`, of the shape of `like`, which is of the float type of the draws.
    fn mean(&self, like: &Tensor<D>) -> Tensor<D>;

    /// `C^(1/2) n`, or `S n` for any `S S^T = C`, row by row.
    fn colour(&self, white: Tensor<D>) -> Tensor<D>;
}

macro_rules! gaussian_reference {
    ($($prior:ident),*) => {$(
        impl<const D: usize> GaussianReference<D> for $prior<D> {
            fn mean(&self, like: &Tensor<D>) -> Tensor<D> {
                Self::mean(self).clone().expand(like.dims())
            }
            fn colour(&self, white: Tensor<D>) -> Tensor<D> {
                self.coloured(white)
            }
        }
    )*};
}
gaussian_reference!(GaussianPrior, FullGaussian);

/// Steps that leave a Gaussian prior as it is, tested by the data term.
///
/// A proposal whose data term is not finite is refused. Chains must start where it is finite.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng};
/// use tweedie_fidelity::L2;
/// use tweedie_mcmc::{ChainState, MarkovKernel, Pcn};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let start = Tensor::<4>::full([100, 1, 2, 2], 0.5, &device);
/// let prior = GaussianPrior::new(Tensor::full([1, 1, 2, 2], 0.5, &device), 0.04);
/// let data = L2::new(Identity, Tensor::<4>::full([1, 1, 2, 2], 0.7, &device), 0.2)?;
/// let kernel = Pcn::new(data, prior, 0.3)?;
/// let (state, _) = kernel.step(kernel.init(start), &mut Rng::seeded(0, &device));
/// assert_eq!(state.position().dims(), [100, 1, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pcn<F, G> {
    fidelity: F,
    prior: G,
    beta: f64,
}

impl<F, G> Pcn<F, G> {
    /// For the data term `fidelity`, the Gaussian `prior` and `beta` in (0, 1]: at 1 proposals are draws of the prior.
    ///
    /// # Errors
    /// Unless `beta` is in its range.
    pub fn new(fidelity: F, prior: G, beta: f64) -> Result<Self, ChainError> {
        let valid = beta > 0.0 && beta <= 1.0;
        require("beta", beta, valid, "above 0 and at most 1")?;
        Ok(Self {
            fidelity,
            prior,
            beta,
        })
    }
}

/// A position with the data term there.
#[derive(Clone, Debug)]
pub struct Weighed<const D: usize = 4> {
    position: Tensor<D>,
    /// `f`, `[chains]`.
    misfit: Tensor<1>,
}

impl<const D: usize> ChainState<D> for Weighed<D> {
    fn position(&self) -> &Tensor<D> {
        &self.position
    }
}

impl<const D: usize, F: DataFidelity<D>, G: GaussianReference<D>> MarkovKernel<D> for Pcn<F, G> {
    type State = Weighed<D>;

    fn init(&self, position: Tensor<D>) -> Weighed<D> {
        let misfit = self.fidelity.value(position.clone());
        Weighed { position, misfit }
    }

    fn step(&self, state: Weighed<D>, noise: &mut dyn Noise<D>) -> (Weighed<D>, Info) {
        let fresh = self.prior.colour(noise.normal(state.position.dims()));
        let mean = self.prior.mean(&state.position);
        let square = self.beta * self.beta;
        let kept = (1.0 - square).sqrt();
        // 1 - kept, without its cancellation.
        let pull = square / (1.0 + kept);
        let old = state.position.clone();
        let proposal = self.init(combine([(kept, old), (pull, mean), (self.beta, fresh)]));
        let log_ratio = state.misfit.clone() - proposal.misfit.clone();
        let log_ratio = metropolis::refuse_infinite(log_ratio, &proposal.misfit);
        let verdict = metropolis::test(log_ratio, noise);
        let state = Weighed {
            position: verdict.choose(proposal.position, state.position),
            misfit: verdict.choose(proposal.misfit, state.misfit),
        };
        let info = Info {
            acceptance: Some(verdict.probability),
            energy: None,
        };
        (state, info)
    }

    fn gradients(&self) -> usize {
        0
    }

    /// `beta`, without unit, and 1.
    fn step_size(&self) -> Option<StepSize> {
        Some(StepSize {
            value: self.beta,
            bound: Some(1.0),
        })
    }

    fn describe(&self) -> String {
        format!("pcn, beta {:e}", self.beta)
    }
}
