//! Each solver on the device under test, in single precision: one batch, against the same run in double precision.

use burn::tensor::{DType, Tensor};
use tweedie_core::{GaussianPrior, Noise, Rng, TimeGrid, VariancePreserving};
use tweedie_sde::{Reverse, pure_noise};
use tweedie_solvers::{Ddim, Ddpm, EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{device, values};

type Process = Reverse<VariancePreserving, GaussianPrior>;

fn run(solver: &impl Solver<Process>, dtype: DType) -> Vec<f64> {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let mean = Tensor::full([1, 1, 1, 1], 0.7, (&device(), dtype));
    let process = Reverse::new(schedule, GaussianPrior::new(mean, 0.25), 1.0);
    let grid = TimeGrid::uniform(1.0, 0.05, 12).unwrap();
    let mut rng = Rng::seeded(3, &device()).with_dtype(dtype);
    let noise: &mut dyn Noise = &mut rng;
    let start = pure_noise(&schedule, [2, 1, 3, 3], 1.0, noise);
    values(&integrate(&process, solver, start, &grid, noise, |_| ()))
}

fn assert_same(name: &str, single: &[f64], double: &[f64]) {
    for (single, double) in single.iter().zip(double) {
        // Twelve steps of a few operations each, on numbers of order one.
        let allowed = 12.0 * 8.0 * f64::from(f32::EPSILON) * (1.0 + double.abs());
        assert!(
            (single - double).abs() < allowed,
            "{name}: {single} and {double}"
        );
    }
}

#[test]
fn single_precision_follows_double() {
    assert_same(
        "EM",
        &run(&EulerMaruyama, DType::F32),
        &run(&EulerMaruyama, DType::F64),
    );
    assert_same("Heun", &run(&Heun, DType::F32), &run(&Heun, DType::F64));
    assert_same("DDPM", &run(&Ddpm, DType::F32), &run(&Ddpm, DType::F64));
    let ddim = Ddim::new(0.3);
    assert_same("DDIM", &run(&ddim, DType::F32), &run(&ddim, DType::F64));
}
