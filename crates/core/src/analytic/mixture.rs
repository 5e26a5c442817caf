//! Mixtures of Gaussians, isotropic or diagonal.
//!
//! With `T_k = v_k + sigma^2`: `p_sigma = sum_k w_k N(m_k, T_k)`, responsibilities
//! `r_k(x) = w_k N(x; m_k, T_k) / p_sigma(x)`, and
//! `D(x; sigma) = sum_k r_k(x) (v_k x + sigma^2 m_k) / T_k` (Bishop 2006, eqs. 2.113-2.117 and 9.13,
//! <https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/>).
//!
//! Squared distances are sums of squared differences: by `|x|^2 - 2 x.m + |m|^2` they would lose, in `f32`, several
//! units of log-density for an image at small `sigma`. Differences are formed for a block of components at a time: they
//! take the memory of the batch or of 4 million numbers, whichever is more (a tape keeps all blocks). The posterior
//! mean is two matrix products. In `f64`, where components share one variance, `|x|^2` is the same for all and a product
//! weighs them: `(x.m_k - |m_k|^2/2)/T`, no differences.

use std::f64::consts::TAU;

use burn::tensor::{DType, Tensor, TensorData, activation::softmax};

use super::{
    AnalyticPrior, PriorError, require_density, require_shape, rows_like, smallest_variance,
};
use crate::{Denoiser, Rng};

/// Differences between images and means that are held at a time.
const BLOCK: usize = 1 << 22;

/// `x_0 ~ sum_k w_k N(m_k, diag(v_k))`.
///
/// Nothing overflows far away from all means: where squared distances leave the range of the float type (in `f32` at
/// `10^19` standard deviations) they stay at its bound, and components there count as equally far.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Denoiser, GaussianMixture};
///
/// let device = Device::flex();
/// let means = Tensor::<2>::from_floats([[-1.0], [1.0]], &device);
/// let prior = GaussianMixture::new(&[0.5, 0.5], means, &[0.0, 0.0])?;
/// let clean = prior.denoise(Tensor::from_floats([[0.3]], &device), 0.5);
/// assert!((clean.into_scalar::<f32>() - (0.3_f32 / 0.25).tanh()).abs() < 1e-6);
/// # Ok::<(), tweedie_core::PriorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianMixture<const D: usize = 4> {
    weights: Vec<f64>,
    /// `[components, pixels]`.
    means: Tensor<2>,
    /// The shape of the means as they were given.
    shape: [usize; D],
    variances: Variances,
    smallest_variance: f64,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds few priors")]
enum Variances {
    /// One for each component.
    Isotropic(Vec<f64>),
    /// `[components, pixels]`.
    Diagonal(Tensor<2>),
}

/// The components at one noise level; `columns` is 1 or the number of pixels.
struct Smoothed {
    /// `v / T`, `[components, columns]`.
    keep: Tensor<2>,
    /// `sigma^2 / T`, `[components, columns]`.
    pull: Tensor<2>,
    /// `T^(-1/2)`, `[components, columns]`.
    whiten: Tensor<2>,
    /// `ln(w_k (det T_1 / det T_k)^(1/2))`, `[1, components]`.
    log_heights: Tensor<2>,
    /// `ln det(2 pi T_1)`, `[1]`.
    log_volume: Tensor<1>,
}

impl<const D: usize> GaussianMixture<D> {
    /// `means` is `[components, ...]`; component `k` has covariance `variances[k] I`, `variances[k] >= 0`, and a share
    /// of `weights[k] > 0` in the sum of all weights, which need not be 1.
    ///
    /// # Errors
    /// [`PriorError::Empty`], [`PriorError::Components`] unless there is one weight and one variance for each mean,
    /// [`PriorError::Weight`] and [`PriorError::Variance`] for a value out of range.
    pub fn new(weights: &[f64], means: Tensor<D>, variances: &[f64]) -> Result<Self, PriorError> {
        require_one_each("variances", means.dims()[0], variances.len())?;
        let smallest = smallest_variance(variances)?;
        Self::build(
            weights,
            means,
            Variances::Isotropic(variances.to_vec()),
            smallest,
        )
    }

