//! What the tests of the restoration samplers share: a diagonal operator, replayed noise, and exact laws entry by
//! entry.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;
use tweedie_core::{FullGaussian, GaussianPrior, Noise, Rng, TimeGrid, VariancePreserving};
use tweedie_physics::{ForwardOperator, LinearOperator, PhysicsError, Svd};
use tweedie_samplers::{DrawConfig, PosteriorSampler, SampleError, draw};
use tweedie_solvers::Step;
use tweedie_testkit::{Moments, assert_close, device, exact, golden, values};

/// `A x = s x` entry by entry, `U = V = I`.
#[derive(Clone)]
pub(crate) struct Diagonal(Tensor<4>);

impl Diagonal {
    pub(crate) fn new(s: &[f64]) -> Self {
        Self(exact(s, [1, 1, 1, s.len()]))
    }
}

impl ForwardOperator for Diagonal {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x * self.0.clone()
    }
}

impl LinearOperator for Diagonal {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        y * self.0.clone()
    }
}

impl Svd for Diagonal {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        self.0.clone()
    }
    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }
    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        coefficients
    }
    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let blind = self.0.clone().equal_elem(0.0).expand(y.dims());
        y.mask_fill(blind, 0.0)
    }
    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.u_adjoint(coefficients)
    }
}

/// One row without noise, one with a unit change of the measurement, and one for each call with its unit noise.
pub(crate) struct Probe {
    calls: usize,
    /// What each number is multiplied by: 1, but for negative controls.
    pub(crate) gain: f64,
}

impl Noise for Probe {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        let row_len: usize = shape[1..].iter().product();
        let unit: Vec<f64> = (0..shape[0] * row_len)
            .map(|index| f64::from(index / row_len == 2 + self.calls) * self.gain)
            .collect();
        self.calls += 1;
        exact(&unit, shape)
    }
}

/// Coefficients of one entry of a state: of nothing, of a change of its measurement, of each call for noise.
#[derive(Debug)]
pub(crate) struct EntryLaw {
    pub(crate) offset: f64,
    pub(crate) measurement: f64,
    pub(crate) noises: Vec<f64>,
}

impl EntryLaw {
    /// The law over measurements of noise `noise_std` about the one probed.
    pub(crate) fn over_measurements(&self, noise_std: f64) -> Moments {
        let given = self.given_measurement();
        Moments {
            mean: given.mean,
            variance: given.variance + (self.measurement * noise_std).powi(2),
        }
    }

    /// The law for the measurement probed.
    pub(crate) fn given_measurement(&self) -> Moments {
        Moments {
            mean: self.offset,
            variance: self.noises.iter().map(|c| c * c).sum(),
        }
    }
}

/// What a probed run is given: the shape, the noise and an observer.
pub(crate) type Probed<'a> = ([usize; 4], &'a mut Probe, &'a mut dyn FnMut(Step<'_>));

