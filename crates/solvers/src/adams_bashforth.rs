//! Adams-Bashforth: the polynomial through the last slopes of the flow, integrated exactly over the next step.
//!
//! `u_s = u_t + int Q(sigma) dsigma` from `sigma_t` to `sigma_s`, `Q` through the last `k` slopes
//! `d = (u - D(u; sigma))/sigma`, `u = x/s`
//!
//! Bashforth & Adams 1883, on an uneven grid (Hairer, Nørsett & Wanner 1993, section III.5,
//! <https://doi.org/10.1007/978-3-540-78862-1>). In this variable it is at once the linear multistep sampler ("LMS")
//! that came with the equation of Karras et al. 2022, <https://arxiv.org/abs/2206.00364>, and rho-AB-DEIS of Zhang &
//! Chen 2023, section 4, <https://arxiv.org/abs/2204.13902>, whose `rho` is our `sigma`; those two start with lower
//! orders.
//!
//! Order `k`, one evaluation a step. `k = 1` is DDIM. For `k >= 3` the first `k - 2` steps are made by Heun's
//! third-order Runge-Kutta method in `sigma` (Hairer et al., section II.1), at two evaluations more each: 2 more in a
//! run of order 3, 4 more at order 4. Started by lower orders instead, the error of the first step would rule: on a
//! prior of the points -1 and 1 orders 3 and 4 then fall to 2 from `sigma = 2` on, and order 4 below 3 from
//! `sigma = 20`.
//!
//! Exact at any step size for a point mass, whose slope is constant. The slope stays finite as the noise goes, so a
//! step that ends without noise is a step like others. The stochasticity of the process is not used.
//!
//! For unguided priors on grids that go down to no noise at all, where the methods in `lambda = -ln sigma` fall back to
//! first order for the last step.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{
    SolveError, Solver, error::require, history::History, lagrange::weights, levels::Levels,
};

/// The Adams-Bashforth method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdamsBashforth {
    order: usize,
}

impl AdamsBashforth {
    /// `order` from 1 to 4, the number of slopes that a step uses.
    ///
    /// # Errors
    /// Unless `order` is 1, 2, 3 or 4.
    pub fn new(order: usize) -> Result<Self, SolveError> {
        let valid = (1..=4).contains(&order);
        require("order", order as f64, valid, "1, 2, 3 or 4")?;
        Ok(Self { order })
    }
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for AdamsBashforth {
    /// Past slopes over noise levels.
    type Memory = History<D>;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        _: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let levels = Levels::of(process.schedule(), span);
        let first = slope(process, x.clone(), span.from);
        memory.push(levels.sigma_from, first.clone(), self.order);
        if memory.len() + 1 < self.order {
            return start(process, x, first, levels);
        }
        let h = levels.sigma_to - levels.sigma_from;
        let moments = [h, h / 2.0, h / 3.0, h / 4.0];
        let weights = weights(&memory.nodes(levels.sigma_from, h), &moments);
        memory.add_to((levels.s_to / levels.s_from, x), levels.s_to, &weights)
    }
}

/// `d = (u - D)/sigma` at time `t`.
fn slope<P: Diffusion<D> + ?Sized, const D: usize>(process: &P, x: Tensor<D>, t: f64) -> Tensor<D> {
    let (s, sigma) = (process.schedule().scale(t), process.schedule().sigma(t));
    let clean = process.denoised(x.clone(), t);
    combine([((s * sigma).recip(), x), (-sigma.recip(), clean)])
}

/// A step of Heun's third-order Runge-Kutta method in `sigma`; its stages lie inside the step.
fn start<P: Diffusion<D> + ?Sized, const D: usize>(
    process: &P,
    x: Tensor<D>,
    first: Tensor<D>,
    levels: Levels,
) -> Tensor<D> {
    let schedule = process.schedule();
    let h = levels.sigma_to - levels.sigma_from;
    let stage = |share: f64, along: Tensor<D>| {
        let t = schedule.time_at(levels.sigma_from + share * h);
        let s = schedule.scale(t);
        let inner = combine([(s / levels.s_from, x.clone()), (s * share * h, along)]);
        slope(process, inner, t)
    };
    let second = stage(1.0 / 3.0, first.clone());
    let third = stage(2.0 / 3.0, second);
    combine([
        (levels.s_to / levels.s_from, x),
        (0.25 * levels.s_to * h, first),
        (0.75 * levels.s_to * h, third),
    ])
}
