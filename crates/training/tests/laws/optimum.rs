//! The least loss that any network can have, known in closed form for Gaussian pixels.
//!
//! With `x_0 ~ N(m, v)` in each pixel, `D(x) = m + v (x - m)/(v + sigma^2)` is the best denoiser. What is left over is normal with
//! variance `v sigma^2/(v + sigma^2)`, so the least L2 loss of the network is its mean over the levels, divided by `c_out^2`; for
//! noise prediction this is `v/(v + sigma^2)`.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Conditioning, NoiseLabel, Parametrisation, Preconditioning, Rng, Schedule,
    ScheduleConfig,
};
use tweedie_models::ModelConfig;
use tweedie_testkit::{assert_z, device, values, z_bound};
use tweedie_training::{DenoisingObjective, Loss};

use crate::support::{model, small};

const STEPS: usize = 50;
const MEAN: f64 = -0.3;
const ROWS: usize = 4096;
const PIXELS: usize = 4;

/// `F = (D(x) - c_skip x)/c_out` of a Gaussian prior, its gain wrong by a factor.
struct Gaussian {
    variance: f64,
    factor: f64,
    schedule: Arc<dyn Schedule>,
    preconditioning: Arc<dyn Preconditioning>,
    is_edm: bool,
}

impl Gaussian {
    fn sigma(&self, label: f64) -> f64 {
        if self.is_edm {
            return (4.0 * label).exp();
        }
        self.schedule.sigma((label + 1.0) / STEPS as f64)
    }
}

impl Backbone for Gaussian {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        let rows = values(&conditioning.noise).into_iter().map(|label| {
            let sigma = self.sigma(label);
            let c = self.preconditioning.at(sigma);
            let gain = self.factor * self.variance / (self.variance + sigma * sigma);
            (
                (gain - c.skip) / (c.out * c.input),
                (1.0 - gain) * MEAN / c.out,
            )
        });
        let (slopes, offsets): (Vec<f64>, Vec<f64>) = rows.unzip();
        let column = |values: Vec<f64>| {
            Tensor::<1>::from_data(values.as_slice(), &x.device()).reshape([-1, 1, 1, 1])
        };
        x.clone() * column(slopes) + column(offsets)
    }
}

fn table(parametrisation: Parametrisation) -> ModelConfig {
    let mut model = model(small());
    model.parametrisation = parametrisation;
    model.label = NoiseLabel::Step { steps: STEPS };
    model.schedule = ScheduleConfig::Ddpm {
        steps: STEPS,
        beta_min: 2e-3,
        beta_max: 0.05,
    };
    model
}

struct Measured {
    loss: f64,
    least: f64,
    error: f64,
}

fn measure(parametrisation: Parametrisation, variance: f64, factor: f64) -> Measured {
    let model = table(parametrisation);
    let schedule = model.schedule.build().unwrap();
    let preconditioning = parametrisation.preconditioning(schedule.clone(), model.label);
    let root = Rng::seeded(21, &device());
    let pixels = root.fork(0).normal([ROWS, 1, 2, 2]);
    let images = pixels * (0.5 * variance.sqrt()) + 0.5 * (MEAN + 1.0);
    let objective = DenoisingObjective::new(&model, Loss::L2).unwrap();
    let batch = objective.perturb(images, &mut root.fork(1));
    let per_level: Vec<f64> = (1..=STEPS)
        .map(|k| schedule.sigma(k as f64 / STEPS as f64))
        .map(|sigma| {
            let squared = sigma * sigma;
            variance * squared / (variance + squared) / preconditioning.at(sigma).out.powi(2)
        })
        .collect();
    let least = per_level.iter().sum::<f64>() / STEPS as f64;
    // Given its level, a row's loss is `w chi^2_P / P`: its variance is `E[w^2 (1 + 2/P)] - E[w]^2`.
    let second: f64 = per_level.iter().map(|w| w * w).sum::<f64>() / STEPS as f64;
    let spread = second * (1.0 + 2.0 / PIXELS as f64) - least * least;
    let network = Gaussian {
        variance,
        factor,
        schedule,
        preconditioning,
        is_edm: matches!(parametrisation, Parametrisation::Edm { .. }),
    };
    Measured {
        loss: objective.loss(&network, batch).into_scalar::<f64>(),
        least,
        error: (spread / ROWS as f64).sqrt(),
    }
}

const ALL: [Parametrisation; 4] = [
    Parametrisation::Epsilon,
    Parametrisation::X0,
    Parametrisation::V,
    Parametrisation::Edm { sigma_data: 0.5 },
];

#[test]
fn the_exact_denoiser_has_the_least_loss() {
    let measured = ALL.map(|parametrisation| measure(parametrisation, 0.16, 1.0));
    assert_z(
        "least loss",
        &measured.each_ref().map(|m| m.loss),
        &measured.each_ref().map(|m| m.least),
        &measured.each_ref().map(|m| m.error),
    );
}

/// The control: half the gain.
#[test]
fn a_wrong_denoiser_has_a_larger_loss() {
    for parametrisation in ALL {
        let Measured { loss, least, error } = measure(parametrisation, 0.16, 0.5);
        let z = (loss - least) / error;
        assert!(
            z > z_bound(ALL.len()),
            "{parametrisation:?}: loss {loss}, least {least}, z {z}"
        );
    }
}

/// All images the same: nothing is left to guess. Noise prediction divides the rounding of the image by sigma.
#[test]
fn a_point_mass_leaves_no_loss() {
    for parametrisation in ALL {
        let model = table(parametrisation);
        let sigma = model.schedule.build().unwrap().sigma(1.0 / STEPS as f64);
        let rounding = 8.0 * f64::from(f32::EPSILON) / sigma;
        let Measured { loss, .. } = measure(parametrisation, 0.0, 1.0);
        assert!(
            loss <= rounding * rounding,
            "{parametrisation:?}: loss {loss:e}, expected at most {:e}",
            rounding * rounding
        );
    }
}
