//! Projected Langevin: ULA whose every step ends at the nearest image of a box.
//!
//! `x <- Pi_C(x - h grad U(x) + sqrt(2 h) n)`, `n ~ N(0, I)`
//!
//! Bubeck, Eldan & Lehec 2018, <https://doi.org/10.1007/s00454-018-9992-1>. The target is `exp(-U)` on
//! `C = [low, high]`; what a step throws out is put on the wall, so the law has an atom of order `sqrt(h)` there, and
//! its bias is of that order. With `U` the sum of a data term and the score of a denoiser it is PPnP-ULA (Laumont et
//! al. 2022, <https://arxiv.org/abs/2103.04715>).
//!
//! - Needs: the gradient of the potential, a box.
//! - Cost: one gradient a step.
//! - Gaussian prior: truncated to the box; bias of order `sqrt(h)`, as pixels stick to the walls.
//! - Use: a denoiser that must see pixels in its range; reflection has less bias.

use burn::tensor::Tensor;

use super::boxed_ula::{BoxedUla, WayBack};
use crate::PixelBox;

/// `x <- Pi_C(x - h grad U(x) + sqrt(2 h) n)`, admissible up to `h = 1/L`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng};
/// use tweedie_fidelity::{L2, ScorePrior};
/// use tweedie_mcmc::{ChainState, PixelBox, MarkovKernel, PosteriorDensity, ProjectedUla};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let y = Tensor::<4>::full([1, 1, 8, 8], 0.9, &device);
/// let fidelity = L2::new(Identity, y.clone(), 0.1)?.with_operator_norm(1.0)?;
/// let prior = ScorePrior::new(GaussianPrior::new(y.zeros_like(), 0.04), 0.02, 1.0)?;
/// // PPnP-ULA.
/// let kernel = ProjectedUla::at_bound(PosteriorDensity { fidelity, prior }, PixelBox::UNIT)?;
/// let (state, _) = kernel.step(kernel.init(y), &mut Rng::seeded(0, &device));
/// assert!(state.position().clone().max().into_scalar::<f32>() <= 1.0);
/// # Ok(())
/// # }
/// ```
pub type ProjectedUla<T> = BoxedUla<T, Projection>;

/// To the nearest image of the box.
#[derive(Clone, Copy, Debug)]
pub struct Projection;

impl WayBack for Projection {
    const NAME: &'static str = "projected";

    fn back<const D: usize>(walls: &PixelBox, x: Tensor<D>) -> Tensor<D> {
        walls.project(x)
    }
}
