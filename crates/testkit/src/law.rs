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

/// Noise whose `k`-th number in each row is 1 on row `first + k` and 0 on all others, counted over all calls: a run that is
/// affine in its noises shows each coefficient on a row of its own.
#[derive(Clone, Debug)]
pub struct UnitNoise {
    next: usize,
}

impl UnitNoise {
    /// From row `first` on.
    pub fn from_row(first: usize) -> Self {
        Self { next: first }
    }

    /// The row of the next number: `first`, and as many as were drawn.
    pub fn next_row(&self) -> usize {
        self.next
    }
}

impl<const D: usize> Noise<D> for UnitNoise {
    /// # Panics
    /// If there is no row left for a number.
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        let (rows, numbers) = (shape[0], shape[1..].iter().product::<usize>());
        assert!(
            self.next + numbers <= rows,
            "the run drew more noise than {rows} rows show"
        );
        let mut units = vec![0.0; rows * numbers];
        for entry in 0..numbers {
            units[(self.next + entry) * numbers + entry] = 1.0;
        }
        self.next += numbers;
        exact(&units, shape)
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
    // Row 0 has no noise at all, row 1 the unit start, row `2 + k` the unit noise of call `k`.
    let mut noise = UnitNoise::from_row(2);
    let output = values(&run(exact(&start, [rows, 1]), &mut noise));
    let offset = output[0];
    AffineLaw {
        offset,
        start: output[1] - offset,
        noises: output[2..noise.next_row()]
            .iter()
            .map(|value| value - offset)
            .collect(),
    }
}
