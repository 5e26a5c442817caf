//! From a network to a denoiser: `D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)`.
//!
//! The four scalars are those of Karras et al. 2022, eq. (7), <https://arxiv.org/abs/2206.00364>. Each parametrisation of
//! the literature is one choice of them, so one formula serves sampling, and its inverse,
//! `F* = (x_0 - c_skip x) / c_out`, serves training.
//!
//! | parametrisation | F predicts | c_skip | c_out | c_in |
//! |---|---|---|---|---|
//! | [`Epsilon`] | the noise `n` | `1` | `-sigma` | `1/sqrt(1 + sigma^2)` |
//! | [`Clean`] | `x_0` | `0` | `1` | `1/sqrt(1 + sigma^2)` |
//! | [`Velocity`] | `(n - sigma x_0)/sqrt(1 + sigma^2)` | `1/(1 + sigma^2)` | `-sigma/sqrt(1 + sigma^2)` | `1/sqrt(1 + sigma^2)` |
//! | [`Edm`] | a unit-variance mixture of both | `sd^2/(sigma^2 + sd^2)` | `sigma sd/sqrt(sigma^2 + sd^2)` | `1/sqrt(sigma^2 + sd^2)` |
//! | [`ScoreOf`] | the score at `s x` | `1` | `s sigma^2` | `s` |
//! | [`Denoised`] | `x_0`, of `x` itself | `0` | `1` | `1` |
//! | [`Residual`] | `x - x_0`, of `x` itself | `1` | `-1` | `1` |
//! | [`Flow`] | `n - x_0`, of `(x_0 + sigma n)/(1 + sigma)` | `1/(1 + sigma)` | `-sigma/(1 + sigma)` | `1/(1 + sigma)` |
//!
//! `x = x_0 + sigma n` throughout; `x / sqrt(1 + sigma^2)` is the state of a variance-preserving process, and `s` the scale of the
//! schedule at the time of `sigma`. `c_noise` is `ln(sigma)/4` for [`Edm`], `sigma` for [`Denoised`] and [`Residual`], and the
//! [`NoiseLabel`] of the time of `sigma` for the others.

use std::sync::Arc;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Backbone, Conditioning, Denoiser, Schedule};

/// The four scalars at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Weight of the noisy input in the denoised output.
    pub skip: f64,
    /// Weight of the network's output.
    pub out: f64,
    /// Scale of the network's input.
    pub input: f64,
    /// Label given to the network in place of the noise level.
    pub noise: f64,
}

/// `sigma -> (c_skip, c_out, c_in, c_noise)`.
pub trait Preconditioning: Send + Sync {
    /// The coefficients at noise level `sigma > 0`, in the network's own pixel units.
    fn at(&self, sigma: f64) -> Coefficients;
}

impl<T: Preconditioning + ?Sized> Preconditioning for Arc<T> {
    fn at(&self, sigma: f64) -> Coefficients {
        (**self).at(sigma)
    }
}

/// How a noise level is told to the network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NoiseLabel {
    /// Index `0 ..= steps - 1` in a discrete table of `steps` levels, whose level `k + 1` is time `(k + 1)/steps`. Between
    /// two levels the label is the fraction between them; outside of the table it is the nearest end.
    Step {
        /// Length of the table.
        steps: usize,
    },
    /// As [`Step`](Self::Step), rounded to the nearest index, for networks that take whole ones only: the time told is off by at
    /// most `1/(2 steps)`, and the noise level by what that makes in the schedule.
    NearestStep {
        /// Length of the table.
        steps: usize,
    },
    /// `scale t`, for networks trained in continuous time.
    Time {
        /// Label of `t = 1`.
        scale: f64,
    },
}

impl NoiseLabel {
    /// The label of time `t`.
    pub fn at(self, t: f64) -> f64 {
        match self {
            Self::Step { steps } => {
                let steps = steps as f64;
                (t * steps - 1.0).clamp(0.0, steps - 1.0)
            }
            Self::NearestStep { steps } => Self::Step { steps }.at(t).round(),
            Self::Time { scale } => scale * t,
        }
    }
}

fn preserving(sigma: f64) -> f64 {
    1.0 / sigma.hypot(1.0)
}

