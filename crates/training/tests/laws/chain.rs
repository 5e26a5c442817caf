//! What the tests of the bound and of learned variances share: a table, Gaussian pixels, and the terms in closed form.
//!
//! Pixels are `x_0 ~ N(m, v)` and the network is exact: `D(u; sigma) = m + g (u - m)`, `g = v/(v + sigma^2)`. Given `x_0`, its squared
//! error has the mean `(1 - g)^2 (x_0 - m)^2 + g^2 sigma^2`.

use std::{
    f64::consts::SQRT_2,
    sync::{Arc, LazyLock},
};

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Conditioning, DdpmTable, NoiseLabel, Parametrisation, Schedule, gauss_legendre,
};
use tweedie_testkit::values;
use tweedie_training::Prediction;

pub(crate) const STEPS: usize = 50;
pub(crate) const MEAN: f64 = -0.3;
pub(crate) const VARIANCE: f64 = 0.09;

/// Half the width of a bin.
const HALF: f64 = 1.0 / 255.0;

pub(crate) fn table() -> Arc<DdpmTable> {
    static TABLE: LazyLock<Arc<DdpmTable>> =
        LazyLock::new(|| Arc::new(DdpmTable::linear(STEPS, 2e-3, 0.05).unwrap()));
    TABLE.clone()
}

pub(crate) fn prediction(parametrisation: Parametrisation) -> Prediction {
    Prediction::new(table(), NoiseLabel::Step { steps: STEPS }, parametrisation)
}

pub(crate) fn sigma(step: usize) -> f64 {
    table().sigma(step as f64 / STEPS as f64)
}

/// `beta_k` and `beta_tilde_k`; at step 1 that of step 2.
pub(crate) fn variances(step: usize) -> (f64, f64) {
    let table = table();
    (table.beta(step), table.posterior_variance(step.max(2)))
}

/// The exact network, and the share of `ln beta` in the logarithm of its variance.
pub(crate) struct Exact {
    pub(crate) prediction: Prediction,
    pub(crate) share: fn(usize) -> f64,
}

pub(crate) fn gain(step: usize) -> f64 {
    VARIANCE / (VARIANCE + sigma(step).powi(2))
}

/// The mean squared error of the exact denoiser at a pixel.
pub(crate) fn squared_error(step: usize, pixel: f64) -> f64 {
    let gain = gain(step);
    ((1.0 - gain) * (pixel - MEAN)).powi(2) + (gain * sigma(step)).powi(2)
}

/// The share with which the reverse step is exact: its variance is `beta_tilde` and what is uncertain about `x_0`.
pub(crate) fn exact_share(step: usize) -> f64 {
    let (beta, posterior) = variances(step);
    let left = gain(step) * sigma(step).powi(2);
    let exact = match step {
        1 => left,
        _ => {
            let precision = sigma(step - 1).powi(-2) - sigma(step).powi(-2);
            posterior * (1.0 + precision * left)
        }
    };
    (exact / posterior).ln() / (beta / posterior).ln()
}

fn steps(conditioning: &Conditioning) -> Vec<usize> {
    let labels = values(&conditioning.noise).into_iter();
    labels.map(|label| label.round() as usize + 1).collect()
}

fn column(numbers: impl Iterator<Item = f64>, like: &Tensor<4>) -> Tensor<4> {
    let numbers: Vec<f64> = numbers.collect();
    Tensor::<1>::from_data(numbers.as_slice(), &like.device()).reshape([-1, 1, 1, 1])
}

impl Backbone for Exact {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        let rows = steps(&conditioning).into_iter().map(|step| {
            let c = self.prediction.preconditioning.at(sigma(step));
            let gain = gain(step);
            (
                (gain - c.skip) / (c.out * c.input),
                (1.0 - gain) * MEAN / c.out,
            )
        });
        let (slopes, offsets): (Vec<f64>, Vec<f64>) = rows.unzip();
        x.clone() * column(slopes.into_iter(), &x) + column(offsets.into_iter(), &x)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let shares = steps(&conditioning).into_iter().map(self.share);
        let shares = column(shares.map(|share| 2.0 * share - 1.0), &x).expand(x.dims());
        (self.forward(x, conditioning), Some(shares))
    }
}

/// `ln(Phi(b) - Phi(a))`.
fn log_mass(a: f64, b: f64) -> f64 {
    let (a, b) = if a + b < 0.0 { (-b, -a) } else { (a, b) };
    (0.5 * (libm::erfc(a / SQRT_2) - libm::erfc(b / SQRT_2))).ln()
}

/// `ln` of the mass of a normal law on the bin of a pixel in [-1, 1].
pub(crate) fn log_bin(pixel: f64, mean: f64, variance: f64) -> f64 {
    let end = |at: f64| (at - mean) / variance.sqrt();
    let below = if pixel < -1.0 + HALF {
        f64::NEG_INFINITY
    } else {
        end(pixel - HALF)
    };
    let above = if pixel > 1.0 - HALF {
        f64::INFINITY
    } else {
        end(pixel + HALF)
    };
    log_mass(below, above)
}

/// `E[f(n)]` for standard normal `n`.
pub(crate) fn normal_mean(f: impl Fn(f64) -> f64) -> f64 {
    let density = |n: f64| (-0.5 * n * n).exp() / std::f64::consts::TAU.sqrt();
    (-16..16)
        .flat_map(|k| gauss_legendre(0.5 * f64::from(k), 0.5 * f64::from(k + 1)))
        .map(|(n, weight)| weight * density(n) * f(n))
        .sum()
}
