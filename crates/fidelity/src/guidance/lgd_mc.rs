//! Loss-guided diffusion, Monte Carlo (LGD-MC): the likelihood averaged over draws about the denoised estimate.
//! Song et al. 2023 (ICML), <https://proceedings.mlr.press/v202/song23k.html>.
//!
//! `p(x_0 | x_sigma) ~ N(D(x; sigma), r^2 I)`, so with `x_i = D(x; sigma) + r z_i`, `z_i ~ N(0, I)`, `i = 1 .. n`,
//! `grad_x log p(y | x) ~ grad_x log((1/n) sum_i exp(-|y - A(x_i)|^2 / (2 noise_std^2)))`, which is
//! `J^T sum_i w_i J_A(x_i)^T (y - A(x_i)) / noise_std^2`,
//! `J` the Jacobian of `D` at `x`, `w_i` the share of draw `i` in the sum.
//!
//! The shares are those of a softmax over `n`, formed in one pass with a running maximum, so memory does not grow with
//! `n` but for the `z_i`, which are single images.
//!
//! - Needs: a differentiable operator; Gaussian noise above 0.
//! - Cost: one evaluation and one backward pass a step, `n` of the operator.
//! - Gaussian prior: for covariance `v I` exact in the limit of draws, exponentially many in the pixels.
//! - Use: non-linear operators with few measurements.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Rng, combine, value_and_vjp};
use tweedie_physics::{ForwardOperator, dot};

use super::{misfit, scalar_per_row};
use crate::{FidelityError, Guided, Isotropic, NoisyFidelity, error::require_positive};

/// LGD-MC for Gaussian noise and any differentiable operator: one forward and one backward pass of the prior, `n` of
/// the operator.
///
/// The `z_i` are rows `0 .. n` of `Rng::seeded(seed, ..).fork(sigma.to_bits())`: fresh at each noise level, the same
/// for all images of a batch, and the same again when a level is visited again.
///
/// The exponents are sums over all measurements. With many of them one draw has all of the weight where `r` exceeds
/// `noise_std`, and `n` would have to grow exponentially with their number.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianPrior};
/// use tweedie_fidelity::{Isotropic, LgdMc, Posterior};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::zeros([1, 1, 1, 1], &device), 1.0);
/// let y = Tensor::<4>::ones([1, 1, 1, 1], &device);
/// let guidance = LgdMc::new(Identity, y, 1.0, Isotropic::new(1.0)?)?.with_samples(500)?;
/// let estimate = Posterior { prior, guidance }.denoise(Tensor::zeros([1, 1, 1, 1], &device), 1.0);
/// assert!((estimate.into_scalar::<f32>() - 1.0 / 3.0).abs() < 0.05);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LgdMc<A, const Y: usize = 4> {
    operator: A,
    y: Tensor<Y>,
    noise_std: f64,
    spread: Isotropic,
    samples: usize,
    seed: u64,
}

impl<A, const Y: usize> LgdMc<A, Y> {
    /// 10 draws from seed 0. `y` has one row for all images, or one for each; `noise_std > 0` is in the units of `y`.
    ///
    /// # Errors
    /// Unless `noise_std` is finite and above 0.
    pub fn new(
        operator: A,
        y: Tensor<Y>,
        noise_std: f64,
        spread: Isotropic,
    ) -> Result<Self, FidelityError> {
        require_positive("noise_std", noise_std)?;
        Ok(Self {
            operator,
            y,
            noise_std,
            spread,
            samples: 10,
            seed: 0,
        })
    }

    /// The same guidance with another number `n` of draws.
    ///
    /// # Errors
    /// If `samples` is 0.
    pub fn with_samples(self, samples: usize) -> Result<Self, FidelityError> {
        if samples == 0 {
            return Err(FidelityError::OutOfRange {
                name: "samples",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self { samples, ..self })
    }

    /// The same guidance with other draws.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// `z_i`, one a row.
    fn draws<const D: usize>(&self, like: &Tensor<D>, sigma: f64) -> Tensor<D> {
        let mut shape = like.dims();
        shape[0] = self.samples;
        Rng::seeded(self.seed, &like.device())
            .with_dtype(like.dtype())
            .fork(sigma.to_bits())
            .normal(shape)
    }
}

impl<const D: usize, const Y: usize, A: ForwardOperator<D, Y>> NoisyFidelity<D> for LgdMc<A, Y> {
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let spread = self.spread.variance_at(sigma).sqrt();
        let precision = (self.noise_std * self.noise_std).recip();
        let draws = self.draws(&noisy, sigma);
        let (denoised, likelihood_score) = value_and_vjp(
            noisy,
            |x| prior.denoise(x, sigma),
            |estimate| {
                let terms = (0..self.samples).map(|index| {
                    let draw = draws.clone().narrow(0, index, 1).expand(estimate.dims());
                    let x = combine([(1.0, estimate.clone()), (spread, draw)]);
                    let misfit = misfit(&self.y, self.operator.forward(x.clone()));
                    let log_weight =
                        dot(misfit.clone(), misfit.clone()).mul_scalar(-0.5 * precision);
                    let pull = self.operator.vjp(x, misfit).mul_scalar(precision);
                    Weighted::one(scalar_per_row(log_weight), pull)
                });
                let sum = terms.reduce(Weighted::and);
                sum.expect("`with_samples` refuses 0").mean()
            },
        );
        Guided {
            denoised,
            likelihood_score,
        }
    }
}

/// `sum_i exp(l_i - l) p_i` and `sum_i exp(l_i - l)`, `l` the largest of the `l_i`, for each row.
struct Weighted<const D: usize> {
    largest: Tensor<D>,
    weight: Tensor<D>,
    pull: Tensor<D>,
}

impl<const D: usize> Weighted<D> {
    fn one(log_weight: Tensor<D>, pull: Tensor<D>) -> Self {
        Self {
            weight: log_weight.ones_like(),
            largest: log_weight,
            pull,
        }
    }

    fn and(self, other: Self) -> Self {
        let largest = self.largest.clone().max_pair(other.largest.clone());
        let [a, b] = [self.largest, other.largest].map(|old| (old - largest.clone()).exp());
        Self {
            largest,
            weight: self.weight * a.clone() + other.weight * b.clone(),
            pull: self.pull * a + other.pull * b,
        }
    }

    fn mean(self) -> Tensor<D> {
        self.pull / self.weight
    }
}