    /// As [`new`](Self::new), with one variance for each pixel of each component: `variances` has the shape of `means`.
    ///
    /// # Errors
    /// As [`new`](Self::new), or [`PriorError::Shape`] if the two shapes differ.
    pub fn diagonal(
        weights: &[f64],
        means: Tensor<D>,
        variances: Tensor<D>,
    ) -> Result<Self, PriorError> {
        require_shape("variances", &means.dims(), &variances.dims())?;
        let smallest = smallest_variance(&variances.try_to_vec_as::<f64>()?)?;
        Self::build(
            weights,
            means,
            Variances::Diagonal(flatten(variances)),
            smallest,
        )
    }

    fn build(
        weights: &[f64],
        means: Tensor<D>,
        variances: Variances,
        smallest_variance: f64,
    ) -> Result<Self, PriorError> {
        let shape = means.dims();
        if shape[0] == 0 {
            return Err(PriorError::Empty);
        }
        require_one_each("weights", shape[0], weights.len())?;
        if let Some(index) = weights.iter().position(|w| !(w.is_finite() && *w > 0.0)) {
            return Err(PriorError::Weight {
                index,
                found: weights[index],
            });
        }
        let sum: f64 = weights.iter().sum();
        Ok(Self {
            weights: weights.iter().map(|weight| weight / sum).collect(),
            means: flatten(means),
            shape,
            variances,
            smallest_variance,
        })
    }

    /// A host array `[components, 1]` or `[1, components]`, as a tensor beside the means.
    fn upload(&self, values: impl Iterator<Item = f64>, shape: [usize; 2]) -> Tensor<2> {
        let options = (&self.means.device(), self.means.dtype());
        Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), options)
    }

    fn smoothed(&self, sigma: f64) -> Smoothed {
        let noise = sigma * sigma;
        let [components, pixels] = self.means.dims();
        let log_weights = self.weights.iter().map(|weight| weight.ln());
        match &self.variances {
            Variances::Isotropic(variances) => {
                let column = |of: &dyn Fn(f64) -> f64| {
                    self.upload(variances.iter().map(|v| of(*v)), [components, 1])
                };
                let half = 0.5 * pixels as f64;
                let first = variances[0] + noise;
                let log_heights = log_weights
                    .zip(variances)
                    .map(|(log_weight, v)| log_weight - half * ((v + noise) / first).ln());
                let log_volume = std::iter::once(2.0 * half * (TAU * first).ln());
                Smoothed {
                    keep: column(&|v| v / (v + noise)),
                    pull: column(&|v| noise / (v + noise)),
                    whiten: column(&|v| (v + noise).sqrt().recip()),
                    log_heights: self.upload(log_heights, [1, components]),
                    log_volume: self.upload(log_volume, [1, 1]).reshape([1]),
                }
            }
            Variances::Diagonal(variances) => {
                let total = variances.clone().add_scalar(noise);
                let first = total.clone().narrow(0, 0, 1);
                let log_ratios = (total.clone() / first.clone()).log().sum_dim(1);
                let log_heights = self.upload(log_weights, [1, components])
                    - log_ratios.mul_scalar(0.5).reshape([1, components]);
                Smoothed {
                    keep: variances.clone() / total.clone(),
                    pull: total.clone().recip().mul_scalar(noise),
                    whiten: total.sqrt().recip(),
                    log_heights,
                    log_volume: first.mul_scalar(TAU).log().sum_dim(1).reshape([1]),
                }
            }
        }
    }

    /// [`log_joint`](Self::log_joint) up to a number for each row.
    fn log_shares(&self, x: &Tensor<2>, sigma: f64, smoothed: &Smoothed) -> Tensor<2> {
        match &self.variances {
            Variances::Isotropic(variances)
                if x.dtype() == DType::F64 && variances.iter().all(|v| *v == variances[0]) =>
            {
                let precision = (variances[0] + sigma * sigma).recip();
                let means = self.means.clone().transpose();
                let halves = means.clone().square().sum_dim(0).mul_scalar(0.5);
                (x.clone().matmul(means) - halves).mul_scalar(precision)
                    + smoothed.log_heights.clone()
            }
            _ => self.log_joint(x, smoothed),
        }
    }

    /// `ln(w_k N(x; m_k, T_k))` up to a constant that all components share, `[batch, components]`.
    fn log_joint(&self, x: &Tensor<2>, smoothed: &Smoothed) -> Tensor<2> {
        let [batch, pixels] = x.dims();
        let together = (BLOCK / (batch * pixels).max(1)).max(1);
        let row = x.clone().unsqueeze_dim::<3>(1);
        let blocks = self.means.clone().split(together, 0).into_iter();
        let distances =
            blocks
                .zip(smoothed.whiten.clone().split(together, 0))
                .map(|(means, whiten)| {
                    let difference = row.clone() - means.unsqueeze_dim::<3>(0);
                    let squares = (difference * whiten.unsqueeze_dim::<3>(0)).square();
                    squares.sum_dim(2).squeeze_dim::<2>(2)
                });
        let bound = x.dtype().finfo().map_or(f64::MAX, |info| info.max) / 4.0;
        let distances = Tensor::cat(distances.collect(), 1).clamp_max(bound);
        smoothed.log_heights.clone() - distances.mul_scalar(0.5)
    }
}

