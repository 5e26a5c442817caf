//! Order of convergence on one fixed Brownian path.

use std::sync::Arc;

use burn::tensor::DType;
use tweedie_core::{BrownianPath, Rng, Schedule, TimeGrid, VariancePreserving};
use tweedie_testkit::{device, exact, values};

use crate::support::{Member, PRIOR, process, registry};

const FINEST: usize = 8192;
const START: f64 = 0.9;
const END: f64 = 0.2;

/// The state at the end of the grid for each of `rows` paths, keyed by `seed`.
fn end(member: &Member, seed: u64, rows: usize, steps: usize) -> Vec<f64> {
    let schedule: Arc<dyn Schedule> = Arc::new(VariancePreserving::new(0.1, 20.0).unwrap());
    let process = process(PRIOR, &schedule, member.alpha);
    let grid = TimeGrid::uniform(START, END, steps).unwrap();
    let starts: Vec<f64> = (0..rows).map(|row| row as f64 / 4.0 - 1.0).collect();
    let rng = Rng::seeded(seed, &device()).with_dtype(DType::F64);
    let mut path = BrownianPath::new(&rng, START, END, (START - END) / FINEST as f64).unwrap();
    values(&(member.run)(
        &process,
        exact(&starts, [rows, 1]),
        &grid,
        &mut path,
    ))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn halving_the_grid_on_a_fixed_path_converges_at_the_strong_order() {
    for member in registry() {
        let Some(expected) = member.strong_order else {
            continue;
        };
        // Differences between successive grids, so that no other method is the reference.
        let runs: Vec<Vec<f64>> = [128, 256, 512, 1024, 2048]
            .map(|steps| end(&member, 12, 64, steps))
            .into();
        let falls: Vec<f64> = runs
            .windows(2)
            .map(|pair| distance(&pair[0], &pair[1]))
            .collect();
        let order = (falls[0] / falls[3]).log2() / 3.0;
        assert!(
            (order - expected).abs() < 0.2,
            "{}: strong order {order:.2}, expected {expected}: {falls:?}",
            member.name
        );
    }
}

#[test]
fn methods_for_one_equation_meet_on_one_path() {
    // Differences alone would forgive a method that converges to another equation's solution.
    let full: Vec<Member> = registry()
        .into_iter()
        .filter(|member| member.alpha == 1.0 && member.strong_order.is_some())
        .collect();
    let reference = end(&full[0], 12, 16, FINEST);
    for member in &full {
        let gap = distance(&end(member, 12, 16, 1024), &reference);
        assert!(gap < 0.02, "{}: {gap}", member.name);
    }
    // Negative control: the same equation on other paths.
    assert!(distance(&end(&full[0], 13, 16, 1024), &reference) > 0.5);
}
