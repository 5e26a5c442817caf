//! Projection and reflection: where steps end, and what laws they leave.

use burn::tensor::{DType, Tensor};
use nalgebra::{DMatrix, DVector};
use tweedie_core::Rng;
use tweedie_mcmc::{ChainError, ChainState, MarkovKernel, PixelBox, ProjectedUla, ReflectedUla};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::support::{Quadratic, Replay};

const LOW: f64 = -0.3;
const HIGH: f64 = 0.9;
const WIDTH: f64 = HIGH - LOW;

fn walls() -> PixelBox {
    PixelBox::new(LOW, HIGH).unwrap()
}

/// Where rows end after one step with the noise given.
fn step<K: MarkovKernel<2>>(kernel: &K, x: &[f64], normal: Vec<f64>) -> Vec<f64> {
    let rows = x.len();
    let mut noise = Replay(vec![normal].into_iter());
    let state = kernel.init(exact(x, [rows, 1]));
    values(kernel.step(state, &mut noise).0.position())
}

/// By walking from wall to wall.
fn bounce(mut x: f64) -> f64 {
    while !(LOW..=HIGH).contains(&x) {
        x = if x < LOW {
            2.0 * LOW - x
        } else {
            2.0 * HIGH - x
        };
    }
    x
}

#[test]
fn reflection_folds_steps_of_any_length() {
    let points: Vec<f64> = (-500..500).map(|k| f64::from(k) * 0.0137).collect();
    let x = exact(&points, [points.len(), 1]);
    let expected: Vec<f64> = points.iter().map(|x| bounce(*x)).collect();
    assert_close(
        "fold",
        &values(&walls().reflect(x.clone())),
        &expected,
        1e-13,
    );
    let clamped: Vec<f64> = points.iter().map(|x| x.clamp(LOW, HIGH)).collect();
    assert_eq!(values(&walls().project(x.clone())), clamped);
    // Without an upper wall.
    let half = PixelBox::new(LOW, f64::INFINITY).unwrap();
    let expected: Vec<f64> = points.iter().map(|x| LOW + (x - LOW).abs()).collect();
    assert_close("half", &values(&half.reflect(x.clone())), &expected, 1e-13);
    let expected: Vec<f64> = points.iter().map(|x| x.max(LOW)).collect();
    assert_eq!(values(&half.project(x)), expected);
}

#[test]
fn no_rounding_leaves_the_box() {
    let far = Rng::seeded(3, &device())
        .with_dtype(DType::F32)
        .normal([100_000, 1]);
    let inside = PixelBox::new(0.1, 0.7).unwrap();
    for x in [far.clone(), far.mul_scalar(1e4)] {
        for x in [inside.reflect(x.clone()), inside.project(x)] {
            let (low, high) = (values(&x.clone().min())[0], values(&x.max())[0]);
            assert!(
                low >= f64::from(0.1_f32) && high <= f64::from(0.7_f32),
                "{low}, {high}"
            );
        }
    }
}

/// A state that is no number stays one, for a run to find.
#[test]
fn walls_do_not_hide_divergence() {
    let lost: Tensor<2> = exact(&[f64::NAN, 0.0], [2, 1]);
    for x in [walls().reflect(lost.clone()), walls().project(lost)] {
        let found = values(&x);
        assert!(found[0].is_nan() && found[1].abs() < 1e-15, "{found:?}");
    }
}

/// Steps of `c` and `-c` from each point of a lattice end twice at each of its points, if `c` is a multiple of its
/// spacing: the uniform law is invariant for each size of the step, so for the normal law of them.
#[test]
fn reflected_steps_keep_the_uniform_law() {
    let count = 60_usize;
    let spacing = WIDTH / count as f64;
    let lattice: Vec<f64> = (0..count)
        .map(|i| LOW + (i as f64 + 0.5) * spacing)
        .collect();
    let start = lattice.repeat(2);
    let flat = || Quadratic::pixel(0.0, 0.0);
    let visits = |ends: &[f64]| {
        let mut visits = vec![0_usize; count];
        for x in ends {
            let cell = (x - LOW) / spacing - 0.5;
            assert!((cell - cell.round()).abs() < 1e-9, "{x} is off the lattice");
            visits[cell.round() as usize] += 1;
        }
        visits
    };
    // h = 1/2: the step is the normal number itself.
    let reflected = ReflectedUla::new(flat(), walls(), 0.5).unwrap();
    for shift in [1.0, 7.0, 30.0, 59.0, 60.0, 61.0, 337.0] {
        let signed = |sign: f64| vec![sign * shift * spacing; count];
        let ends = step(&reflected, &start, [signed(1.0), signed(-1.0)].concat());
        assert_eq!(visits(&ends), vec![2; count], "{shift}");
        // Negative control: one sign alone does not do.
        let ends = step(&reflected, &lattice, signed(1.0));
        assert_eq!(visits(&ends) == vec![1; count], shift == 60.0, "{shift}");
    }
    // Negative control: projection leaves as many on each wall as went out, here 30 of 120.
    let projected = ProjectedUla::new(flat(), walls(), 0.5).unwrap();
    let normals = [vec![30.0 * spacing; count], vec![-30.0 * spacing; count]].concat();
    let ends = step(&projected, &start, normals);
    let on = |wall: f64| ends.iter().filter(|x| **x == wall).count();
    assert_eq!((on(LOW), on(HIGH)), (30, 30));
}

