//! Exponential Euler: the linear part and the noise integrated exactly, the score frozen over the step.
//!
//! `x_s = p x_t + (1 + alpha)/2 score(x_t, t) int_s^t (s_s/s_tau) g^2(tau) dtau +
//! sqrt(alpha) s_s sqrt(sigma_t^2 - sigma_s^2) z`, `p = s_s/s_t`
//!
//! De Bortoli 2022, <https://arxiv.org/abs/2208.05314>; Pierret & Galerne 2025, <https://arxiv.org/abs/2405.14250>,
//! whose exponential integrator this is; Zhang & Chen 2023, <https://arxiv.org/abs/2204.13902>, for the flow. `alpha`
//! is the stochasticity of the process at the start of the step. The integral is `s_s int s dsigma^2`,
//! `2 (e^(dB/2) - 1)` for a variance-preserving process; it is computed to rounding by Gauss-Legendre quadrature, for
//! any schedule. One evaluation a step, of order 1, strong order 1 with noise. A step that ends without noise takes the
//! same form.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span};
use tweedie_sde::{Diffusion, Sde};

use crate::{Solver, kick::kick, levels::Levels, quadrature::scale_over_variance};

/// The exponential Euler method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExponentialEuler;

impl<P: Diffusion<D> + Sde<D> + ?Sized, const D: usize> Solver<P, D> for ExponentialEuler {
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
        let Levels {
            s_from,
            s_to,
            sigma_from,
            sigma_to,
        } = Levels::of(schedule, span);
        let alpha = stochasticity(
            process.diffusion(span.from),
            schedule.diffusion_sq(span.from),
        );
        let integral = s_to * scale_over_variance(schedule, sigma_to, sigma_from);
        // The score is (s D - x) / (s sigma)^2.
        let pull = 0.5 * (1.0 + alpha) * integral / (s_from * sigma_from).powi(2);

        let clean = process.denoised(x.clone(), span.from);
        let moved = [(s_to / s_from - pull, x), (pull * s_from, clean)];
        let added = alpha * (sigma_from - sigma_to) * (sigma_from + sigma_to);
        kick(moved, s_to * added.sqrt(), span, noise)
    }
}

/// `alpha` from the diffusion `sqrt(alpha) g` of the process; none where the forward process has no noise.
fn stochasticity(diffusion: f64, forward_sq: f64) -> f64 {
    if forward_sq > 0.0 {
        diffusion * diffusion / forward_sq
    } else {
        0.0
    }
}
