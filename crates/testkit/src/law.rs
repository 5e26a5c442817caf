//! The exact output law of a solver, without sampling.
//!
//! With a Gaussian prior the denoiser is affine, so a whole run is affine in its start and its noises:
//! `x_out = offset + start x_in + sum_k noise_k z_k`. Unit vectors on separate rows of one batch give every coefficient, and
//! with them the exact mean and variance of the output.

use burn::tensor::Tensor;
use tweedie_core::Noise;

use crate::{exact, values};

/// Mean and variance of a scalar law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

/// Coefficients of a run on one pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct AffineLaw {
    /// Output for zero start and zero noise.
    pub offset: f64,
    /// Coefficient of the start.
    pub start: f64,
    /// Coefficient of each noise call, in order.
    pub noises: Vec<f64>,
}

impl AffineLaw {
    /// The exact law of the output when the start has the law `start`.
    pub fn output(&self, start: Moments) -> Moments {
        let from_noise: f64 = self.noises.iter().map(|c| c * c).sum();
        Moments {
            mean: self.offset + self.start * start.mean,
            variance: self.start * self.start * start.variance + from_noise,
        }
    }
}

/// Row 0 has no noise at all, row 1 the unit start, row `2 + k` the unit noise of call `k`.
struct Probe {
    calls: usize,
    capacity: usize,
}

impl Noise<2> for Probe {
    fn normal(&mut self, shape: [usize; 2]) -> Tensor<2> {
        assert!(
            self.calls < self.capacity,
            "the run drew noise more than {} times",
            self.capacity
        );
        let mut unit = vec![0.0; shape[0]];
        unit[2 + self.calls] = 1.0;
        self.calls += 1;
        exact(&unit, shape)
    }
}

/// Runs `run` on a `[rows, 1]` batch of unit vectors and reads off its coefficients. The run may draw noise at most
/// `max_calls` times; everything is in double precision.
pub fn affine_law(
    max_calls: usize,
    run: impl FnOnce(Tensor<2>, &mut dyn Noise<2>) -> Tensor<2>,
) -> AffineLaw {
    let rows = max_calls + 2;
    let mut start = vec![0.0; rows];
    start[1] = 1.0;
    let mut probe = Probe {
        calls: 0,
        capacity: max_calls,
    };
    let output = values(&run(exact(&start, [rows, 1]), &mut probe));
    let offset = output[0];
    AffineLaw {
        offset,
        start: output[1] - offset,
        noises: output[2..2 + probe.calls]
            .iter()
            .map(|value| value - offset)
            .collect(),
    }
}
