//! DDIM: from the deterministic flow (`eta = 0`) to ancestral sampling (`eta = 1`) by one parameter.
//!
//! `x_s = s_s (D + r sqrt(1 - q) (x_t/s_t - D) + sigma_s sqrt(q) z)`, `r = sigma_s/sigma_t`, `q = eta^2 (1 - r^2)`
//!
//! Song, Meng & Ermon 2021, eqs. (12) and (16), <https://arxiv.org/abs/2010.02502>, in noise levels instead of steps of a
//! table; `D` is the denoised image. One evaluation a step, of first order, and exact at any step size for a point mass. The
//! stochasticity of the process is not used: `eta` takes its place.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{SolveError, Solver, error::require, kick::kick, levels::Levels};

/// The DDIM method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ddim {
    eta: f64,
}

impl Ddim {
    /// `eta` from 0 (deterministic) to 1 (as DDPM).
    ///
    /// # Errors
    /// Unless `eta` lies in [0, 1].
    pub fn new(eta: f64) -> Result<Self, SolveError> {
        require("eta", eta, (0.0..=1.0).contains(&eta), "in [0, 1]")?;
        Ok(Self { eta })
    }
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for Ddim {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let ratio = levels.ratio();
        let fresh = self.eta * self.eta * (1.0 - ratio * ratio);
        let kept = ratio * (1.0 - fresh).sqrt();

        let clean = process.denoised(x.clone(), span.from);
        let moved = [
            (levels.s_to * kept / levels.s_from, x),
            (levels.s_to * (1.0 - kept), clean),
        ];
        let strength = levels.s_to * levels.sigma_to * fresh.sqrt();
        kick(moved, strength, span, noise)
    }
}
