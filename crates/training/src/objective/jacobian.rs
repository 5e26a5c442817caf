//! A network's score at noisy data, and its derivatives by central differences.
//!
//! In units of the noise level, with `u = x_0 + sigma n`, the score is
//! `psi(u) = sigma s(u) = (c_skip - 1) u/sigma + (c_out/sigma) F(c_in u; c_noise)` and its Jacobian `J = dpsi/d(u/sigma) = sigma^2 ds/du`.
//! For a direction `v`,
//!
//! `J v = (psi(u + h sigma v) - psi(u - h sigma v))/(2 h) + O(h^2)`, `psi(u) = (psi(u + h sigma v) + psi(u - h sigma v))/2 + O(h^2)`,
//!
//! so two evaluations give both: the general form of Pang et al. 2020, section 3, <https://arxiv.org/abs/2007.03317>. The part of `psi`
//! that is linear in `u` is differentiated exactly, and a network that is affine in its input too, but for rounding. Otherwise the
//! error of `v^T J v` is `h^2/6` times the third derivative of `v^T psi` along `v`.

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Coefficients, Conditioning, Given, Rng};

use super::{Prediction, noisy::Noisy, prediction::column};
use crate::Level;

/// `h`, in units of the noise level: about the cube root of the rounding error of a network in single precision with Winograd's
/// convolutions, `4e-6`, where the error of the difference and the rounding are of one size.
const STEP: f64 = 1.0 / 64.0;

/// The score of a network at noisy data.
pub(super) struct NoisyScore<'a, const D: usize> {
    network: &'a dyn Backbone<D>,
    given: Given<D>,
    noisy: Noisy<D>,
    levels: &'a [Level],
}

/// `psi` and `J v` of one direction.
pub(super) struct Along<const D: usize> {
    pub(super) score: Tensor<D>,
    pub(super) slope: Tensor<D>,
}

impl<'a, const D: usize> NoisyScore<'a, D> {
    /// At `clean` with noise.
    pub(super) fn draw(
        prediction: &Prediction,
        (network, given): (&'a dyn Backbone<D>, Given<D>),
        clean: Tensor<D>,
        levels: &'a [Level],
        rng: &mut Rng,
    ) -> Self {
        Self {
            network,
            given,
            noisy: Noisy::draw(prediction, clean, levels, rng),
            levels,
        }
    }

    /// `psi` at the noisy data.
    pub(super) fn score(&self) -> Tensor<D> {
        self.linear() + self.network(None)
    }

    /// `psi` and `J v`.
    pub(super) fn along(&self, v: Tensor<D>) -> Along<D> {
        let step = v.clone() * self.column(|level, c| STEP * level.sigma * c.input);
        let above = self.network(Some(step.clone()));
        let below = self.network(Some(-step));
        let slope = (above.clone() - below.clone()).div_scalar(2.0 * STEP);
        Along {
            score: self.linear() + (above + below).mul_scalar(0.5),
            slope: slope + v * self.column(|_, c| c.skip - 1.0),
        }
    }

    /// The shape of the data.
    pub(super) fn dims(&self) -> [usize; D] {
        self.noisy.input.dims()
    }

    /// `(c_skip - 1) u/sigma`.
    fn linear(&self) -> Tensor<D> {
        let slopes = self.column(|level, c| (c.skip - 1.0) / (c.input * level.sigma));
        self.noisy.input.clone() * slopes
    }

    /// `(c_out/sigma) F` at the input moved by `step`.
    fn network(&self, step: Option<Tensor<D>>) -> Tensor<D> {
        let input = self.noisy.input.clone();
        let input = match step {
            Some(step) => input + step,
            None => input,
        };
        let conditioning = Conditioning {
            noise: self.noisy.labels.clone(),
            given: self.given.clone(),
        };
        self.network.forward(input, conditioning) * self.column(|level, c| c.out / level.sigma)
    }

    /// A number for each row.
    fn column(&self, of: fn(&Level, &Coefficients) -> f64) -> Tensor<D> {
        let pairs = self.levels.iter().zip(&self.noisy.coefficients);
        let values = pairs.map(|(level, c)| of(level, c)).collect();
        column(values, &self.noisy.input.device())
    }
}