/// `exp(-8 (x + 0.5)^2/2)` on the box: falling at both walls.
const CENTRE: f64 = -0.5;
const PRECISION: f64 = 8.0;

fn target() -> Quadratic {
    Quadratic::pixel(CENTRE, PRECISION)
}

/// Its mean, by the midpoint rule.
fn truncated_gaussian() -> f64 {
    let cells = 100_000;
    let at = |k: usize| LOW + WIDTH * (k as f64 + 0.5) / cells as f64;
    let density = |x: f64| (-0.5 * PRECISION * (x - CENTRE).powi(2)).exp();
    let total: f64 = (0..cells).map(|k| density(at(k))).sum();
    (0..cells).map(|k| at(k) * density(at(k))).sum::<f64>() / total
}

/// The stationary mean of a kernel of one pixel: its transitions on a grid that includes the walls, each end shared by
/// the two grid points around it, the noise by the trapezoidal rule.
fn stationary_mean<K: MarkovKernel<2>>(kernel: &K) -> f64 {
    const CELLS: usize = 240;
    const NODES: i32 = 96;
    let spacing = WIDTH / CELLS as f64;
    let grid: Vec<f64> = (0..=CELLS).map(|i| LOW + i as f64 * spacing).collect();
    let normals: Vec<f64> = (-NODES..=NODES).map(|k| f64::from(k) / 16.0).collect();
    let weights: Vec<f64> = normals.iter().map(|z| (-0.5 * z * z).exp()).collect();
    let total: f64 = weights.iter().sum();
    let starts: Vec<f64> = grid.iter().flat_map(|x| vec![*x; normals.len()]).collect();
    let ends = step(kernel, &starts, normals.repeat(grid.len()));
    let mut transition = DMatrix::<f64>::zeros(grid.len(), grid.len());
    for (index, end) in ends.iter().enumerate() {
        let (from, node) = (index / normals.len(), index % normals.len());
        let place = ((end - LOW) / spacing).clamp(0.0, CELLS as f64);
        let cell = (place as usize).min(CELLS - 1);
        let share = place - cell as f64;
        let weight = weights[node] / total;
        transition[(cell, from)] += weight * (1.0 - share);
        transition[(cell + 1, from)] += weight * share;
    }
    // The law with unit sum that the transitions keep.
    let mut system = transition - DMatrix::identity(grid.len(), grid.len());
    system.row_mut(0).fill(1.0);
    let mut unit = DVector::zeros(grid.len());
    unit[0] = 1.0;
    let law = system.lu().solve(&unit).unwrap();
    law.iter().zip(&grid).map(|(p, x)| p * x).sum()
}

#[test]
fn reflection_has_a_bias_of_the_first_order_and_projection_of_half_of_it() {
    let exact = truncated_gaussian();
    let reflected = |h| stationary_mean(&ReflectedUla::new(target(), walls(), h).unwrap());
    let projected = |h| stationary_mean(&ProjectedUla::new(target(), walls(), h).unwrap());
    let order = |mean: &dyn Fn(f64) -> f64, h: f64| {
        let bias = |h: f64| (mean(h) - exact).abs();
        (bias(h) / bias(h / 4.0)).log2() / 2.0
    };
    let found = [order(&reflected, 0.008), order(&projected, 0.008)];
    assert_close("orders", &found, &[1.0, 0.5], 0.2);
    // At a step that both can take, reflection is nearer.
    assert!((reflected(0.008) - exact).abs() < 0.3 * (projected(0.008) - exact).abs());
}

#[test]
fn boxes_without_inside_are_refused() {
    for (low, high, name) in [
        (0.0, 0.0, "high"),
        (1.0, 0.0, "high"),
        (0.0, f64::NAN, "high"),
        (f64::NEG_INFINITY, 0.0, "low"),
        (f64::NAN, 0.0, "low"),
    ] {
        let error = PixelBox::new(low, high).unwrap_err();
        assert!(matches!(error, ChainError::OutOfRange { name: n, .. } if n == name));
    }
}
