//! Deterministic methods on a nonlinear flow, and their coefficients against the formulas of the papers.
//!
//! A Gaussian prior is linear and forgives. The points -1 and 1 with equal weight have `D(u; sigma) = tanh(u/sigma^2)`.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{Counted, Denoiser, Karras, Noise, Schedule, TimeGrid, VariancePreserving};
use tweedie_sde::{General, Process, Reverse};
use tweedie_solvers::{
    AdamsBashforth, Ddim, DpmSolver2, DpmSolverPp2M, DpmSolverPp2S, Heun, Rk4, SolveError, Solver,
    UniPc, integrate,
};
use tweedie_testkit::{assert_close, exact, values};

use crate::references::{self, Formula};

struct Silent;

impl Noise<2> for Silent {
    fn normal(&mut self, _: [usize; 2]) -> Tensor<2> {
        panic!("a deterministic method drew noise");
    }
}

struct TwoPoints;

impl Denoiser<2> for TwoPoints {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        noisy.div_scalar(sigma * sigma).tanh()
    }
}

type Flow = Reverse<Arc<dyn Schedule>, Counted<TwoPoints>>;

fn flow(schedule: Arc<dyn Schedule>) -> Flow {
    Reverse::flow(schedule, Counted::new(TwoPoints))
}

fn preserving() -> Arc<dyn Schedule> {
    Arc::new(VariancePreserving::new(0.1, 20.0).unwrap())
}

fn adams(order: usize) -> AdamsBashforth {
    AdamsBashforth::new(order).unwrap()
}

fn unipc(order: usize) -> UniPc {
    UniPc::new(order).unwrap()
}

/// The states of a run, the start included.
fn states<P: Process>(
    process: &P,
    solver: &impl Solver<P, 2>,
    start: &[f64],
    grid: &TimeGrid,
) -> Vec<Vec<f64>> {
    let mut states = vec![start.to_vec()];
    let tensor = exact(start, [start.len(), 1]);
    integrate(process, solver, tensor, grid, &mut Silent, |step| {
        states.push(values(step.state));
    })
    .unwrap();
    states
}

fn end<P: Process>(
    process: &P,
    solver: &impl Solver<P, 2>,
    start: &[f64],
    grid: &TimeGrid,
) -> Vec<f64> {
    let start = exact(start, [start.len(), 1]);
    values(&integrate(process, solver, start, grid, &mut Silent, |_| ()).unwrap())
}

type Run = Box<dyn Fn(&[f64], &TimeGrid, &Flow) -> Vec<f64>>;

struct Row {
    name: &'static str,
    /// Order from a start with far more noise than data.
    far: f64,
    /// Order from a start with as much noise as data.
    near: f64,
    /// Evaluations in a run of five steps, the last of which ends without noise.
    five: usize,
    run: Run,
}

fn row<S: Solver<Flow, 2> + 'static>(
    name: &'static str,
    solver: S,
    order: f64,
    five: usize,
) -> Row {
    Row {
        name,
        far: order,
        near: order,
        five,
        run: Box::new(move |start, grid, process| end(process, &solver, start, grid)),
    }
}

fn rows() -> Vec<Row> {
    vec![
        row("DPM-Solver-2", DpmSolver2, 2.0, 9),
        row("DPM-Solver++(2S)", DpmSolverPp2S, 2.0, 9),
        row("DPM-Solver++(2M)", DpmSolverPp2M, 2.0, 5),
        row("UniPC-1", unipc(1), 2.0, 5),
        row("UniPC-2", unipc(2), 3.0, 5),
        Row {
            near: 3.0,
            ..row("UniPC-3", unipc(3), 4.0, 5)
        },
        row("AB1", adams(1), 1.0, 5),
        row("AB2", adams(2), 2.0, 5),
        row("AB3", adams(3), 3.0, 7),
        row("AB4", adams(4), 4.0, 9),
        row("RK4", Rk4, 4.0, 17),
    ]
}

