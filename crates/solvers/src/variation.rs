//! Variation of constants for the reverse equation in `lambda = -ln sigma`.
//!
//! With stochasticity `alpha` and `u = x/s` it reads `du = -(1 + alpha) (u - D) dlambda + sqrt(2 alpha) sigma dw`,
//! hence `u_to = r^k u_from + k int e^(-k (lambda_to - lambda)) D dlambda + sigma_to sqrt(1 - r^(2 alpha)) z`, `k = 1 +
//! alpha`.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};

use crate::{kick::kick, levels::Levels};

/// A past value of `D`, and where it was taken.
#[derive(Clone, Debug)]
pub struct Evaluation<const D: usize> {
    pub(crate) clean: Tensor<D>,
    pub(crate) lambda: f64,
}

/// The weights of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    levels: Levels,
    rate: f64,
}

impl Variation {
    pub(crate) fn new(levels: Levels, alpha: f64) -> Self {
        Self {
            levels,
            rate: 1.0 + alpha,
        }
    }

    /// `D = clean` at the start of the step, for later ones.
    pub(crate) fn evaluation<const D: usize>(&self, clean: &Tensor<D>) -> Evaluation<D> {
        Evaluation {
            clean: clean.clone(),
            lambda: -self.levels.sigma_from.ln(),
        }
    }

    /// `r^k`, which `u_from` keeps.
    fn kept(&self) -> f64 {
        self.levels.ratio().powf(self.rate)
    }

    /// Weight of `D` where it is constant.
    pub(crate) fn constant(&self) -> f64 {
        1.0 - self.kept()
    }

    /// Weight of a linear function of `lambda` that is 0 at the start of the step and has slope 1.
    pub(crate) fn linear(&self) -> f64 {
        // Rounding is that of h: harmless beside the state, so no series is needed for short steps.
        self.levels.h() - self.constant() / self.rate
    }

    /// Weight of the square of that function.
    pub(crate) fn square(&self) -> f64 {
        self.levels.h().powi(2) - 2.0 * self.linear() / self.rate
    }

    /// The step itself, for `int = sum_i c_i D_i`.
    pub(crate) fn step<const D: usize, const N: usize>(
        &self,
        x: Tensor<D>,
        clean: [(f64, Tensor<D>); N],
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let Levels {
            s_from,
            s_to,
            sigma_to,
            ..
        } = self.levels;
        let pulled = combine(clean.map(|(weight, clean)| (s_to * weight, clean)));
        let fresh = 1.0 - self.levels.ratio().powf(2.0 * (self.rate - 1.0));
        kick(
            [(s_to * self.kept() / s_from, x), (1.0, pulled)],
            s_to * sigma_to * fresh.sqrt(),
            span,
            noise,
        )
    }
}
