//! Each solver on the device under test, in single precision: one batch, against the same run in double precision.

use burn::tensor::{DType, Tensor};
use tweedie_core::{GaussianPrior, Noise, Rng, TimeGrid, VariancePreserving};
use tweedie_sde::{Reverse, pure_noise};
use tweedie_solvers::{
    AdamsBashforth, Ddim, Ddpm, DpmSolver2, DpmSolverPp2M, DpmSolverPp2S, EulerMaruyama, Heun, Rk4,
    Solver, UniPc, integrate,
};
use tweedie_testkit::{device, values};

type Process = Reverse<VariancePreserving, GaussianPrior>;

fn run(solver: &impl Solver<Process>, alpha: f64, dtype: DType) -> Vec<f64> {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let mean = Tensor::full([1, 1, 1, 1], 0.7, (&device(), dtype));
    let process = Reverse::new(schedule, GaussianPrior::new(mean, 0.25), alpha).unwrap();
    let grid = TimeGrid::uniform(1.0, 0.05, 12).unwrap();
    let mut rng = Rng::seeded(3, &device()).with_dtype(dtype);
    let noise: &mut dyn Noise = &mut rng;
    let start = pure_noise(&schedule, [2, 1, 3, 3], 1.0, noise);
    values(&integrate(&process, solver, start, &grid, noise, |_| ()).unwrap())
}

fn assert_same(name: &str, solver: &impl Solver<Process>, alpha: f64) {
    let single = run(solver, alpha, DType::F32);
    let double = run(solver, alpha, DType::F64);
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
    assert_same("EM", &EulerMaruyama, 1.0);
    assert_same("Heun", &Heun, 1.0);
    assert_same("DDPM", &Ddpm, 1.0);
    assert_same("DDIM", &Ddim::new(0.3).unwrap(), 1.0);
    assert_same("DPM-Solver-2", &DpmSolver2, 0.0);
    assert_same("DPM-Solver++(2S)", &DpmSolverPp2S, 0.0);
    assert_same("DPM-Solver++(2M)", &DpmSolverPp2M, 0.0);
    assert_same("UniPC-3", &UniPc::new(3).unwrap(), 0.0);
    assert_same("AB4", &AdamsBashforth::new(4).unwrap(), 0.0);
    assert_same("RK4", &Rk4, 0.0);
}
