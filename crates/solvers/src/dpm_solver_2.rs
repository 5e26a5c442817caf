//! DPM-Solver-2: the midpoint rule for the noise prediction, with the midpoint in `lambda = -ln sigma`.
//!
//! `u_m = u_t + (sigma_m - sigma_t) d(u_t; sigma_t)`, `u_s = u_t + (sigma_s - sigma_t) d(u_m; sigma_m)`,
//! `sigma_m = sqrt(sigma_t sigma_s)`, `d(u; sigma) = (u - D(u; sigma))/sigma`, `u = x/s`
//!
//! Lu et al. 2022, algorithm 1 (`r_1 = 1/2`), <https://arxiv.org/abs/2206.00927>; `d` is the paper's `epsilon`. Order
//! 2, two evaluations a step, exact at any step size for a point mass. A step that ends without noise has no midpoint:
//! it returns the denoised image, for one evaluation. The stochasticity of the process is not used.
//!
//! For priors without guidance and a flow that is to be followed closely; under strong guidance
//! [`DpmSolverPp2S`](crate::DpmSolverPp2S) is the more stable one, and [`DpmSolverPp2M`](crate::DpmSolverPp2M) needs
//! half the evaluations a step.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{Solver, levels::Levels};

/// The DPM-Solver-2 method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DpmSolver2;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for DpmSolver2 {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        _: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let clean = process.denoised(x.clone(), span.from);
        if levels.sigma_to == 0.0 {
            return levels.held(x, clean);
        }
        let (half, middle) = levels.first_half(process.schedule(), span);
        let inner = half.held(x.clone(), clean);
        let clean = process.denoised(inner.clone(), middle);
        // The whole step along d at the midpoint, (u_m - D)/sigma_m.
        let slope = levels.s_to * (levels.sigma_to - levels.sigma_from) / half.sigma_to;
        combine([
            (levels.s_to / levels.s_from, x),
            (slope / half.s_to, inner),
            (-slope, clean),
        ])
    }
}