/// The network predicts the noise (Ho et al. 2020, eq. 11, <https://arxiv.org/abs/2006.11239>).
#[derive(Clone, Debug)]
pub struct Epsilon<S> {
    /// The schedule that the network was trained with; it gives the label of a noise level.
    pub schedule: S,
    /// Units of the label.
    pub label: NoiseLabel,
}

impl<S: Schedule> Preconditioning for Epsilon<S> {
    fn at(&self, sigma: f64) -> Coefficients {
        Coefficients {
            skip: 1.0,
            out: -sigma,
            input: preserving(sigma),
            noise: self.label.at(self.schedule.time_at(sigma)),
        }
    }
}

/// The network predicts the clean image.
#[derive(Clone, Debug)]
pub struct Clean<S> {
    /// The schedule that the network was trained with.
    pub schedule: S,
    /// Units of the label.
    pub label: NoiseLabel,
}

impl<S: Schedule> Preconditioning for Clean<S> {
    fn at(&self, sigma: f64) -> Coefficients {
        Coefficients {
            skip: 0.0,
            out: 1.0,
            input: preserving(sigma),
            noise: self.label.at(self.schedule.time_at(sigma)),
        }
    }
}

/// The network predicts the velocity (Salimans & Ho 2022, appendix D, <https://arxiv.org/abs/2202.00512>).
#[derive(Clone, Debug)]
pub struct Velocity<S> {
    /// The schedule that the network was trained with.
    pub schedule: S,
    /// Units of the label.
    pub label: NoiseLabel,
}

impl<S: Schedule> Preconditioning for Velocity<S> {
    fn at(&self, sigma: f64) -> Coefficients {
        let scale = preserving(sigma);
        Coefficients {
            skip: scale * scale,
            out: -sigma * scale,
            input: scale,
            noise: self.label.at(self.schedule.time_at(sigma)),
        }
    }
}

/// Unit-variance inputs, outputs and targets (Karras et al. 2022, table 1, <https://arxiv.org/abs/2206.00364>); the label is
/// `ln(sigma)/4`, so no schedule is involved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    /// Standard deviation of the data, in the network's pixel units; 0.5 for images in [-1, 1].
    pub sigma_data: f64,
}

impl Preconditioning for Edm {
    fn at(&self, sigma: f64) -> Coefficients {
        let total = sigma.hypot(self.sigma_data);
        Coefficients {
            skip: (self.sigma_data / total).powi(2),
            out: sigma * self.sigma_data / total,
            input: 1.0 / total,
            noise: 0.25 * sigma.ln(),
        }
    }
}

/// The network predicts the score of the law of `s(t) (x_0 + sigma(t) n)` (Song et al. 2021, eq. 7,
/// <https://arxiv.org/abs/2011.13456>).
#[derive(Clone, Debug)]
pub struct ScoreOf<S> {
    /// The schedule that the network was trained with.
    pub schedule: S,
    /// Units of the label.
    pub label: NoiseLabel,
}

impl<S: Schedule> Preconditioning for ScoreOf<S> {
    fn at(&self, sigma: f64) -> Coefficients {
        let t = self.schedule.time_at(sigma);
        let scale = self.schedule.scale(t);
        Coefficients {
            skip: 1.0,
            out: scale * sigma * sigma,
            input: scale,
            noise: self.label.at(t),
        }
    }
}

/// The network is a denoiser already, told the noise level itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denoised;

impl Preconditioning for Denoised {
    fn at(&self, sigma: f64) -> Coefficients {
        Coefficients {
            skip: 0.0,
            out: 1.0,
            input: 1.0,
            noise: sigma,
        }
    }
}

/// The network predicts the noise `sigma n` in its input, told the noise level itself (Zhang et al. 2017, eq. 1,
/// <https://arxiv.org/abs/1608.03981>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Residual;

impl Preconditioning for Residual {
    fn at(&self, sigma: f64) -> Coefficients {
        Coefficients {
            skip: 1.0,
            out: -1.0,
            input: 1.0,
            noise: sigma,
        }
    }
}

