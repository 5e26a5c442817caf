//! The table of Pierret & Galerne 2025, <https://arxiv.org/abs/2405.14250>: how far schemes end from a Gaussian with the spectrum
//! of CIFAR-10, to the printed digits.

use burn::tensor::Tensor;
use tweedie_core::{GaussianPrior, Noise, TimeGrid, VariancePreserving};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ancestral, EulerMaruyama, ExponentialEuler, Heun, Rk4, Solver};
use tweedie_testkit::{exact, golden, values};

type Process = Reverse<VariancePreserving, GaussianPrior<2>>;

/// Row 0 has no noise, row 1 ones.
struct Ones;

impl Noise<2> for Ones {
    fn normal(&mut self, [rows, modes]: [usize; 2]) -> Tensor<2> {
        let values = [vec![0.0; modes], vec![1.0; modes]].concat();
        exact(&values, [rows, modes])
    }
}

/// Each step is `x -> a x + b z` in each mode: one batch of two rows gives both, and the variances go on.
fn distance(
    solver: &impl Solver<Process, 2, Memory = ()>,
    alpha: f64,
    spectrum: &[f64],
    grid: &TimeGrid,
) -> f64 {
    let modes = spectrum.len();
    let mean = exact(&vec![0.0; modes], [1, modes]);
    let prior = GaussianPrior::diagonal(mean, exact(spectrum, [1, modes])).unwrap();
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let process = Reverse::new(schedule, prior, alpha).unwrap();
    let unit = [vec![1.0; modes], vec![0.0; modes]].concat();
    let mut variances = vec![1.0; modes];
    for span in grid.spans() {
        let end = solver.step(&process, &mut (), exact(&unit, [2, modes]), span, &mut Ones);
        let end = values(&end);
        let (start, noise) = end.split_at(modes);
        for ((variance, start), noise) in variances.iter_mut().zip(start).zip(noise) {
            *variance = start.powi(2) * *variance + noise.powi(2);
        }
    }
    variances
        .iter()
        .zip(spectrum)
        .map(|(found, expected)| (found.sqrt() - expected.sqrt()).powi(2))
        .sum::<f64>()
        .sqrt()
}

fn assert_row(
    name: &str,
    solver: &impl Solver<Process, 2, Memory = ()>,
    alpha: f64,
    eps: f64,
    points: [usize; 4],
    published: [f64; 4],
) {
    let spectrum: Vec<f64> = golden(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/cifar10_spectrum.json"
    ));
    for (points, published) in points.into_iter().zip(published) {
        let grid = TimeGrid::uniform(1.0, eps, points - 1).unwrap();
        let found = distance(solver, alpha, &spectrum, &grid);
        assert!(
            (found - published).abs() <= 0.005 + 1e-9,
            "{name}, eps {eps}, {points} points: found {found:.4}, published {published}"
        );
    }
}

/// The columns of the table.
const POINTS: [usize; 4] = [50, 250, 500, 1000];

#[test]
#[rustfmt::skip]
fn stochastic_schemes() {
    assert_row("Euler-Maruyama", &EulerMaruyama, 1.0, 0.0, POINTS, [4.78, 0.66, 0.32, 0.16]);
    assert_row("Euler-Maruyama", &EulerMaruyama, 1.0, 1e-3, POINTS, [4.68, 0.70, 0.40, 0.27]);
    assert_row("exponential Euler", &ExponentialEuler, 1.0, 0.0, POINTS, [2.81, 0.57, 0.30, 0.16]);
    assert_row("exponential Euler", &ExponentialEuler, 1.0, 1e-3, POINTS, [2.91, 0.67, 0.41, 0.29]);
    assert_row("DDPM", &Ancestral, 1.0, 0.0, POINTS, [6.82, 0.97, 0.47, 0.23]);
    assert_row("DDPM", &Ancestral, 1.0, 1e-3, POINTS, [6.74, 1.00, 0.53, 0.32]);
}

#[test]
#[rustfmt::skip]
fn deterministic_schemes() {
    assert_row("Euler", &EulerMaruyama, 0.0, 0.0, POINTS, [1.78, 0.44, 0.26, 0.17]);
    assert_row("Euler", &EulerMaruyama, 0.0, 1e-3, POINTS, [1.79, 0.48, 0.32, 0.25]);
    // The published columns count grid points, and a quarter of them for the method of four evaluations.
    assert_row("Heun", &Heun, 0.0, 1e-5, POINTS, [23.42, 2.87, 1.06, 0.38]);
    assert_row("Heun", &Heun, 0.0, 1e-4, POINTS, [4.68, 0.44, 0.14, 0.08]);
    assert_row("Heun", &Heun, 0.0, 1e-3, POINTS, [0.59, 0.15, 0.18, 0.19]);
    assert_row("RK4", &Rk4, 0.0, 1e-3, POINTS.map(|points| points / 4), [2.60, 0.12, 0.17, 0.19]);
}

#[test]
#[should_panic(expected = "exponential Euler, eps 0, 50 points")]
fn the_digits_tell_schemes_apart() {
    assert_row(
        "exponential Euler",
        &EulerMaruyama,
        1.0,
        0.0,
        POINTS,
        [2.81, 0.57, 0.30, 0.16],
    );
}
