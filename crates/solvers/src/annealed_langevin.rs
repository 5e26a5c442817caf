//! Annealed Langevin dynamics: some Langevin steps at each of a falling sequence of noise levels.
//!
//! `u <- u + a/2 score(u; sigma) + sqrt(a) z`, `a = epsilon sigma^2/sigma_last^2`, `score = (D - u)/sigma^2`, `u = x/s`
//!
//! Song & Ermon 2019, algorithm 1, <https://arxiv.org/abs/1907.05600>. A step of the grid carries the state to
//! `span.to` unchanged in `u` and makes the Langevin steps there: the levels are the times of the grid after the first.
//! A level without noise makes no step, as the paper's last level has some. `steps_per_level` evaluations a step. It
//! follows no equation, so it has no order: the law tends to that of the smoothed prior as `epsilon` falls and
//! `epsilon steps_per_level` grows.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{SolveError, Solver, error::require, levels::Levels};

/// The sampler of noise-conditional score networks.
///
/// ```
/// use tweedie_solvers::AnnealedLangevin;
///
/// // The paper's numbers, for ten levels from 1 to 0.01 in geometric progression.
/// assert!(AnnealedLangevin::new(2e-5, 100, 0.01).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnnealedLangevin {
    epsilon: f64,
    steps_per_level: usize,
    sigma_last: f64,
}

impl AnnealedLangevin {
    /// `epsilon` is the step at `sigma_last`, the lowest noise level of the run that is not 0, both in units of the
    /// image. Steps stay stable for any prior while `epsilon < 4 sigma_last^2`.
    ///
    /// # Errors
    /// Unless `epsilon` and `sigma_last` are finite and above 0, and `steps_per_level` is at least 1.
    pub fn new(epsilon: f64, steps_per_level: usize, sigma_last: f64) -> Result<Self, SolveError> {
        for (name, value) in [("epsilon", epsilon), ("sigma_last", sigma_last)] {
            let valid = value > 0.0 && value.is_finite();
            require(name, value, valid, "finite and above 0")?;
        }
        let count = steps_per_level as f64;
        require("steps_per_level", count, count > 0.0, "at least 1")?;
        Ok(Self {
            epsilon,
            steps_per_level,
            sigma_last,
        })
    }
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Solver<P, D> for AnnealedLangevin {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let Levels {
            s_from,
            s_to,
            sigma_to,
            ..
        } = Levels::of(process.schedule(), span);
        let carried = combine([(s_to / s_from, x)]);
        if !process.is_defined_at(span.to) {
            return carried;
        }
        // a/2 over sigma^2, the same at every level.
        let pull = 0.5 * self.epsilon / self.sigma_last.powi(2);
        let strength = s_to * sigma_to * (2.0 * pull).sqrt();
        (0..self.steps_per_level).fold(carried, |x, _| {
            let clean = process.denoised(x.clone(), span.to);
            let fresh = noise.normal(x.dims());
            combine([(1.0 - pull, x), (pull * s_to, clean), (strength, fresh)])
        })
    }
}
