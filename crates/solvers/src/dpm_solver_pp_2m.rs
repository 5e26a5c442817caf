//! DPM-Solver++(2M): the denoised image extrapolated from two steps to the middle of the next.
//!
//! `u_s = r u_t + (1 - r) ((1 + q) D_t - q D_t')`, `q = h/(2 h')`, `r = sigma_s/sigma_t`, `u = x/s`
//!
//! Lu et al. 2023, algorithm 2, <https://arxiv.org/abs/2211.01095>; `h = -ln r` is the length of the step in `lambda`,
//! primes mark the step before. Order 2, one evaluation a step, exact at any step size for a point mass. The first
//! step, and one that ends without noise, keep `D` constant (DDIM); the first adds one error of `O(h^2)`, which leaves
//! the order as it is. The stochasticity of the process is not used.
//!
//! For runs of 15 to 20 evaluations, guided or not, the paper's aim. [`UniPc`](crate::UniPc) with `p = 2` is the same
//! predictor with a correction for no further evaluation.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{Solver, levels::Levels};

/// The DPM-Solver++(2M) method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DpmSolverPp2M;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for DpmSolverPp2M {
    /// Length of the last step in `lambda`, and the denoised image at its start.
    type Memory = Option<(f64, Tensor<D>)>;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        _: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let clean = process.denoised(x.clone(), span.from);
        let h = levels.h();
        match memory.replace((h, clean.clone())) {
            Some((before, last)) if levels.sigma_to > 0.0 => {
                let ratio = levels.ratio();
                let pull = levels.s_to * (1.0 - ratio);
                let ahead = 0.5 * h / before;
                combine([
                    (levels.s_to * ratio / levels.s_from, x),
                    (pull * (1.0 + ahead), clean),
                    (-pull * ahead, last),
                ])
            }
            _ => levels.held(x, clean),
        }
    }
}
