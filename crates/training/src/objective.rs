//! The denoising objective: `L = E[ |F(c_in x; c_noise) - F*|^2 ]`, `x = x_0 + sigma n`, `F* = (x_0 - c_skip x)/c_out`.
//!
//! For noise prediction the target `F*` is the noise itself, and this is the simplified objective of Ho et al. 2020,
//! eq. (14), <https://arxiv.org/abs/2006.11239>; for the other parametrisations it is their usual unweighted loss
//! (Karras et al. 2022, eq. (8), <https://arxiv.org/abs/2206.00364>).

use std::sync::Arc;

use burn::{
    nn::loss::{HuberLossConfig, MseLoss, Reduction},
    tensor::{Tensor, TensorData},
};
use tweedie_core::{
    Backbone, Coefficients, Conditioning, NoiseLabel, Preconditioning, Rng, Schedule, ScheduleError,
};
use tweedie_models::ModelConfig;

use crate::Loss;

/// What the network is given and what it should answer.
#[derive(Clone, Debug)]
pub struct NoisyBatch {
    /// `c_in x`, `[batch, channels, height, width]`.
    pub input: Tensor<4>,
    /// `c_noise`, `[batch]`.
    pub conditioning: Conditioning,
    /// `F*`, of the shape of `input`.
    pub target: Tensor<4>,
}

/// Denoising at the noise levels of a model's schedule.
#[derive(Clone)]
pub struct DenoisingObjective {
    schedule: Arc<dyn Schedule>,
    label: NoiseLabel,
    preconditioning: Arc<dyn Preconditioning>,
    loss: Loss,
}

/// Least time of a continuous schedule, where the noise vanishes: that of Song et al. 2021, appendix C,
/// <https://arxiv.org/abs/2011.13456>.
const LEAST_TIME: f64 = 1e-5;

impl DenoisingObjective {
    /// The objective of a model.
    ///
    /// # Errors
    /// When the model's schedule is invalid.
    pub fn new(model: &ModelConfig, loss: Loss) -> Result<Self, ScheduleError> {
        let schedule = model.schedule.build()?;
        Ok(Self {
            preconditioning: model
                .parametrisation
                .preconditioning(schedule.clone(), model.label),
            schedule,
            label: model.label,
            loss,
        })
    }

    /// The time that a uniform number in [0, 1) stands for: each step of a table is equally likely, or each time. Steps beyond
    /// the schedule's horizon are its horizon.
    pub fn time(&self, uniform: f64) -> f64 {
        match self.label {
            NoiseLabel::Step { steps } | NoiseLabel::NearestStep { steps } => {
                let steps = steps as f64;
                (((uniform * steps).floor() + 1.0) / steps).min(self.schedule.horizon())
            }
            _ => LEAST_TIME + (self.schedule.horizon() - LEAST_TIME) * uniform,
        }
    }

    /// Perturbs images in [0, 1], `[batch, channels, height, width]`, each to a time of its own.
    pub fn perturb(&self, images: Tensor<4>, rng: &mut Rng) -> NoisyBatch {
        let batch = images.dims()[0];
        let device = images.device();
        let levels: Vec<(f64, Coefficients)> = rng
            .uniform_per_row(batch)
            .into_iter()
            .map(|u| self.schedule.sigma(self.time(u)))
            .map(|sigma| (sigma, self.preconditioning.at(sigma)))
            .collect();
        let column = |value: &dyn Fn(f64, &Coefficients) -> f64| -> Tensor<1> {
            let values: Vec<f64> = levels.iter().map(|(sigma, c)| value(*sigma, c)).collect();
            Tensor::from_data(TensorData::new(values, [batch]), &device)
        };
        let weight = |value: &dyn Fn(f64, &Coefficients) -> f64| -> Tensor<4> {
            column(value).reshape([batch, 1, 1, 1])
        };
        let clean = images.mul_scalar(2.0).sub_scalar(1.0);
        let noise = rng.normal(clean.dims());
        // The target's two weights are formed in f64: their naive difference loses the noise where sigma is small.
        NoisyBatch {
            input: clean.clone() * weight(&|_, c| c.input)
                + noise.clone() * weight(&|sigma, c| sigma * c.input),
            conditioning: Conditioning {
                noise: column(&|_, c| c.noise),
            },
            target: clean * weight(&|_, c| (1.0 - c.skip) / c.out)
                - noise * weight(&|sigma, c| c.skip * sigma / c.out),
        }
    }

    /// The loss of a network on a batch: one number.
    pub fn loss(&self, network: &impl Backbone, batch: NoisyBatch) -> Tensor<1> {
        let output = network.forward(batch.input, batch.conditioning);
        match self.loss {
            Loss::L2 => MseLoss::new().forward(output, batch.target, Reduction::Mean),
            Loss::L1 => (output - batch.target).abs().mean(),
            Loss::Huber => {
                HuberLossConfig::new(1.0)
                    .init()
                    .forward(output, batch.target, Reduction::Mean)
            }
        }
    }
}
