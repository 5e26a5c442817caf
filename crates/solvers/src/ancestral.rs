//! Ancestral sampling of the chain that a grid makes of a variance-preserving process, with `beta = g(t)^2 |h|`.
//!
//! `x_s = (x_t + beta score) / sqrt(1 - beta) + sqrt(beta) z`
//!
//! Song et al. 2021, eq. (4), <https://arxiv.org/abs/2011.13456>; Ho, Jain & Abbeel 2020, algorithm 2 with the variance
//! `sigma_t^2 = beta_t`, <https://arxiv.org/abs/2006.11239>. Order 1, one evaluation a step, for variance-preserving schedules.
//! [`Ddpm`](crate::Ddpm) takes the exact `beta` of a step and the variance of the posterior: it is exact for a point mass and
//! takes any schedule and step; this one is what is often meant by "DDPM" in comparisons.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{Solver, kick::kick};

/// The chain of Song et al. 2021.
///
/// Steps so long that `beta >= 1` have no real square root: the run then ends with
/// [`SolveError::Diverged`](crate::SolveError::Diverged).
///
/// # Panics
/// A step panics if the schedule does not preserve the variance, `g^2 = -2 f`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancestral;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for Ancestral {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let schedule = process.schedule();
        let rate = schedule.diffusion_sq(span.from);
        let drift = schedule.drift_rate(span.from);
        assert!(
            (rate + 2.0 * drift).abs() <= 1e-9 * rate,
            "ancestral sampling needs g^2 = -2 f, found g^2 = {rate} and f = {drift} at time {}",
            span.from
        );
        let beta = rate * span.step().abs();
        let (s, sigma) = (schedule.scale(span.from), schedule.sigma(span.from));
        let clean = process.denoised(x.clone(), span.from);
        // The score is (s D - x)/(s sigma)^2.
        let pull = beta / (s * sigma).powi(2);
        let grown = (1.0 - beta).sqrt().recip();
        let moved = [(grown * (1.0 - pull), x), (grown * pull * s, clean)];
        kick(moved, beta.sqrt(), span, noise)
    }
}