/// The network predicts the velocity `n - x_0` of the straight path `(1 - t) x_0 + t n`, on which `sigma = t/(1 - t)` (Lipman et al.
/// 2023, eq. 22 without its `sigma_min` and with time reversed, <https://arxiv.org/abs/2210.02747>; Liu et al. 2023, eq. 1,
/// <https://arxiv.org/abs/2209.03003>). With the schedule [`FlowMatching`](crate::FlowMatching) the label is that of `t`.
#[derive(Clone, Debug)]
pub struct Flow<S> {
    /// The schedule that the network was trained with; it gives the label of a noise level.
    pub schedule: S,
    /// Units of the label.
    pub label: NoiseLabel,
}

impl<S: Schedule> Preconditioning for Flow<S> {
    fn at(&self, sigma: f64) -> Coefficients {
        let scale = 1.0 / (1.0 + sigma);
        Coefficients {
            skip: scale,
            out: -sigma * scale,
            input: scale,
            noise: self.label.at(self.schedule.time_at(sigma)),
        }
    }
}

/// What a network predicts: the serialisable name of a [`Preconditioning`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Parametrisation {
    /// [`Epsilon`].
    Epsilon,
    /// [`Clean`].
    X0,
    /// [`Velocity`].
    V,
    /// [`Edm`].
    Edm {
        /// Standard deviation of the data in the network's pixel units.
        sigma_data: f64,
    },
    /// [`ScoreOf`].
    Score,
    /// [`Denoised`].
    Denoised,
    /// [`Residual`].
    Residual,
    /// [`Flow`].
    Flow,
}

impl Parametrisation {
    /// The coefficients for a network trained with `schedule` and `label`.
    pub fn preconditioning(
        self,
        schedule: Arc<dyn Schedule>,
        label: NoiseLabel,
    ) -> Arc<dyn Preconditioning> {
        match self {
            Self::Epsilon => Arc::new(Epsilon { schedule, label }),
            Self::X0 => Arc::new(Clean { schedule, label }),
            Self::V => Arc::new(Velocity { schedule, label }),
            Self::Edm { sigma_data } => Arc::new(Edm { sigma_data }),
            Self::Score => Arc::new(ScoreOf { schedule, label }),
            Self::Denoised => Arc::new(Denoised),
            Self::Residual => Arc::new(Residual),
            Self::Flow => Arc::new(Flow { schedule, label }),
        }
    }
}

/// A network made into a denoiser in the network's own pixel units.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Backbone, Conditioning, Denoiser, Edm, Preconditioned};
///
/// struct Silent;
/// impl Backbone for Silent {
///     fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
///         x.zeros_like()
///     }
/// }
/// let denoiser = Preconditioned { backbone: Silent, preconditioning: Edm { sigma_data: 0.5 } };
/// let clean = denoiser.denoise(Tensor::ones([1, 1, 4, 4], &Device::flex()), 0.5);
/// assert_eq!(clean.mean().into_scalar::<f32>(), 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct Preconditioned<N, C> {
    /// The network `F`.
    pub backbone: N,
    /// The four scalars.
    pub preconditioning: C,
}

impl<N, C: Preconditioning> Preconditioned<N, C> {
    /// What the network is shown and told, and the weights of its answer.
    fn asked<const D: usize>(
        &self,
        noisy: &Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Conditioning<D>, Coefficients) {
        let c = self.preconditioning.at(sigma);
        let label = Conditioning::uniform(c.noise, noisy);
        (noisy.clone().mul_scalar(c.input), label, c)
    }
}

impl<const D: usize, N: Backbone<D>, C: Preconditioning> Denoiser<D> for Preconditioned<N, C> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        let (input, label, c) = self.asked(&noisy, sigma);
        let output = self.backbone.forward(input, label);
        noisy.mul_scalar(c.skip) + output.mul_scalar(c.out)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (input, label, c) = self.asked(&noisy, sigma);
        let (output, variance) = self.backbone.forward_with_variance(input, label);
        // The network says 2 v - 1.
        let share = variance.map(|said| said.add_scalar(1.0).mul_scalar(0.5));
        (noisy.mul_scalar(c.skip) + output.mul_scalar(c.out), share)
    }
}
