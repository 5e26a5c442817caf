//! The likelihood of images along the probability flow.

use std::f64::consts::TAU;

use tweedie::{
    burn::tensor::Tensor,
    core::{Denoiser, GridError, NoiseLabel, Rng, Schedule, TimeGrid},
    models::ModelConfig,
    sde::Reverse,
    solvers::{Probe, Trace, bits_per_dimension, log_likelihood},
};

use crate::failure::Outcome;

/// Values of a pixel.
const VALUES: u32 = 256;

/// Share of the horizon at which a schedule in continuous time ends that starts without noise.
const LEAST_TIME: f64 = 1e-5;

/// The variance of images in [0, 1] that are -1 and 1 for the network, and white noise with the noise of the first level.
const UNIT_VARIANCE: f64 = 0.25;

/// The first time of the network's training that has noise.
pub(super) fn first_time(model: &ModelConfig, schedule: &dyn Schedule) -> f64 {
    match model.label {
        NoiseLabel::Step { steps } | NoiseLabel::NearestStep { steps } => 1.0 / steps as f64,
        _ if schedule.sigma(0.0) > 0.0 => 0.0,
        _ => LEAST_TIME * schedule.horizon(),
    }
}

/// From the horizon to the first time, in steps of equal length in `ln sigma`.
pub(super) fn grid(schedule: &dyn Schedule, first: f64, steps: u32) -> Result<TimeGrid, GridError> {
    let (low, high) = (
        schedule.sigma(first).ln(),
        schedule.sigma(schedule.horizon()).ln(),
    );
    let time = |k: u32| match k {
        0 => schedule.horizon(),
        k if k == steps => first,
        k => schedule.time_at((high + f64::from(k) / f64::from(steps) * (low - high)).exp()),
    };
    TimeGrid::new((0..=steps).map(time).collect())
}

/// `ln N(u; 1/2, (sigma^2 + 1/4) I)`: where the flow starts. For a variance-preserving network of images in [-1, 1] it is the
/// standard normal law of its noisiest state.
fn start(u: Tensor<4>, sigma: f64) -> Tensor<1> {
    let [batch, channels, height, width] = u.dims();
    let dimensions = channels * height * width;
    let variance = sigma * sigma + UNIT_VARIANCE;
    u.sub_scalar(0.5)
        .square()
        .reshape([batch, dimensions])
        .sum_dim(1)
        .reshape([batch])
        .div_scalar(variance)
        .add_scalar(dimensions as f64 * (TAU * variance).ln())
        .mul_scalar(-0.5)
}

/// Bits per dimension of each of the images, rounded to 256 values and spread evenly between them.
pub(super) fn bits(
    schedule: &dyn Schedule,
    denoiser: &dyn Denoiser,
    images: Tensor<4>,
    grid: &TimeGrid,
    probes: u32,
    rng: &mut Rng,
) -> Outcome<Vec<f64>> {
    let [_, channels, height, width] = images.dims();
    let whole = images.mul_scalar(f64::from(VALUES - 1)).round();
    let spread = rng.uniform(whole.dims());
    let dequantised = (whole + spread).div_scalar(f64::from(VALUES));
    let trace = Trace::Hutchinson {
        probe: Probe::Rademacher,
        probes: probes as usize,
    };
    let process = Reverse::flow(schedule, denoiser);
    let found = log_likelihood(&process, dequantised, grid, trace, start, rng)?;
    let bits = bits_per_dimension(found.value, channels * height * width, VALUES);
    Ok(bits.try_into_vec_as::<f64>()?)
}