impl<const D: usize> Denoiser<D> for GaussianMixture<D> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let shape = noisy.dims();
        let noisy = flatten(noisy);
        let smoothed = self.smoothed(sigma);
        let responsibilities = softmax(self.log_shares(&noisy, sigma, &smoothed), 1);
        let keep = responsibilities.clone().matmul(smoothed.keep);
        let means = self.means.clone();
        let pulled = match self.variances {
            Variances::Isotropic(_) => (responsibilities * smoothed.pull.transpose()).matmul(means),
            Variances::Diagonal(_) => responsibilities.matmul(smoothed.pull * means),
        };
        (noisy * keep + pulled).reshape(shape)
    }
}

/// A row of `rng` gives one uniform number, for the component, and then its normal numbers.
impl<const D: usize> AnalyticPrior<D> for GaussianMixture<D> {
    fn sample(&self, rows: usize, rng: &mut Rng) -> Tensor<D> {
        let chosen: Vec<usize> = rng
            .uniform_per_row(rows)
            .into_iter()
            .map(|uniform| component(&self.weights, uniform))
            .collect();
        let noise = rng
            .normal([rows, self.means.dims()[1]])
            .cast(self.means.dtype());
        let indices: Vec<i64> = chosen.iter().map(|index| *index as i64).collect();
        let indices = Tensor::from_data(TensorData::new(indices, [rows]), &self.means.device());
        let deviations = match &self.variances {
            Variances::Isotropic(variances) => {
                let each = chosen.iter().map(|index| variances[*index].sqrt());
                self.upload(each, [rows, 1])
            }
            Variances::Diagonal(variances) => variances.clone().select(0, indices.clone()).sqrt(),
        };
        let drawn = self.means.clone().select(0, indices) + noise * deviations;
        drawn.reshape(rows_like(rows, self.shape))
    }

    fn log_density(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<1> {
        require_density(self.smallest_variance, sigma);
        let batch = noisy.dims()[0];
        let smoothed = self.smoothed(sigma);
        let log_joint = self.log_joint(&flatten(noisy), &smoothed);
        let largest = log_joint.clone().max_dim(1);
        let sum = (log_joint - largest.clone()).exp().sum_dim(1);
        (largest + sum.log()).reshape([batch]) - smoothed.log_volume.mul_scalar(0.5)
    }
}

/// `[rows, ...]` as `[rows, pixels]`.
fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<2> {
    let shape = tensor.dims();
    tensor.reshape([shape[0], shape[1..].iter().product()])
}

/// The component in whose share of [0, 1) a uniform number falls.
fn component(weights: &[f64], uniform: f64) -> usize {
    let mut rest = uniform;
    let shares = weights.iter().take_while(|weight| {
        rest -= **weight;
        rest >= 0.0
    });
    shares.count().min(weights.len() - 1)
}

fn require_one_each(what: &'static str, components: usize, found: usize) -> Result<(), PriorError> {
    if components == found {
        return Ok(());
    }
    Err(PriorError::Components {
        what,
        components,
        found,
    })
}
