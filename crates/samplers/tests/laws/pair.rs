//! Two correlated pixels of which the first is measured: the exact law of a sampler that is affine in its noises,
//! beside the posterior.

use burn::tensor::Tensor;
use tweedie_core::{FullGaussian, Noise, TimeGrid, VariancePreserving};
use tweedie_physics::Inpainting;
use tweedie_samplers::{Measurement, SampleError};
use tweedie_testkit::{assert_close, exact, values};

const MEAN: [f64; 2] = [0.6, 0.4];
const VARIANCE: f64 = 0.09;
const COVARIANCE: f64 = 0.8 * VARIANCE;

/// The measurement of the first pixel, 1.7 standard deviations of the prior from its mean.
pub(crate) const Y: f64 = 0.6 + 1.7 * 0.3;

pub(crate) fn prior() -> FullGaussian {
    let covariance = exact(&[VARIANCE, COVARIANCE, COVARIANCE, VARIANCE], [2, 2]);
    FullGaussian::new(exact(&MEAN, [1, 1, 1, 2]), covariance).unwrap()
}

pub(crate) fn measurement(noise_std: f64) -> Measurement<Inpainting> {
    Measurement {
        operator: Inpainting::new(exact(&[1.0, 0.0], [1, 1, 1, 2])).unwrap(),
        y: exact(&[Y, 0.0], [1, 1, 1, 2]),
        noise_std,
    }
}

pub(crate) fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

/// As the tables of the samplers have it.
pub(crate) fn grid(steps: usize) -> TimeGrid {
    TimeGrid::karras(&schedule(), 80.0, 0.002, 7.0, steps - 1)
        .unwrap()
        .then_zero()
}

/// One row without noise, and one for each number of each call with that number 1 and all else 0.
struct Units {
    calls: usize,
}

impl Noise for Units {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        let first = 1 + 2 * self.calls;
        let unit: Vec<f64> = (0..2 * shape[0])
            .map(|index| f64::from(index / 2 == first + index % 2))
            .collect();
        self.calls += 1;
        exact(&unit, shape)
    }
}

/// Mean and covariance of two pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    pub(crate) mean: [f64; 2],
    /// Both variances, then the covariance.
    pub(crate) spread: [f64; 3],
}

/// The law of the result of `run`, which gets a shape and a noise and draws from it at most `calls` times.
pub(crate) fn law(
    calls: usize,
    run: impl FnOnce([usize; 4], &mut dyn Noise) -> Result<Tensor<4>, SampleError>,
) -> Law {
    let mut units = Units { calls: 0 };
    let shape = [1 + 2 * calls, 1, 1, 2];
    let rows = values(&run(shape, &mut units).unwrap());
    assert!(units.calls <= calls, "{} calls for noise", units.calls);
    let mean = [rows[0], rows[1]];
    let mut spread = [0.0; 3];
    for row in rows.chunks(2).skip(1) {
        let [a, b] = [row[0] - mean[0], row[1] - mean[1]];
        for (sum, term) in spread.iter_mut().zip([a * a, b * b, a * b]) {
            *sum += term;
        }
    }
    Law { mean, spread }
}

/// The law of both pixels given the measurement.
pub(crate) fn posterior(noise_std: f64) -> Law {
    let total = VARIANCE + noise_std * noise_std;
    let gains = [VARIANCE / total, COVARIANCE / total];
    let shift = Y - MEAN[0];
    Law {
        mean: [MEAN[0] + gains[0] * shift, MEAN[1] + gains[1] * shift],
        spread: [
            VARIANCE - gains[0] * VARIANCE,
            VARIANCE - gains[1] * COVARIANCE,
            COVARIANCE - gains[0] * COVARIANCE,
        ],
    }
}

/// Errors of the means, in standard deviations of the posterior, and ratios of the standard deviations: of the measured
/// pixel and of the other. Where the posterior has no spread, mean error and standard deviation themselves.
pub(crate) fn departures(law: Law, noise_std: f64) -> [f64; 4] {
    let exact = posterior(noise_std);
    let of = |pixel: usize| {
        let unit = match exact.spread[pixel].sqrt() {
            0.0 => 1.0,
            spread => spread,
        };
        let error = law.mean[pixel] - exact.mean[pixel];
        [error / unit, law.spread[pixel].sqrt() / unit]
    };
    let ([mean, spread], [other_mean, other_spread]) = (of(0), of(1));
    [mean, spread, other_mean, other_spread]
}

/// Fails unless the law departs from the posterior as documented, to two digits.
pub(crate) fn assert_departures(name: &str, law: Law, noise_std: f64, documented: [f64; 4]) {
    assert_close(name, &departures(law, noise_std), &documented, 0.005);
}
