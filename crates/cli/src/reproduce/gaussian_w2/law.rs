//! The exact variances that a solver gives to a centred Gaussian, mode by mode, without random numbers.
//!
//! With a centred Gaussian prior every solver is linear in its start and its noises. Unit vectors for the start and for each
//! noise on rows of one batch give every coefficient; the variance of the output is the sum of their squares.

use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{Counted, GaussianPrior, Noise, PriorError, TimeGrid, VariancePreserving},
    sde::Reverse,
    solvers::{SolveError, Solver, integrate},
};

/// The process of the experiment.
pub(crate) type Process = Reverse<VariancePreserving, Counted<GaussianPrior<2>>>;

/// Variances at the end of a run, and how many evaluations of the denoiser it took.
pub(crate) struct Law {
    pub(crate) variances: Vec<f64>,
    pub(crate) evaluations: usize,
}

/// Double precision, on the CPU.
pub(crate) fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    let options = (&Device::flex(), DType::F64);
    Tensor::from_data(TensorData::new(values, shape), options)
}

/// A centred Gaussian with the given variances.
pub(crate) fn prior(spectrum: &[f64]) -> Result<GaussianPrior<2>, PriorError> {
    let modes = spectrum.len();
    let mean = tensor(vec![0.0; modes], [1, modes]);
    GaussianPrior::diagonal(mean, tensor(spectrum.to_vec(), [1, modes]))
}

/// Row 0 has no noise, row `1 + k` ones for the noise of call `k`.
struct Unit {
    calls: usize,
}

impl Noise<2> for Unit {
    fn normal(&mut self, [rows, modes]: [usize; 2]) -> Tensor<2> {
        self.calls += 1;
        let mut values = vec![0.0; rows * modes];
        values[self.calls * modes..(self.calls + 1) * modes].fill(1.0);
        tensor(values, [rows, modes])
    }
}

/// Row 0 is the start, the others are the noises.
fn unit_start(rows: usize, modes: usize) -> Tensor<2> {
    let mut values = vec![0.0; rows * modes];
    values[..modes].fill(1.0);
    tensor(values, [rows, modes])
}

/// Sum of the squared coefficients of each mode, that of the start weighted by the start's variance.
fn combined(state: Tensor<2>, start: &[f64]) -> Vec<f64> {
    let coefficients = state.into_data().iter::<f64>().collect::<Vec<f64>>();
    let modes = start.len();
    let mut variances = vec![0.0; modes];
    for (index, coefficient) in coefficients.into_iter().enumerate() {
        let weight = if index < modes { start[index] } else { 1.0 };
        variances[index % modes] += weight * coefficient * coefficient;
    }
    variances
}

/// The law of a solver that keeps nothing from step to step: each step alone is linear, so the variances are carried on.
/// `draws` is how many times a step draws noise at most.
pub(crate) fn of_steps<S: Solver<Process, 2, Memory = ()>>(
    process: &Process,
    solver: &S,
    grid: &TimeGrid,
    modes: usize,
    draws: usize,
) -> Law {
    let mut variances = vec![1.0; modes];
    for span in grid.spans() {
        let start = unit_start(1 + draws, modes);
        let end = solver.step(process, &mut (), start, span, &mut Unit { calls: 0 });
        variances = combined(end, &variances);
    }
    Law {
        variances,
        evaluations: process.prior().evaluations(),
    }
}

/// The law of any solver that draws noise at most once a step, or never if `noisy` is not set.
pub(crate) fn of_run<S: Solver<Process, 2>>(
    process: &Process,
    solver: &S,
    grid: &TimeGrid,
    modes: usize,
    noisy: bool,
) -> Result<Law, SolveError> {
    let rows = 1 + if noisy { grid.steps() } else { 0 };
    let start = unit_start(rows, modes);
    let end = integrate(process, solver, start, grid, &mut Unit { calls: 0 }, |_| ())?;
    Ok(Law {
        variances: combined(end, &vec![1.0; modes]),
        evaluations: process.prior().evaluations(),
    })
}

/// `sqrt(sum_i (sqrt(v_i) - sqrt(l_i))^2)`: the Wasserstein distance of two centred Gaussians with one eigenbasis.
pub(crate) fn wasserstein(found: &[f64], expected: &[f64]) -> f64 {
    let squares = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found.sqrt() - expected.sqrt()).powi(2));
    squares.sum::<f64>().sqrt()
}
