//! The variational bound on the negative log-likelihood of images of 256 values, in bits per dimension.
//!
//! `-ln p(x_0) <= E[ KL(q(x_T|x_0) || N(0, I)) + sum_(k=2)^T KL(q(x_(k-1)|x_k,x_0) || p(x_(k-1)|x_k)) - ln p(x_0|x_1) ]`
//!
//! Ho et al. 2020, eq. (5) and section 3.3, <https://arxiv.org/abs/2006.11239>: the prior term, the denoising terms of the steps, and
//! the reconstruction by the discretised normal law of eq. (13). The reverse step has one of the two fixed variances of section 3.2
//! there, or the one that the network has learnt (Nichol & Dhariwal 2021, eq. (15), <https://arxiv.org/abs/2102.09672>). The prior term
//! and, given the network's output, each other term are exact; what is estimated is the mean over the noise, from one draw a term.

use std::{f64::consts::LN_2, fmt, ops::RangeInclusive};

use burn::tensor::Tensor;
use serde::Serialize;
use tweedie_core::{Backbone, Conditioning, Given, Rng};

use crate::{
    Level, Prediction, TrainingError,
    chain::Chain,
    config::require,
    decoder::{Bins, VALUES},
    objective::{Noisy, column, divergence, rows},
};

/// The variance of the reverse step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReverseVariance {
    /// `beta`, right for images of white noise.
    Beta,
    /// `beta_tilde`, right for a single image; at step 1 that of step 2.
    Posterior,
    /// What the network has learnt.
    Learned,
}

/// How a bound is computed.
///
/// ```no_run
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Given, Rng};
/// use tweedie_models::Pretrained;
/// use tweedie_training::{Bound, Estimate, Prediction, ReverseVariance};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let model = Pretrained::open("checkpoints/phantoms".as_ref(), &device)?;
/// let prediction = Prediction::of(model.config())?;
/// let pixels = model.config().pixels.range();
/// let bound = Bound::new(prediction, pixels, ReverseVariance::Posterior, Some(50))?;
/// let images = Tensor::zeros([8, 1, 32, 32], &device);
/// let network = &model.denoiser().inner.inner.backbone;
/// let found = bound.of(network, images, Given::nothing(), &mut Rng::seeded(0, &device))?;
/// println!("{}", Estimate::of(&found.total()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bound {
    prediction: Prediction,
    chain: Chain,
    pixels: (f64, f64),
    variance: ReverseVariance,
    ranges: Vec<RangeInclusive<usize>>,
}

/// The terms of a bound for each image, in bits per dimension.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariationalBound {
    /// What is left of the image in the noisiest state.
    pub prior: Vec<f64>,
    /// Of the steps from 2 on.
    pub denoising: Vec<DenoisingTerm>,
    /// Of step 1.
    pub reconstruction: Vec<f64>,
}

/// The sum of the denoising terms of a range of steps, estimated from one of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DenoisingTerm {
    /// The range.
    pub steps: RangeInclusive<usize>,
    /// For each image, in bits per dimension.
    pub bits: Vec<f64>,
}

/// A mean over images, in bits per dimension, and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The standard error, of the images and of the noise together; not a number for a single image.
    pub standard_error: f64,
}

impl Estimate {
    /// Of one number for each image.
    pub fn of(bits: &[f64]) -> Self {
        let count = bits.len() as f64;
        let mean = bits.iter().sum::<f64>() / count;
        let squares: f64 = bits.iter().map(|b| (b - mean).powi(2)).sum();
        Self {
            mean,
            standard_error: (squares / (count - 1.0) / count).sqrt(),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} +- {:.4}", self.mean, self.standard_error)
    }
}

impl VariationalBound {
    /// The sum of the denoising terms of each image.
    pub fn denoised(&self) -> Vec<f64> {
        let images = 0..self.prior.len();
        images
            .map(|image| self.denoising.iter().map(|term| term.bits[image]).sum())
            .collect()
    }

    /// The bound of each image.
    pub fn total(&self) -> Vec<f64> {
        let rest = self.prior.iter().zip(&self.reconstruction);
        let sums = self.denoised().into_iter().zip(rest);
        sums.map(|(denoised, (prior, reconstruction))| prior + denoised + reconstruction)
            .collect()
    }