/// `int_0^u p_sigma`, which the flow conserves, by Simpson's rule.
fn mass(u: f64, sigma: f64) -> f64 {
    const PANELS: usize = 2000;
    let bell = |y: f64| (-0.5 * (y / sigma).powi(2)).exp();
    let density =
        |y: f64| 0.5 * (bell(y - 1.0) + bell(y + 1.0)) / (sigma * std::f64::consts::TAU.sqrt());
    let width = u / PANELS as f64;
    let weight = |k: usize| match k {
        0 | PANELS => 1.0,
        k if k % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum = |k: usize| weight(k) * density(k as f64 * width);
    (0..=PANELS).map(sum).sum::<f64>() * width / 3.0
}

/// Where the exact flow takes `u` from level `from` to level `to`.
fn transported(u: f64, from: f64, to: f64) -> f64 {
    let target = mass(u, from);
    let (mut low, mut high) = (-2.0 - from, 2.0 + from);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if mass(middle, to) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Observed order between `fewest` steps and eight times as many, and the last error.
fn observed(
    run: &Run,
    schedule: &Arc<dyn Schedule>,
    (from, to): (f64, f64),
    fewest: usize,
) -> (f64, f64) {
    let shares = [-0.6, 0.15, 0.4, 0.9];
    let (s_from, s_to) = (
        schedule.scale(schedule.time_at(from)),
        schedule.scale(schedule.time_at(to)),
    );
    let starts = shares.map(|share| s_from * share * from);
    let expected = shares.map(|share| s_to * transported(share * from, from, to));
    let error = |steps: usize| {
        // Uneven in time, in sigma and in lambda.
        let grid = TimeGrid::karras(schedule.as_ref(), from, to, 3.0, steps).unwrap();
        let got = run(&starts, &grid, &flow(schedule.clone()));
        got.iter()
            .zip(expected)
            .map(|(got, expected)| got - expected)
            .fold(0.0, f64::hypot)
    };
    let errors = [1, 2, 4, 8].map(|times| error(times * fewest));
    // Least-squares slope over equal steps of log 2.
    let logs = errors.map(f64::log2);
    let slope = (3.0 * (logs[0] - logs[3]) + (logs[1] - logs[2])) / 10.0;
    (slope, errors[3])
}

#[test]
fn orders_hold_on_a_nonlinear_flow() {
    let exploding: Arc<dyn Schedule> = Arc::new(Karras::new(80.0).unwrap());
    for (schedule_name, schedule) in [("karras", exploding), ("preserving", preserving())] {
        for row in rows() {
            // Few enough steps that rounding does not rule.
            let cases = [((20.0, 0.8), 128, row.far), ((1.2, 0.6), 64, row.near)];
            for (levels, fewest, expected) in cases {
                let (order, error) = observed(&row.run, &schedule, levels, fewest);
                assert!(
                    (order - expected).abs() < 0.2,
                    "{} on {schedule_name} over {levels:?}: order {order:.2}, expected {expected}, \
                     last error {error:e}",
                    row.name
                );
            }
        }
    }
}

#[test]
fn a_run_from_a_wrong_start_has_no_order() {
    // Control: a thousandth is enough to be told from the exact flow.
    let schedule: Arc<dyn Schedule> = Arc::new(Karras::new(80.0).unwrap());
    let run: Run = Box::new(|start, grid, process| {
        let scaled: Vec<f64> = start.iter().map(|x| 1.001 * x).collect();
        end(process, &adams(4), &scaled, grid)
    });
    let (order, error) = observed(&run, &schedule, (20.0, 0.8), 128);
    assert!(order.abs() < 0.2 && error > 1e-5, "{order} {error}");
}

/// Uneven in every variable.
const TIMES: [f64; 7] = [0.9, 0.7, 0.62, 0.3, 0.25, 0.17, 0.1];
const START: f64 = 0.31;

#[test]
fn steps_are_those_of_the_papers() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let process = flow(preserving());
    let grid = TimeGrid::new(TIMES.to_vec()).unwrap();
    let run = |row: &Row| (row.run)(&[START], &grid, &process)[0];
    let formulas = references::all();
    let expected: Vec<f64> = formulas
        .iter()
        .map(|(_, formula): &(&str, Formula)| formula(&schedule, &TIMES, START))
        .collect();
    for ((name, _), expected) in formulas.iter().zip(&expected) {
        if let Some(row) = rows().iter().find(|row| row.name == *name) {
            // A few dozen operations on numbers of order one, amplified by slopes of the denoiser up to 1/sigma^2 = 9.
            assert_close(name, &[run(row)], &[*expected], 1e-12);
        }
    }
    let covered = rows()
        .iter()
        .filter(|row| formulas.iter().any(|f| f.0 == row.name))
        .count();
    assert_eq!(
        covered, 8,
        "each method in sigma or lambda has its formula here"
    );
    // Controls: no two formulas agree, those of even steps among them.
    for (index, a) in expected.iter().enumerate() {
        for b in &expected[..index] {
            assert!((a - b).abs() > 1e-6, "{expected:?}");
        }
    }
}

type Function = fn(f64) -> f64;

/// `D = u - sigma q(sigma)`: the slope of the flow is `q`.
struct Slope(Function);

impl Denoiser<2> for Slope {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        noisy.add_scalar(-sigma * (self.0)(sigma))
    }
}

/// A polynomial of degree `k - 1` and its integral, for `k` from 1 to 5.
const POLYNOMIALS: [(Function, Function); 5] = [
    (|_| 1.5, |y| 1.5 * y),
    (|y| 1.0 - 2.0 * y, |y| y - y.powi(2)),
    (
        |y| 0.3 * y.powi(2) - y,
        |y| 0.1 * y.powi(3) - 0.5 * y.powi(2),
    ),
    (
        |y| y.powi(3) - y.powi(2),
        |y| 0.25 * y.powi(4) - y.powi(3) / 3.0,
    ),
    (|y| y.powi(4), |y| 0.2 * y.powi(5)),
];

