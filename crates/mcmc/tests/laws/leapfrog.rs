//! Trajectories of the leapfrog: they can be walked back, keep volume, and have an energy error of second order.

use burn::tensor::Tensor;
use nalgebra::DMatrix;
use tweedie_fidelity::{DataFidelity, Gradient};
use tweedie_mcmc::{
    ChainError, ChainState, DiagonalPreconditioner, Hmc, Mala, MarkovKernel, Preconditioner,
    StepSize,
};
use tweedie_testkit::{assert_close, exact, values};

use crate::skewed::{Skewed, rng};
use crate::support::{Quadratic, Replay};

fn hmc(step_size: f64, steps: usize) -> Hmc<Skewed, DiagonalPreconditioner<2>> {
    let diagonal = DiagonalPreconditioner::new(exact(&[0.5, 2.0], [1, 2])).unwrap();
    let step = StepSize::new(step_size, None).unwrap();
    Hmc::preconditioned(Skewed, diagonal, step, steps).unwrap()
}

fn start(rows: usize) -> (Tensor<2>, Tensor<2>) {
    let mut rng = rng(90);
    (rng.normal([rows, 2]).mul_scalar(0.5), rng.normal([rows, 2]))
}

#[test]
fn a_trajectory_can_be_walked_back() {
    let kernel = hmc(0.3, 7);
    let (x, v) = start(20);
    let (there, momentum) = kernel.trajectory(x.clone(), v.clone());
    let (back, turned) = kernel.trajectory(there.clone(), momentum.clone().neg());
    assert_close("position", &values(&back), &values(&x), 1e-11);
    assert_close("momentum", &values(&turned), &values(&v.neg()), 1e-11);
    // Negative control: without turning round it goes on.
    let (onwards, _) = kernel.trajectory(there, momentum);
    assert!((onwards - x).abs().max().into_scalar::<f64>() > 0.1);
}

/// The determinant of the derivative of a map of four numbers, by central differences.
fn volume(map: impl Fn(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>)) -> f64 {
    let width = 1e-5;
    let at = [0.3, -0.4, 0.8, 1.1];
    let moved = |sign: f64| {
        let rows = (0..4).map(|row| {
            let mut point = at;
            point[row] += sign * width;
            point
        });
        let points: Vec<f64> = rows.flatten().collect();
        let points = exact(&points, [4, 4]);
        let (x, v) = map(points.clone().narrow(1, 0, 2), points.narrow(1, 2, 2));
        values(&Tensor::cat(vec![x, v], 1))
    };
    let (above, below) = (moved(1.0), moved(-1.0));
    let slopes: Vec<f64> = above
        .iter()
        .zip(&below)
        .map(|(a, b)| (a - b) / (2.0 * width))
        .collect();
    DMatrix::from_row_slice(4, 4, &slopes).determinant()
}

#[test]
fn a_trajectory_keeps_volume() {
    let kernel = hmc(0.3, 5);
    // Third derivatives of order 10^2, times the squared width of the difference.
    assert_close(
        "volume",
        &[volume(|x, v| kernel.trajectory(x, v))],
        &[1.0],
        1e-7,
    );
    let euler = volume(|x, v| (x.clone() + v.clone() * 0.3, v - Skewed.grad(x) * 0.3));
    assert!((euler - 1.0).abs() > 0.05, "Euler's step: {euler}");
}

#[test]
fn the_energy_error_is_of_second_order() {
    let (x, v) = start(40);
    let error = |step_size: f64, steps: usize| {
        let kernel = hmc(step_size, steps);
        let state = kernel.init(x.clone());
        let mut noise = Replay(vec![values(&v), vec![0.0; 2 * 40]].into_iter());
        let (_, info) = kernel.step(state, &mut noise);
        values(&info.acceptance.unwrap())
            .into_iter()
            .map(|a| -a.ln())
    };
    let pairs: Vec<_> = error(0.04, 10)
        .zip(error(0.02, 20))
        .filter(|(a, b)| *a > 0.0 && *b > 0.0)
        .collect();
    assert!(
        pairs.len() >= 10,
        "{} trajectories gained energy",
        pairs.len()
    );
    let (long, short) = pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
    let order = (long / short).log2();
    assert!((order - 2.0).abs() < 0.2, "order {order}");
}

