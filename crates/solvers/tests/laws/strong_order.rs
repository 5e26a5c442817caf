//! Order of convergence on one fixed Brownian path.

use burn::tensor::Tensor;
use tweedie_core::{GaussianPrior, Noise, Rng, TimeGrid, VariancePreserving};
use tweedie_sde::Reverse;
use tweedie_solvers::{EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{device, exact, values};

const FINEST: usize = 4096;
const START: f64 = 0.9;
const END: f64 = 0.2;

/// A Brownian path on the finest grid, read at any coarser one.
struct Path {
    /// Increments, `[FINEST][paths]`.
    increments: Vec<Vec<f64>>,
}

impl Path {
    fn new(paths: usize) -> Self {
        let mut rng = Rng::seeded(12, &device()).with_dtype(burn::tensor::DType::F64);
        let width = ((START - END) / FINEST as f64).sqrt();
        let draws = values(&rng.normal([paths, FINEST]));
        let increments = (0..FINEST)
            .map(|k| {
                (0..paths)
                    .map(|row| width * draws[row * FINEST + k])
                    .collect()
            })
            .collect();
        Self { increments }
    }
}

impl Noise<2> for &Path {
    fn normal(&mut self, _: [usize; 2]) -> Tensor<2> {
        panic!("a solver of stochastic equations draws increments");
    }

    fn increment(&mut self, shape: [usize; 2], from: f64, to: f64) -> Tensor<2> {
        let index = |t: f64| ((START - t) / (START - END) * FINEST as f64).round() as usize;
        let mut total = vec![0.0; shape[0]];
        for step in &self.increments[index(from)..index(to)] {
            total.iter_mut().zip(step).for_each(|(sum, dw)| *sum += dw);
        }
        exact(&total, shape)
    }
}

fn run(solver: &impl Solver<super::support::Process, 2>, path: &Path, steps: usize) -> Vec<f64> {
    let prior = GaussianPrior::new(exact(&[0.7], [1, 1]), 0.25);
    let schedule = std::sync::Arc::new(VariancePreserving::new(0.1, 20.0).unwrap());
    let process = Reverse::new(schedule as _, prior, 1.0);
    let grid = TimeGrid::uniform(START, END, steps).unwrap();
    let start = exact(&[0.4, -1.1, 0.9, 2.0], [4, 1]);
    values(&integrate(
        &process,
        solver,
        start,
        &grid,
        &mut &*path,
        |_| (),
    ))
}

#[test]
fn error_on_a_fixed_path_falls_at_first_order() {
    let path = Path::new(4);
    // Half the order would show as a ratio of 4 where 16 is expected from 16 times the steps.
    let check = |name: &str, coarse: Vec<f64>, fine: Vec<f64>, exact: &[f64]| {
        let error = |got: &[f64]| -> f64 {
            got.iter()
                .zip(exact)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let order = (error(&coarse) / error(&fine)).ln() / 16f64.ln();
        assert!(order > 0.8, "{name}: strong order {order:.2}, expected 1");
    };
    let reference = run(&Heun, &path, FINEST);
    check(
        "Euler-Maruyama",
        run(&EulerMaruyama, &path, 32),
        run(&EulerMaruyama, &path, 512),
        &reference,
    );
    check(
        "Heun",
        run(&Heun, &path, 16),
        run(&Heun, &path, 256),
        &reference,
    );
}
