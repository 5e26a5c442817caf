//! DPM-Solver++(2S): the midpoint rule for the denoised image, with the midpoint in `lambda = -ln sigma`.
//!
//! `u_m = r_m u_t + (1 - r_m) D(u_t; sigma_t)`, `u_s = r u_t + (1 - r) D(u_m; sigma_m)`,
//! `sigma_m = sqrt(sigma_t sigma_s)`, `r_m = sigma_m/sigma_t`, `r = sigma_s/sigma_t`, `u = x/s`
//!
//! Lu et al. 2023, algorithm 1 (`r_i = 1/2`), <https://arxiv.org/abs/2211.01095>. Order 2, two evaluations a step,
//! exact at any step size for a point mass. A step that ends without noise has no midpoint: it returns the denoised
//! image, for one evaluation. The stochasticity of the process is not used.
//!
//! For strongly guided priors, and where steps must not depend on each other (a restart, a particle method): it keeps
//! no memory. Otherwise [`DpmSolverPp2M`](crate::DpmSolverPp2M) takes twice as many steps for the same evaluations.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::Diffusion;

use crate::{Solver, levels::Levels};

/// The DPM-Solver++(2S) method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DpmSolverPp2S;

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for DpmSolverPp2S {
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
        levels.held(x, process.denoised(inner, middle))
    }
}
