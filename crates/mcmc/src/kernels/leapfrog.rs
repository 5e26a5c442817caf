//! What MALA and HMC share: leapfrog steps of Hamilton's equations, and the Metropolis test at their end.
//!
//! In `z = S^-1 x` (see [`Preconditioner`]) with the energy `H = U(S z) + |v|^2 / 2`, one step of length `e` is
//!
//! `v <- v - e/2 S^T grad U(x)`, `x <- x + e S v`, `v <- v - e/2 S^T grad U(x)`
//!
//! It keeps volume and, with `v` turned round, is its own inverse; so a proposal is taken with probability
//! `min(1, e^(H - H'))`. MALA of step `h` is one leapfrog step of length `e = sqrt(2h)` from fresh `v ~ N(0, I)`: the log
//! ratio of its densities there and back is `(|v|^2 - |v'|^2) / 2`.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::DataFidelity;
use tweedie_physics::dot;

use super::{metropolis, preconditioner::Preconditioner};
use crate::{ChainState, Info};

/// A position with what is known of the potential there, so that no step evaluates it twice.
#[derive(Clone, Debug)]
pub struct Evaluated<const D: usize = 4> {
    position: Tensor<D>,
    /// `U`, `[chains]`.
    energy: Tensor<1>,
    /// `S^T grad U`.
    gradient: Tensor<D>,
}

impl<const D: usize> ChainState<D> for Evaluated<D> {
    fn position(&self) -> &Tensor<D> {
        &self.position
    }
}

/// The length `e` of a leapfrog step.
#[derive(Clone, Copy)]
pub(crate) enum Length<'a, const D: usize> {
    /// For all chains.
    Shared(f64),
    /// For each chain, `[chains, 1, ..]`.
    Each(&'a Tensor<D>),
}

impl<const D: usize> Length<'_, D> {
    /// `c e x`.
    fn times(self, c: f64, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Shared(length) => x.mul_scalar(c * length),
            Self::Each(lengths) => x * lengths.clone().mul_scalar(c),
        }
    }
}

/// So many leapfrog steps, for one potential.
#[derive(Clone, Debug)]
pub(crate) struct Leapfrog<T, M> {
    pub(crate) target: T,
    pub(crate) preconditioner: M,
    /// At least 1.
    pub(crate) steps: usize,
}

impl<T, M> Leapfrog<T, M> {
    pub(crate) fn evaluate<const D: usize>(&self, position: Tensor<D>) -> Evaluated<D>
    where
        T: DataFidelity<D>,
        M: Preconditioner<D>,
    {
        let (energy, gradient) = self.target.value_and_grad(position.clone());
        Evaluated {
            position,
            energy,
            gradient: self.preconditioner.factor_transposed(gradient),
        }
    }

    /// The end of the trajectory that starts with momentum `v`, and the momentum there.
    pub(crate) fn flow<const D: usize>(
        &self,
        start: Evaluated<D>,
        momentum: Tensor<D>,
        length: Length<'_, D>,
    ) -> (Evaluated<D>, Tensor<D>)
    where
        T: DataFidelity<D>,
        M: Preconditioner<D>,
    {
        let drift = |x, v| x + self.preconditioner.factor(length.times(1.0, v));
        let mut v = momentum - length.times(0.5, start.gradient);
        let mut x = drift(start.position, v.clone());
        for _ in 1..self.steps {
            let gradient = self.target.grad(x.clone());
            v = v - length.times(1.0, self.preconditioner.factor_transposed(gradient));
            x = drift(x, v.clone());
        }
        let end = self.evaluate(x);
        let v = v - length.times(0.5, end.gradient.clone());
        (end, v)
    }

    /// A trajectory from fresh momentum, and the test of its end.
    pub(crate) fn step<const D: usize>(
        &self,
        state: Evaluated<D>,
        length: Length<'_, D>,
        noise: &mut dyn Noise<D>,
    ) -> (Evaluated<D>, Info)
    where
        T: DataFidelity<D>,
        M: Preconditioner<D>,
    {
        let fresh = noise.normal(state.position.dims());
        let (proposal, momentum) = self.flow(state.clone(), fresh.clone(), length);
        let spent = difference_of_squares(fresh, momentum).mul_scalar(0.5);
        let log_ratio = spent + (state.energy.clone() - proposal.energy.clone());
        let log_ratio = metropolis::refuse_infinite(log_ratio, &proposal.energy);
        let verdict = metropolis::test(log_ratio, noise);
        let state = Evaluated {
            position: verdict.choose(proposal.position, state.position),
            energy: verdict.choose(proposal.energy, state.energy),
            gradient: verdict.choose(proposal.gradient, state.gradient),
        };
        let info = Info {
            acceptance: Some(verdict.probability),
            energy: Some(state.energy.clone()),
        };
        (state, info)
    }
}

/// `|a|^2 - |b|^2` of each row, as a product: the difference of two large numbers would lose the digits that count.
fn difference_of_squares<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<1> {
    let rows = a.dims()[0];
    dot(a.clone() - b.clone(), a + b).reshape([rows])
}
