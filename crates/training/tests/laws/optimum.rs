//! The least loss that any network can have, known in closed form for Gaussian pixels.
//!
//! With `x_0 ~ N(m, v)` in each pixel, `D(x) = m + v (x - m)/(v + sigma^2)` is the best denoiser. What is left over is normal with
//! variance `v sigma^2/(v + sigma^2)`, so the least L2 loss of the network is its mean over the levels, times the weight of the
//! squared error of `x_0`; for noise prediction this is `v/(v + sigma^2)`.

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Conditioning, Given, NoiseLabel, Parametrisation, Rng, ScheduleConfig,
};
use tweedie_testkit::{assert_z, device, values, z_bound};
use tweedie_training::{
    Denoising, Distance, Level, Levels, LevelsConfig, Objective, Prediction, Weighting,
};

use crate::objective::PARAMETRISATIONS;

const STEPS: usize = 50;
const MEAN: f64 = -0.3;
const ROWS: usize = 4096;
const PIXELS: usize = 4;

const WEIGHTINGS: [Weighting; 5] = [
    Weighting::Output,
    Weighting::Simple,
    Weighting::MinSnr { gamma: 5.0 },
    Weighting::P2 { k: 1.0, gamma: 1.0 },
    Weighting::Elbo,
];

fn table(parametrisation: Parametrisation) -> Prediction {
    let schedule = ScheduleConfig::Ddpm {
        steps: STEPS,
        beta_min: 2e-3,
        beta_max: 0.05,
    };
    let label = NoiseLabel::Step { steps: STEPS };
    Prediction::new(schedule.build().unwrap(), label, parametrisation)
}

/// `F = (D(x) - c_skip x)/c_out` of a Gaussian prior, its gain wrong by a factor.
struct Gaussian<'a> {
    variance: f64,
    factor: f64,
    prediction: &'a Prediction,
    levels: &'a [Level],
}

impl Backbone for Gaussian<'_> {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        let rows = self.levels.iter().map(|level| {
            let c = self.prediction.preconditioning.at(level.sigma);
            let gain = self.factor * self.variance / (self.variance + level.sigma.powi(2));
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

struct Measured {
    loss: f64,
    least: f64,
    error: f64,
}

fn measure(
    parametrisation: Parametrisation,
    weighting: Weighting,
    variance: f64,
    factor: f64,
) -> Measured {
    let prediction = table(parametrisation);
    let root = Rng::seeded(21, &device());
    let clean = root.fork(0).normal([ROWS, 1, 2, 2]) * variance.sqrt() + MEAN;
    let levels = Levels::new(LevelsConfig::default(), prediction.clone())
        .unwrap()
        .draw(ROWS, &mut root.fork(1));
    let objective = Denoising {
        prediction: prediction.clone(),
        weighting,
        distance: Distance::L2,
    };
    let network = Gaussian {
        variance,
        factor,
        prediction: &prediction,
        levels: &levels,
    };
    let losses = objective.losses(
        &network,
        clean,
        Given::nothing(),
        &levels,
        &mut root.fork(2),
    );
    let per_level: Vec<f64> = (1..=STEPS)
        .map(|k| {
            let time = k as f64 / STEPS as f64;
            let sigma = prediction.schedule.sigma(time);
            let level = Level {
                time,
                sigma,
                weight: 1.0,
            };
            let c = prediction.preconditioning.at(sigma);
            let left_over = variance * sigma.powi(2) / (variance + sigma.powi(2));
            left_over * weighting.at(&prediction, &level, &c) / c.out.powi(2)
        })
        .collect();
    let least = per_level.iter().sum::<f64>() / STEPS as f64;
    // Given its level, a row's loss is `w chi^2_P / P`: its variance is `E[w^2 (1 + 2/P)] - E[w]^2`.
    let second: f64 = per_level.iter().map(|w| w * w).sum::<f64>() / STEPS as f64;
    let spread = second * (1.0 + 2.0 / PIXELS as f64) - least * least;
    Measured {
        loss: values(&losses).iter().sum::<f64>() / ROWS as f64,
        least,
        error: (spread / ROWS as f64).sqrt(),
    }
}

fn every_objective() -> impl Iterator<Item = (Parametrisation, Weighting)> {
    PARAMETRISATIONS
        .into_iter()
        .flat_map(|p| WEIGHTINGS.map(|w| (p, w)))
}

#[test]
fn the_exact_denoiser_has_the_least_loss() {
    let measured: Vec<Measured> = every_objective()
        .map(|(parametrisation, weighting)| measure(parametrisation, weighting, 0.16, 1.0))
        .collect();
    let column = |of: fn(&Measured) -> f64| measured.iter().map(of).collect::<Vec<f64>>();
    assert_z(
        "least loss",
        &column(|m| m.loss),
        &column(|m| m.least),
        &column(|m| m.error),
    );
}

/// The control: half the gain.
#[test]
fn a_wrong_denoiser_has_a_larger_loss() {
    for (parametrisation, weighting) in every_objective() {
        let Measured { loss, least, error } = measure(parametrisation, weighting, 0.16, 0.5);
        let z = (loss - least) / error;
        assert!(
            z > z_bound(PARAMETRISATIONS.len() * WEIGHTINGS.len()),
            "{parametrisation:?}, {weighting:?}: loss {loss}, least {least}, z {z}"
        );
    }
}

/// All images the same: nothing is left to guess. What remains is the rounding of images, of the size of 1, over `c_out`.
#[test]
fn a_point_mass_leaves_no_loss() {
    for parametrisation in PARAMETRISATIONS {
        let prediction = table(parametrisation);
        let least_out = (1..=STEPS)
            .map(|k| prediction.schedule.sigma(k as f64 / STEPS as f64))
            .map(|sigma| prediction.preconditioning.at(sigma).out.abs())
            .fold(f64::INFINITY, f64::min);
        let rounding = 8.0 * f64::from(f32::EPSILON) / least_out;
        let Measured { loss, .. } = measure(parametrisation, Weighting::Output, 0.0, 1.0);
        assert!(
            loss <= rounding * rounding,
            "{parametrisation:?}: loss {loss:e}, expected at most {:e}",
            rounding * rounding
        );
    }
}