    /// Adds other images of the same computation.
    pub fn append(&mut self, other: Self) {
        self.prior.extend(other.prior);
        self.reconstruction.extend(other.reconstruction);
        for (term, other) in self.denoising.iter_mut().zip(other.denoising) {
            term.bits.extend(other.bits);
        }
    }
}

impl Bound {
    /// For a network of images from `pixels.0` (black) to `pixels.1` (white). Of the denoising terms all are computed, or one in
    /// each of `ranges` ranges of steps, drawn anew for each image. The ranges end at the powers of one number, rounded, since the
    /// terms fall with the step.
    ///
    /// # Errors
    /// [`TrainingError::NoSteps`] or [`NotPreserving`](TrainingError::NotPreserving) where there is no table of steps,
    /// [`Setting`](TrainingError::Setting) for no range.
    pub fn new(
        prediction: Prediction,
        pixels: (f64, f64),
        variance: ReverseVariance,
        ranges: Option<usize>,
    ) -> Result<Self, TrainingError> {
        let chain = Chain::of(&prediction)?;
        let terms = chain.steps() - 1;
        let count = ranges.unwrap_or(terms);
        require("ranges of steps", count as f64, "at least 1", |v| {
            v >= 1.0 || terms == 0
        })?;
        Ok(Self {
            ranges: ranges_of(terms, count.min(terms)),
            prediction,
            chain,
            pixels,
            variance,
        })
    }

    /// The bound of images in [0, 1], `[batch, ..]`, rounded to 256 values. Row `i` draws from row `i` of `rng`; one evaluation of the
    /// network for each range of steps, and one more.
    ///
    /// # Errors
    /// [`TrainingError::NoVariance`] when the variance of a network is asked for that has none, or
    /// [`BoundDevice`](TrainingError::BoundDevice).
    pub fn of<const D: usize>(
        &self,
        network: &dyn Backbone<D>,
        images: Tensor<D>,
        given: Given<D>,
        rng: &mut Rng,
    ) -> Result<VariationalBound, TrainingError> {
        let (low, high) = self.pixels;
        let whole = f64::from(VALUES - 1);
        let clean = images
            .mul_scalar(whole)
            .round()
            .mul_scalar((high - low) / whole)
            .add_scalar(low);
        let asked = Asked {
            network,
            given,
            clean,
        };
        let prior = bits(self.prior(asked.clean.clone()))?;
        let reconstruction = self.reconstruction(&asked, rng)?;
        let denoising = self.ranges.iter().map(|range| {
            Ok(DenoisingTerm {
                steps: range.clone(),
                bits: self.denoising(&asked, range, rng)?,
            })
        });
        Ok(VariationalBound {
            prior,
            denoising: denoising.collect::<Result<_, TrainingError>>()?,
            reconstruction,
        })
    }

    /// `KL(N(s x_0, (1 - s^2) I) || N(0, I))` of each row, in nats per dimension.
    fn prior<const D: usize>(&self, clean: Tensor<D>) -> Tensor<1> {
        let kept = 1.0 / (1.0 + self.chain.sigma(self.chain.steps()).powi(2));
        let squares = rows(clean.square()).sub_scalar(1.0);
        squares
            .mul_scalar(kept)
            .sub_scalar((-kept).ln_1p())
            .mul_scalar(0.5)
    }

    /// Of one step of the range for each row, times their number.
    fn denoising<const D: usize>(
        &self,
        asked: &Asked<'_, D>,
        range: &RangeInclusive<usize>,
        rng: &mut Rng,
    ) -> Result<Vec<f64>, TrainingError> {
        let count = range.end() - range.start() + 1;
        let uniform = rng.uniform_per_row(asked.clean.dims()[0]);
        let step = |u: f64| range.start() + ((u * count as f64) as usize).min(count - 1);
        let steps: Vec<usize> = uniform.into_iter().map(step).collect();
        let answer = self.answer(asked, &steps, rng)?;
        let shift = answer.error.square() * each(asked, &steps, |k| self.chain.precision(k));
        let terms = rows(divergence(answer.excess, shift));
        bits(terms.mul_scalar(count as f64))
    }