#[test]
fn adams_bashforth_integrates_polynomials_down_to_no_noise() {
    let grid = TimeGrid::new(vec![2.0, 1.7, 1.1, 0.9, 0.4, 0.3, 0.0]).unwrap();
    let largest_error = |order: usize, degree: usize| {
        let (slope, integral) = POLYNOMIALS[degree];
        let process = Reverse::flow(Karras::new(2.0).unwrap(), Slope(slope));
        let states = states(&process, &adams(order), &[0.4], &grid);
        // The memory is full after order - 1 steps; the steps themselves do not depend on the state.
        states
            .windows(2)
            .zip(grid.spans())
            .skip(order - 1)
            .map(|(pair, span)| pair[1][0] - pair[0][0] - integral(span.to) + integral(span.from))
            .fold(0.0, |worst: f64, error| worst.max(error.abs()))
    };
    for order in 1..=4 {
        for degree in 0..order {
            let error = largest_error(order, degree);
            assert!(error < 1e-13, "order {order}, degree {degree}: {error:e}");
        }
        let error = largest_error(order, order);
        assert!(error > 1e-3, "order {order}, degree {order}: {error:e}");
    }
}

#[test]
fn adams_bashforth_of_order_one_is_ddim() {
    let grid = TimeGrid::new(TIMES.to_vec()).unwrap();
    let ddim = end(
        &flow(preserving()),
        &Ddim::new(0.0).unwrap(),
        &[START],
        &grid,
    );
    let adams = end(&flow(preserving()), &adams(1), &[START], &grid);
    assert_close("AB1", &adams, &ddim, 1e-14);
}

#[test]
fn a_step_to_no_noise_returns_the_denoised_image() {
    let grid = TimeGrid::new(vec![0.9, 0.6, 0.5, 0.3, 0.2, 0.0]).unwrap();
    let start = [START, -0.8];
    let closed = |name: &str, states: Vec<Vec<f64>>| {
        let sigma = preserving().sigma(0.2);
        let unscaled = exact(&states[4], [2, 1]).div_scalar(preserving().scale(0.2));
        let clean = values(&TwoPoints.denoise(unscaled, sigma));
        assert_close(name, &states[5], &clean, 1e-14);
    };
    let process = flow(preserving());
    closed("2", states(&process, &DpmSolver2, &start, &grid));
    closed("2S", states(&process, &DpmSolverPp2S, &start, &grid));
    closed("2M", states(&process, &DpmSolverPp2M, &start, &grid));
    closed("UniPC", states(&process, &unipc(3), &start, &grid));
    for row in rows() {
        let process = flow(preserving());
        let end = (row.run)(&start, &grid, &process);
        assert!(end.iter().all(|x| x.is_finite()), "{}: {end:?}", row.name);
        assert_eq!(process.prior().evaluations(), row.five, "{}", row.name);
    }
}

fn run_ode(drift: impl Fn(Tensor<2>, f64) -> Tensor<2>, diffusion: f64) -> f64 {
    let process = General::new(1.0, drift, move |_| diffusion).unwrap();
    let grid = TimeGrid::new(vec![1.0, 0.3]).unwrap();
    end(&process, &Rk4, &[0.9], &grid)[0]
}

#[test]
fn runge_kutta_is_exact_to_the_fourth_order() {
    // Its step on dx = x dt is the exponential series up to the fourth power, on dx = t^3 dt it is Simpson's rule.
    let h: f64 = -0.7;
    let series = 1.0 + h + h.powi(2) / 2.0 + h.powi(3) / 6.0 + h.powi(4) / 24.0;
    assert_close("series", &[run_ode(|x, _| x, 0.0)], &[0.9 * series], 1e-15);
    assert!((0.9 * (series - h.exp())).abs() > 1e-4);

    let power = |n: i32| run_ode(move |x, t| x.zeros_like().add_scalar(t.powi(n)), 0.0) - 0.9;
    assert_close("cube", &[power(3)], &[(0.3_f64.powi(4) - 1.0) / 4.0], 1e-15);
    assert!((power(4) - (0.3_f64.powi(5) - 1.0) / 5.0).abs() > 1e-4);
}

#[test]
fn runge_kutta_takes_the_step_of_heun_where_there_is_no_score() {
    let grid = TimeGrid::new(vec![0.1, 0.0]).unwrap();
    let process = flow(preserving());
    let (rk4, heun) = (
        end(&process, &Rk4, &[START], &grid),
        end(&process, &Heun, &[START], &grid),
    );
    assert_eq!(rk4, heun);
}

#[test]
#[should_panic(expected = "solves equations without noise, found diffusion 0.5 at time 1")]
fn runge_kutta_refuses_noise() {
    run_ode(|x, _| x, 0.5);
}

#[test]
fn orders_out_of_range_are_refused() {
    for order in [0, 5] {
        let error = AdamsBashforth::new(order).unwrap_err();
        let expected = SolveError::Parameter {
            name: "order",
            expected: "1, 2, 3 or 4",
            found: order as f64,
        };
        assert_eq!(error, expected);
    }
    let error = UniPc::new(4).unwrap_err();
    assert_eq!(error.to_string(), "order must be 1, 2 or 3, found 4");
    assert!(UniPc::new(0).is_err());
}