#[test]
fn one_step_is_that_of_mala() {
    let step_size = 0.3;
    let (hmc, mala) = (
        Hmc::new(Skewed, (2.0f64 * step_size).sqrt(), 1).unwrap(),
        Mala::new(Skewed, step_size).unwrap(),
    );
    let (x, _) = start(50);
    let (one, of_hmc) = hmc.step(hmc.init(x.clone()), &mut rng(91));
    let (other, of_mala) = mala.step(mala.init(x.clone()), &mut rng(91));
    assert_eq!(values(one.position()), values(other.position()));
    let (of_hmc, of_mala) = (of_hmc.acceptance.unwrap(), of_mala.acceptance.unwrap());
    assert_eq!(values(&of_hmc), values(&of_mala));
    // The proposal written out, where it was taken.
    let noise = rng(91).normal([50, 2]);
    let written = x.clone() - Skewed.grad(x.clone()) * step_size + noise * (2.0 * step_size).sqrt();
    let (written, moved, x) = (values(&written), values(one.position()), values(&x));
    let taken: Vec<_> = (0..100).filter(|i| moved[*i] != x[*i]).collect();
    assert!(taken.len() > 20);
    assert!(
        taken
            .iter()
            .all(|i| (moved[*i] - written[*i]).abs() < 1e-13)
    );
}

#[test]
fn the_energy_told_is_that_of_the_new_position() {
    let kernel = hmc(0.4, 3);
    let (state, info) = kernel.step(kernel.init(start(50).0), &mut rng(92));
    let expected = values(&Skewed.value(state.position().clone()));
    assert_eq!(values(&info.energy.unwrap()), expected);
}

#[test]
fn the_bounds_are_those_of_the_linear_theory() {
    let curvature = 4.0;
    let target = || Quadratic::pixel(0.0, curvature);
    // How far the trajectories from 0 with momentum 1 come.
    let reach = |step_size: f64| {
        let points = (1..=200).map(|steps| {
            let kernel = Hmc::new(target(), step_size, steps).unwrap();
            let (x, _) = kernel.trajectory(exact(&[0.0], [1, 1]), exact(&[1.0], [1, 1]));
            values(&x)[0].abs()
        });
        points.fold(0.0, f64::max)
    };
    let limit = 2.0 / f64::sqrt(curvature);
    assert!(reach(0.99 * limit) < 10.0 && reach(1.01 * limit) > 1e3);
    let kernel = Hmc::at_bound(target(), 3).unwrap();
    let bound = MarkovKernel::<2>::step_size(&kernel).unwrap();
    assert_close("bound", &[bound.value], &[(2.0 / curvature).sqrt()], 1e-15);
    assert!(!bound.exceeds_bound());
    assert_close(
        "square",
        &[reach(bound.value).powi(2)],
        &[2.0 / curvature],
        1e-12,
    );
    let mala = Mala::at_bound(target()).unwrap();
    let bound = MarkovKernel::<2>::step_size(&mala).unwrap();
    assert_eq!((bound.value, bound.bound), (0.25, Some(0.25)));
}

#[test]
fn settings_that_are_none_are_refused() {
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let out_of_range = |error| {
            matches!(
                error,
                ChainError::OutOfRange {
                    name: "step_size",
                    ..
                }
            )
        };
        assert!(out_of_range(Mala::new(Skewed, step).unwrap_err()));
        assert!(out_of_range(Hmc::new(Skewed, step, 1).unwrap_err()));
        let unchecked = StepSize {
            value: step,
            bound: None,
        };
        let identity = tweedie_mcmc::IdentityPreconditioner;
        assert!(out_of_range(
            Mala::preconditioned(Skewed, identity, unchecked).unwrap_err()
        ));
    }
    let error = Hmc::new(Skewed, 0.1, 0).unwrap_err();
    assert!(matches!(
        error,
        ChainError::OutOfRange { name: "steps", .. }
    ));
    assert!(matches!(Mala::at_bound(Skewed), Err(ChainError::NoBound)));
    assert!(matches!(Hmc::at_bound(Skewed, 1), Err(ChainError::NoBound)));
    assert!(Preconditioner::<2>::describe(&tweedie_mcmc::IdentityPreconditioner).starts_with("no"));
}