/// The laws of every entry after each step, for a run whose measurement is `y`. `run` gets the rows of the measurement.
pub(crate) fn laws(
    y: &[f64],
    calls: usize,
    gain: f64,
    run: impl FnOnce(Tensor<4>, Probed<'_>) -> Result<Tensor<4>, SampleError>,
) -> Vec<Vec<EntryLaw>> {
    let (rows, entries) = (calls + 2, y.len());
    let shape = [rows, 1, 1, entries];
    let measured: Vec<f64> = (0..rows * entries)
        .map(|index| y[index % entries] + f64::from(index / entries == 1))
        .collect();
    let mut probe = Probe { calls: 0, gain };
    let mut states = Vec::new();
    let mut observe = |step: Step<'_>| states.push(values(step.state));
    run(exact(&measured, shape), (shape, &mut probe, &mut observe)).unwrap();
    assert!(probe.calls <= calls, "{} calls for noise", probe.calls);
    let law = |state: &Vec<f64>, entry: usize| {
        let row = |row: usize| state[row * entries + entry];
        EntryLaw {
            offset: row(0),
            measurement: row(1) - row(0),
            noises: (0..probe.calls).map(|k| row(2 + k) - row(0)).collect(),
        }
    };
    let of_state = |state| (0..entries).map(|entry| law(state, entry)).collect();
    states.iter().map(of_state).collect()
}

/// A pixel of a Gaussian prior, 100 steps, and a measurement of the pixel that lies 1.7 prior standard deviations from
/// its mean.
pub(crate) struct Case {
    pub(crate) schedule: VariancePreserving,
    pub(crate) prior: GaussianPrior,
    pub(crate) grid: TimeGrid,
    pub(crate) y: Tensor<4>,
}

/// Fails unless the samples of `run` depart from the exact posterior of a [`Case`] as documented, to two digits: the
/// error of the mean, in standard deviations of the posterior, and the ratio of the standard deviations.
pub(crate) fn assert_departure(
    noise_std: f64,
    documented: [f64; 2],
    run: impl FnOnce(Case, Probed<'_>) -> Result<Tensor<4>, SampleError>,
) {
    let (mean, variance, y) = (0.6, 0.09, 1.1);
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 99)
        .unwrap()
        .then_zero();
    let prior = GaussianPrior::new(exact(&[mean], [1, 1, 1, 1]), variance);
    let states = laws(&[y], 101, 1.0, |y, probed| {
        let case = Case {
            schedule,
            prior,
            grid,
            y,
        };
        run(case, probed)
    });
    let got = states[99][0].given_measurement();
    let gain = variance / (variance + noise_std * noise_std);
    let spread = (variance * (1.0 - gain)).sqrt();
    let exact_mean = mean + gain * (y - mean);
    let found = [
        (got.mean - exact_mean) / spread,
        got.variance.sqrt() / spread,
    ];
    assert_close(&format!("noise {noise_std}"), &found, &documented, 0.005);
}

/// The first of the numbers given, then the next at each call.
pub(crate) struct Replay(pub(crate) std::vec::IntoIter<Vec<f64>>);

impl Noise for Replay {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        exact(&self.0.next().expect("the reference drew as often"), shape)
    }
}

/// `restoration.json`.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) mean: Vec<f64>,
    pub(crate) covariance: Vec<Vec<f64>>,
    pub(crate) mask: Vec<f64>,
    pub(crate) kernel: Vec<f64>,
    pub(crate) noise_std: f64,
    pub(crate) runs: Vec<Run>,
}

#[derive(Deserialize)]
pub(crate) struct Run {
    pub(crate) sampler: String,
    pub(crate) operator: String,
    pub(crate) y: Vec<f64>,
    pub(crate) noise: Vec<Vec<f64>>,
    pub(crate) output: Vec<f64>,
}

/// Images of the recorded runs.
pub(crate) const SHAPE: [usize; 4] = [1, 1, 4, 4];

impl Golden {
    pub(crate) fn read() -> Self {
        golden(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/restoration.json"
        ))
    }

    pub(crate) fn prior(&self) -> FullGaussian {
        let covariance = exact(&self.covariance.concat(), [16, 16]);
        FullGaussian::new(exact(&self.mean, SHAPE), covariance).unwrap()
    }
}

/// Largest difference, relative to one plus the expected value.
pub(crate) fn departure(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let relative = |(got, expected): (&f64, &f64)| (got - expected).abs() / (1.0 + expected.abs());
    got.iter().zip(expected).map(relative).fold(0.0, f64::max)
}

pub(crate) fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Fails unless the samples are the same in batches of any size.
pub(crate) fn assert_rows_are_independent(sampler: &dyn PosteriorSampler, image: [usize; 3]) {
    let run = |batch_size| {
        let config = DrawConfig::new(5, batch_size);
        let draws = draw(sampler, image, config, &rng(8), |_| ()).unwrap();
        [values(&draws.mean), values(&draws.std.unwrap())].concat()
    };
    let reference = run(5);
    assert!(reference.iter().any(|value| *value != reference[0]));
    for batch_size in [1, 2, 3] {
        assert_eq!(run(batch_size), reference, "batches of {batch_size}");
    }
}
