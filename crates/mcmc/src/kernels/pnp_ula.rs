//! PnP-ULA, the plug-and-play unadjusted Langevin algorithm: a denoiser as the prior, and a pull towards a box.
//!
//! `x <- x - h grad f(x) - h (alpha/epsilon) (x - D(x; sigma)) + (h/lambda) (Pi_C(x) - x) + sqrt(2 h) n`, `n ~ N(0, I)`
//!
//! with `epsilon = sigma^2`. Laumont, De Bortoli, Almansa, Delon, Durmus & Pereyra 2022,
//! <https://arxiv.org/abs/2103.04715>. It is ULA for `exp(-f) p_sigma^alpha` times a penalty that leaves the box `C`
//! free: `exp(-d(x, C)^2/(2 lambda))`, the Moreau-Yosida envelope of the box. The pull keeps the chain where a network
//! was trained, and makes it ergodic. With `L` the Lipschitz constant of `grad f` and `M` that of `x - D`, the authors
//! suggest steps up to a third of `1/(L + alpha M/epsilon + 1/lambda)`, and `lambda` up to half of
//! `1/(L + alpha M/epsilon)`. Their PPnP-ULA is [`ProjectedUla`](crate::ProjectedUla) with no pull.
//!
//! - Needs: the gradient of the data term, a denoiser.
//! - Cost: one gradient and one denoising a step.
//! - Gaussian prior: a prior of variance wider by `sigma^2`; besides, the bias of ULA: up to 1.2 at the bound.
//! - Use: networks as priors at one small noise level.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Noise, combine};
use tweedie_fidelity::{Gradient, MoreauEnvelope, ScorePrior, Smooth};

use crate::{ChainError, Info, MarkovKernel, PixelBox, Position, PosteriorDensity, StepSize};

/// The share of `1/L` that the authors suggest.
const SHARE: f64 = 1.0 / 3.0;

/// [`Ula`](crate::Ula) with a denoiser and the penalty of a box, admissible up to
/// `h = 1/(3 (L + alpha M/epsilon + 1/lambda))`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::GaussianPrior;
/// use tweedie_fidelity::{L2, MoreauEnvelope, ScorePrior};
/// use tweedie_mcmc::{PixelBox, PnpUla};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &Device::flex());
/// let fidelity = L2::new(Identity, y.clone(), 0.1)?.with_operator_norm(1.0)?;
/// let prior = ScorePrior::new(GaussianPrior::new(y, 0.04), 0.02, 1.0)?;
/// let near_pixels = MoreauEnvelope::new(PixelBox::new(-1.0, 2.0)?, 1e-4)?;
/// let kernel = PnpUla::at_bound(fidelity, prior, near_pixels)?;
/// # let _ = kernel;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PnpUla<F, P> {
    posterior: PosteriorDensity<F, ScorePrior<P>>,
    penalty: MoreauEnvelope<PixelBox>,
    step: StepSize,
}

impl<F: Smooth, P> PnpUla<F, P> {
    /// For the data term `f`, the score of a denoiser (whose weight is `alpha`), and the envelope of a box, with the
    /// step `h = step_size` in squared units of `x`.
    ///
    /// # Errors
    /// Unless `step_size` is finite and above 0.
    pub fn new(
        fidelity: F,
        prior: ScorePrior<P>,
        penalty: MoreauEnvelope<PixelBox>,
        step_size: f64,
    ) -> Result<Self, ChainError> {
        let posterior = PosteriorDensity { fidelity, prior };
        let step = StepSize::new(step_size, bound(&posterior, &penalty))?;
        Ok(Self {
            posterior,
            penalty,
            step,
        })
    }

    /// With the largest step that the authors suggest.
    ///
    /// # Errors
    /// [`ChainError::NoBound`] where the Lipschitz constant of `grad f` is not known.
    pub fn at_bound(
        fidelity: F,
        prior: ScorePrior<P>,
        penalty: MoreauEnvelope<PixelBox>,
    ) -> Result<Self, ChainError> {
        let posterior = PosteriorDensity { fidelity, prior };
        let step = StepSize::at_bound(bound(&posterior, &penalty))?;
        Ok(Self {
            posterior,
            penalty,
            step,
        })
    }
}

fn bound(posterior: &impl Smooth, penalty: &impl Smooth) -> Option<f64> {
    Some(SHARE / (posterior.lipschitz()? + penalty.lipschitz()?))
}

impl<const D: usize, F: Gradient<D>, P: Denoiser<D>> MarkovKernel<D> for PnpUla<F, P> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, Position(x): Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let h = self.step.value;
        let fresh = noise.normal(x.dims());
        let gradient = self.posterior.grad(x.clone());
        let push = self.penalty.grad(x.clone());
        let spread = (2.0 * h).sqrt();
        let moved = combine([(1.0, x), (-h, gradient), (-h, push), (spread, fresh)]);
        (Position(moved), Info::default())
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
        let (box_, lambda) = (self.penalty.function(), self.penalty.lambda());
        format!(
            "pnp-ula, {box_}, lambda {lambda:e}, step_size {:e}",
            self.step.value
        )
    }
}
