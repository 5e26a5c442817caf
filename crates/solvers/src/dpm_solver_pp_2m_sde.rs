//! SDE-DPM-Solver++(2M): the linear part of the reverse equation solved exactly, `D` extrapolated from two steps.
//!
//! `u_s = r^k u_t + (1 - r^k) (D_t + h/(2 h') (D_t - D_t')) + sigma_s sqrt(1 - r^(2 eta^2)) z`, `k = 1 + eta^2`
//!
//! Lu et al. 2023, section 5 and appendix B, <https://arxiv.org/abs/2211.01095>, where `eta` is 1; `u = x/s`,
//! `r = sigma_s/sigma_t`, `h = -ln r`, and primes mark the step before. The other `eta` follow by variation of
//! constants from the reverse equation of stochasticity `eta^2` (the number that k-diffusion calls `eta`); with 0 it is
//! DPM-Solver++(2M). One evaluation a step. Order 2, of the law too: the noise that a step leaves out of its own `D`
//! enters by the extrapolation of the next. Strong order 1 for `eta > 0`. Exact at any step size for a point mass. The
//! first step, and one that ends without noise, keep `D` constant. The stochasticity of the process is not used.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{
    SolveError, Solver,
    error::require,
    levels::Levels,
    variation::{Evaluation, Variation},
};

/// The SDE-DPM-Solver++(2M) method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSolverPp2MSde {
    alpha: f64,
}

impl DpmSolverPp2MSde {
    /// `eta` from 0 (deterministic) to 1 (the reverse equation itself).
    ///
    /// # Errors
    /// Unless `eta` lies in [0, 1].
    pub fn new(eta: f64) -> Result<Self, SolveError> {
        require("eta", eta, (0.0..=1.0).contains(&eta), "in [0, 1]")?;
        Ok(Self { alpha: eta * eta })
    }
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for DpmSolverPp2MSde {
    type Memory = Option<Evaluation<D>>;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let variation = Variation::new(levels, self.alpha);
        let clean = process.denoised(x.clone(), span.from);
        let now = variation.evaluation(&clean);

        let weight = variation.constant();
        let terms = match memory.take().filter(|_| levels.sigma_to > 0.0) {
            None => [(weight, clean.clone()), (0.0, clean)],
            Some(last) => {
                let ahead = 0.5 * levels.h() / (now.lambda - last.lambda);
                [
                    (weight * (1.0 + ahead), clean),
                    (-weight * ahead, last.clean),
                ]
            }
        };
        *memory = Some(now);
        variation.step(x, terms, span, noise)
    }
}
