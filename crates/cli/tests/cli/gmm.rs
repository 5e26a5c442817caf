//! The mixtures of `reproduce gmm-posterior`.

#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/reproduce/gmm/problem.rs"]
mod problem;

use std::fs;

use serde_json::Value;
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{AnalyticPrior, Rng},
    physics::ForwardOperator,
};

use self::problem::Problem;
use crate::{
    bad_input::{USAGE, assert_refused},
    run::Place,
};

/// Standard deviations beyond which a figure is wrong: one run in ten thousand.
const BEYOND: f64 = 3.9;

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &Device::flex()).with_dtype(DType::F64)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_to_vec_as().unwrap()
}

/// Of an image of two pixels: both, their squares and their product.
fn monomials([a, b]: [f64; 2]) -> [f64; 5] {
    [a, b, a * a, b * b, a * b]
}

/// Means of the monomials and of their squares under the posterior, by the sum over a lattice.
fn by_quadrature(problem: &Problem) -> [[f64; 2]; 5] {
    // Sums of smooth peaks are exact to rounding where the step is below half of their width.
    let (reach, step) = (26.0, 0.125);
    let side = (2.0 * reach / step) as usize + 1;
    let place = |index: usize| -reach + step * index as f64;
    let points: Vec<[f64; 2]> = (0..side * side)
        .map(|index| [place(index / side), place(index % side)])
        .collect();
    let lattice = TensorData::new(points.concat(), [points.len(), 1, 1, 2]);
    let lattice = Tensor::<4>::from_data(lattice, (&Device::flex(), DType::F64));
    let misfits = numbers(problem.y.clone() - problem.operator.forward(lattice.clone()));
    let logs = numbers(problem.prior.log_density(lattice, 0.0));
    let density = logs
        .iter()
        .zip(misfits)
        .map(|(log, misfit)| (log - 0.5 * (misfit / problem.noise_std).powi(2)).exp());
    let mut sums = [[0.0; 2]; 5];
    let mut total = 0.0;
    for (density, point) in density.zip(points) {
        total += density;
        for (sums, value) in sums.iter_mut().zip(monomials(point)) {
            sums[0] += density * value;
            sums[1] += density * value * value;
        }
    }
    sums.map(|sums| sums.map(|sum| sum / total))
}

/// By how many standard errors the means of the monomials over the draws are off.
fn scores(problem: &Problem, draws: &[f64]) -> [f64; 5] {
    let count = draws.len() as f64 / 2.0;
    let mut sums = [0.0; 5];
    for draw in draws.chunks_exact(2) {
        for (sum, value) in sums.iter_mut().zip(monomials([draw[0], draw[1]])) {
            *sum += value / count;
        }
    }
    let laws = by_quadrature(problem).into_iter().zip(sums);
    let scores =
        laws.map(|([mean, square], sum)| (sum - mean) / ((square - mean * mean) / count).sqrt());
    scores.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn draws_of_the_posterior_have_its_moments() {
    // Less noise would be too fine for the lattice.
    let problems = (0..)
        .map(|seed| Problem::draw(2, 1, &mut rng(seed)).unwrap())
        .filter(|problem| problem.noise_std > 0.25);
    for problem in problems.take(3) {
        let draws = numbers(problem.exact(20_000, &mut rng(3)));
        let found = scores(&problem, &draws);
        assert!(found.iter().all(|z| z.abs() < BEYOND), "{found:?}");

        let prior = numbers(problem.prior.sample(20_000, &mut rng(4)));
        let found = scores(&problem, &prior);
        assert!(found.iter().any(|z| z.abs() > 3.0 * BEYOND), "{found:?}");
    }
}

#[test]
fn a_problem_is_the_same_in_any_unit() {
    let problem = Problem::draw(4, 2, &mut rng(0)).unwrap();
    let small = problem.in_unit(0.25).unwrap();
    assert!((small.pixel_variance / problem.pixel_variance - 0.0625).abs() < 1e-15);
    assert!((small.noise_std / problem.noise_std - 0.25).abs() < 1e-15);
    let draws = |problem: &Problem| problem.prior.sample(500, &mut rng(1));
    let (large, little) = (draws(&problem), draws(&small));
    let spread = numbers(large.clone().var(0).mean())[0];
    // 500 draws of five places per pixel.
    assert!(
        (spread / problem.pixel_variance - 1.0).abs() < 0.1,
        "{spread}, {}",
        problem.pixel_variance
    );
    let difference = numbers((large.clone() - little.mul_scalar(4.0)).abs().max())[0];
    assert!(difference < 1e-12, "{difference}");
    let seen = |problem: &Problem, x: Tensor<4>| problem.operator.forward(x) - problem.y.clone();
    let (large, little) = (
        seen(&problem, large.clone()),
        seen(&small, large.mul_scalar(0.25)),
    );
    let difference = numbers((large - little.mul_scalar(4.0)).abs().max())[0];
    assert!(difference < 1e-12, "{difference}");
}

fn rows(place: &Place, line: &str) -> Vec<Value> {
    place.succeed(&format!("reproduce gmm-posterior {line} --json rows.json"));
    serde_json::from_str(&fs::read_to_string(place.path("rows.json")).unwrap()).unwrap()
}

fn figure(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap()
}

#[test]
fn methods_are_told_from_the_posterior() {
    let place = Place::new();
    let size = "--dims 8 --measured 2,4 --seeds 3 --draws 400 --steps 20";
    let exact = rows(&place, &format!("{size} --method exact"));
    let ddrm = rows(&place, &format!("{size} --method DDRM"));
    assert_eq!((exact.len(), ddrm.len()), (2, 2));
    for ((exact, ddrm), dy) in exact.iter().zip(&ddrm).zip([2, 4]) {
        let keys: Vec<&String> = exact.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["d", "dy", "half_width", "method", "steps", "sw"]);
        assert_eq!((&exact["d"], &exact["dy"]), (&8.into(), &dy.into()));
        assert_eq!((&exact["steps"], &ddrm["steps"]), (&0.into(), &20.into()));
        // Two samples of n numbers of a law on a line are less than `sqrt(2/n)` of half its extent apart, on average:
        // `E W <= int sqrt(2 F (1 - F)/n) <= extent/2 sqrt(2/n)`; and images of 8 pixels are of length 2 * 18 sqrt(8).
        let most = 18.0 * 8f64.sqrt() * (2.0 / 400f64).sqrt();
        assert!(
            figure(exact, "sw") > 0.0 && figure(exact, "sw") < most,
            "{exact}"
        );
        assert!(
            figure(ddrm, "sw") > 1.5 * figure(exact, "sw"),
            "{exact}, {ddrm}"
        );
    }
}

#[test]
fn wrong_sizes_are_refused() {
    for (line, words) in [
        ("--dims 7", &["even", "7"][..]),
        ("--steps 50", &["20 or 100", "50"]),
        ("--seeds 1", &["1"]),
        ("--dims 2 --measured 4", &["4 of 2"]),
        ("--method magic", &["`magic`", "exact draws", "MCGDiff"]),
    ] {
        let done = Place::new().run(&format!("reproduce gmm-posterior {line}"));
        assert_refused(&done, USAGE, words);
    }
}