    /// `-ln p(x_0 | x_1)` of each row.
    fn reconstruction<const D: usize>(
        &self,
        asked: &Asked<'_, D>,
        rng: &mut Rng,
    ) -> Result<Vec<f64>, TrainingError> {
        let batch = asked.clean.dims()[0];
        let answer = self.answer(asked, &vec![1; batch], rng)?;
        let (pixels, errors) = (host(asked.clean.clone())?, host(answer.error)?);
        let (bins, lowest) = (Bins::new(self.pixels), self.chain.first_log_variance());
        let triples = pixels.iter().zip(errors).zip(host(answer.excess)?);
        let masses: Vec<f64> = triples
            .map(|((pixel, error), excess)| {
                bins.log_mass(*pixel, pixel - error, (lowest + excess).exp())
            })
            .collect();
        let dimensions = masses.len() / batch;
        let row = |masses: &[f64]| -masses.iter().sum::<f64>() / (dimensions as f64 * LN_2);
        Ok(masses.chunks(dimensions).map(row).collect())
    }

    /// What the network makes of images at a step for each.
    fn answer<const D: usize>(
        &self,
        asked: &Asked<'_, D>,
        steps: &[usize],
        rng: &mut Rng,
    ) -> Result<Answer<D>, TrainingError> {
        let levels: Vec<Level> = steps.iter().map(|step| self.chain.level(*step)).collect();
        let noisy = Noisy::draw(&self.prediction, asked.clean.clone(), &levels, rng);
        let conditioning = Conditioning {
            noise: noisy.labels,
            given: asked.given.clone(),
        };
        let widest = each(asked, steps, |step| self.chain.log_ratio(step));
        let (output, excess) = match self.variance {
            ReverseVariance::Learned => {
                let (output, variance) = asked
                    .network
                    .forward_with_variance(noisy.input, conditioning);
                let share = variance.ok_or(TrainingError::NoVariance)?;
                (output, share.add_scalar(1.0).mul_scalar(0.5) * widest)
            }
            fixed => {
                let output = asked.network.forward(noisy.input, conditioning);
                let excess = match fixed {
                    ReverseVariance::Beta => output.ones_like() * widest,
                    _ => output.zeros_like(),
                };
                (output, excess)
            }
        };
        let scales = noisy.coefficients.iter().map(|c| -c.out).collect();
        Ok(Answer {
            error: (output - noisy.target) * column(scales, &asked.clean.device()),
            excess,
        })
    }
}

/// The steps from 2 on, `terms` of them, in `count` ranges that grow geometrically.
fn ranges_of(terms: usize, count: usize) -> Vec<RangeInclusive<usize>> {
    let mut done = 0;
    let range = |range: usize| {
        let ends = (terms as f64).powf(range as f64 / count as f64).round() as usize;
        // One step or more for each, and for all that are left.
        let end = ends.clamp(done + 1, terms - (count - range));
        let steps = done + 2..=end + 1;
        done = end;
        steps
    };
    (1..=count).map(range).collect()
}

/// Of whom, and of what.
struct Asked<'a, const D: usize> {
    network: &'a dyn Backbone<D>,
    given: Given<D>,
    /// In the network's own pixel units.
    clean: Tensor<D>,
}

/// What the network makes of noisy images.
struct Answer<const D: usize> {
    /// `x_0 - D`.
    error: Tensor<D>,
    /// `ln(variance/beta_tilde)`.
    excess: Tensor<D>,
}

/// A number for each row.
fn each<const D: usize>(
    asked: &Asked<'_, D>,
    steps: &[usize],
    of: impl Fn(usize) -> f64,
) -> Tensor<D> {
    let numbers = steps.iter().map(|step| of(*step)).collect();
    column(numbers, &asked.clean.device())
}

/// From nats.
fn bits(nats: Tensor<1>) -> Result<Vec<f64>, TrainingError> {
    host(nats.div_scalar(LN_2))
}

fn host<const D: usize>(numbers: Tensor<D>) -> Result<Vec<f64>, TrainingError> {
    let read = numbers.try_into_vec_as::<f64>();
    read.map_err(|error| TrainingError::BoundDevice {
        message: error.to_string(),
    })
}
