//! The proximal operator of `f(x) = h(A x)` from that of `h`.
//!
//! Where `A A^T = c I` it has a closed form, `prox_{t f}(x) = x + A^T (prox_{c t h}(A x) - A x) / c` (Combettes &
//! Pesquet 2007, proposition 11, <https://doi.org/10.1109/JSTSP.2007.910264>). Elsewhere the alternating direction
//! method of multipliers splits `z = A u` (Boyd et al. 2011, section 3.1.1, <https://doi.org/10.1561/2200000016>). With
//! the penalty `1/(damping step)` its iteration is
//!
//! `u = x + (A^T A + damping I)^-1 A^T (z - w - A x)`, `z = prox_{damping step h}(A u + w)`, `w <- w + A u - z`.

use burn::tensor::Tensor;
use tweedie_physics::{ConjugateGradient, LinearOperator};

use crate::{FidelityError, error::require_positive};

/// ADMM with a fixed number of iterations, without read-back: the proximal operators of data terms other than Gaussian.
///
/// The objective converges at least as `1/iterations`. Where the active set has settled, the error falls linearly: at
/// once for singular values `s` with `s^2 = damping`, slowly for those far above or below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Admm {
    /// Number of iterations: one solution with `A^T A + damping I` and one application of `A` and of `A^T` each.
    pub iterations: usize,
    /// About the square of the singular values of `A` that matter, above 0: 1 for an operator of norm 1.
    pub damping: f64,
    /// Budget of the inner solutions for an `A` without closed form; the condition number is `1 + |A|^2/damping`.
    pub cg: ConjugateGradient,
}

impl Default for Admm {
    /// 100 iterations for an operator of norm 1, with 15 conjugate gradients each, which reach `10^-10` at the
    /// condition number 2.
    fn default() -> Self {
        Self {
            iterations: 100,
            damping: 1.0,
            cg: ConjugateGradient { iterations: 15 },
        }
    }
}

/// How the proximal operator of `h(A x)` is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Splitting {
    /// `A A^T = bound I`.
    TightFrame { bound: f64 },
    /// Any linear `A`.
    Admm(Admm),
}

impl Splitting {
    pub(crate) fn tight_frame(bound: f64) -> Result<Self, FidelityError> {
        require_positive("frame bound", bound)?;
        Ok(Self::TightFrame { bound })
    }

    pub(crate) fn admm(admm: Admm) -> Result<Self, FidelityError> {
        require_positive("damping", admm.damping)?;
        Ok(Self::Admm(admm))
    }

    /// `argmin_u h(A u) + |u - x|^2 / (2 step)`, where `prox_h(z, t) = argmin_v h(v) + |v - z|^2 / (2 t)`.
    pub(crate) fn prox<const X: usize, const Y: usize>(
        self,
        operator: &impl LinearOperator<X, Y>,
        x: Tensor<X>,
        step: f64,
        prox_h: impl Fn(Tensor<Y>, f64) -> Tensor<Y>,
    ) -> Tensor<X> {
        let image = operator.forward(x.clone());
        match self {
            Self::TightFrame { bound } => {
                let moved = prox_h(image.clone(), bound * step);
                let [old, new] =
                    [image, moved].map(|z| operator.adjoint(z).mul_scalar(bound.recip()));
                // In this order nothing of the new point is rounded away where `A` is the identity.
                (x - old) + new
            }
            Self::Admm(admm) => {
                let update = |target: Tensor<Y>| {
                    let pull = operator.adjoint(target - image.clone());
                    x.clone() + operator.solve_normal(pull, admm.damping, admm.cg)
                };
                let step = admm.damping * step;
                let mut z = prox_h(image.clone(), step);
                let mut w = image.clone() - z.clone();
                for _ in 0..admm.iterations {
                    let shifted = operator.forward(update(z - w.clone())) + w;
                    z = prox_h(shifted.clone(), step);
                    w = shifted - z.clone();
                }
                update(z - w)
            }
        }
    }
}
