//! MYULA, the Moreau-Yosida unadjusted Langevin algorithm: for a prior `exp(-g)` that is not smooth.
//!
//! `x <- (1 - h/lambda) x - h grad f(x) + (h/lambda) prox_{lambda g}(x) + sqrt(2 h) n`, `n ~ N(0, I)`
//!
//! Durmus, Moulines & Pereyra 2018, <https://doi.org/10.1137/16M1108340>. It is [`Ula`] with the Moreau-Yosida envelope
//! `g_lambda` in place of `g`, so its law tends to `exp(-f - g_lambda)` as `h` falls, and that to the posterior as
//! `lambda` does, at the price of smaller steps. With `f = a |x - m|^2/2` and `g = b |x|^2/2` the precision of the
//! envelope is `b/(1 + lambda b)`.
//!
//! - Needs: the gradient of the data term, the proximal operator of the prior.
//! - Cost: one of each a step.
//! - Gaussian prior: a prior of variance wider by `lambda`; besides, the bias of ULA.
//! - Use: total variation, sparse wavelets and constraints; SK-ROCK on the same envelope is faster.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{Gradient, MoreauEnvelope, Proximal, Smooth};

use crate::{ChainError, Info, MarkovKernel, Position, PosteriorDensity, StepSize, Ula};

/// [`Ula`] on the sum of a data term and the envelope of a prior, admissible up to `h = 1/(L_f + 1/lambda)`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{L2, MoreauEnvelope, TotalVariation};
/// use tweedie_mcmc::{Myula, PosteriorDensity, SkRock};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &Device::flex());
/// let fidelity = L2::new(Identity, y, 0.1)?.with_operator_norm(1.0)?;
/// let prior = MoreauEnvelope::new(TotalVariation::isotropic(5.0)?, 0.01)?;
/// let slow = Myula::at_bound(fidelity.clone(), prior)?;
/// // The same law with longer steps.
/// let fast = SkRock::at_share(PosteriorDensity { fidelity, prior }, 10, 0.5)?;
/// # let _ = (slow, fast);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Myula<F, G> {
    ula: Ula<PosteriorDensity<F, MoreauEnvelope<G>>>,
    lambda: f64,
}

impl<F: Smooth, G> Myula<F, G> {
    /// For the data term `f` and the envelope of the prior `g`, with the step `h = step_size` in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(fidelity: F, prior: MoreauEnvelope<G>, step_size: f64) -> Result<Self, ChainError> {
        let lambda = prior.lambda();
        let ula = Ula::new(PosteriorDensity { fidelity, prior }, step_size)?;
        Ok(Self { ula, lambda })
    }

    /// With the largest admissible step, `1/(L_f + 1/lambda)`.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of `grad f` is not known.
    pub fn at_bound(fidelity: F, prior: MoreauEnvelope<G>) -> Result<Self, ChainError> {
        let lambda = prior.lambda();
        let ula = Ula::at_bound(PosteriorDensity { fidelity, prior })?;
        Ok(Self { ula, lambda })
    }
}

impl<const D: usize, F: Gradient<D>, G: Proximal<D>> MarkovKernel<D> for Myula<F, G> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        self.ula.init(position)
    }

    fn step(&self, state: Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        self.ula.step(state, noise)
    }

    fn moved(&self, state: Position<D>, position: Tensor<D>) -> Option<Position<D>> {
        self.ula.moved(state, position)
    }

    fn gradients(&self) -> usize {
        MarkovKernel::<D>::gradients(&self.ula)
    }

    fn step_size(&self) -> Option<StepSize> {
        MarkovKernel::<D>::step_size(&self.ula)
    }

    fn describe(&self) -> String {
        let ula = MarkovKernel::<D>::describe(&self.ula);
        format!("my{ula}, lambda {:e}", self.lambda)
    }
}
