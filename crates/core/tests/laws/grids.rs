//! Time grids.

use tweedie_core::{GridError, Schedule, TimeGrid, VarianceExploding, VariancePreserving};

#[test]
fn uniform_grid_has_exact_ends() {
    let grid = TimeGrid::uniform(0.97, 0.003, 7).unwrap();
    assert_eq!((grid.start(), grid.end(), grid.steps()), (0.97, 0.003, 7));
    for span in grid.spans() {
        assert!((span.step() + (0.97 - 0.003) / 7.0).abs() < 1e-15);
    }
}

#[test]
fn karras_grid_follows_the_published_levels() {
    // Karras et al. 2022, eq. (5): sigma_i = (max^(1/7) + i/(N-1) (min^(1/7) - max^(1/7)))^7.
    let schedule = VarianceExploding::new(0.002, 80.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 17).unwrap();
    for (i, &t) in grid.times().iter().enumerate() {
        let (high, low) = (80f64.powf(1.0 / 7.0), 0.002f64.powf(1.0 / 7.0));
        let level = (high + i as f64 / 17.0 * (low - high)).powi(7);
        assert!((schedule.sigma(t) / level - 1.0).abs() < 1e-11, "{i}");
    }
}

#[test]
fn closing_step_is_added_once() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 5)
        .unwrap()
        .then_zero();
    assert_eq!((grid.steps(), grid.end()), (6, 0.0));
    assert_eq!(grid.clone().then_zero(), grid);
}

#[test]
fn bad_grids_are_refused() {
    assert_eq!(
        TimeGrid::new(vec![1.0]),
        Err(GridError::TooShort { times: 1 })
    );
    assert_eq!(
        TimeGrid::new(vec![1.0, 0.5, 0.5]),
        Err(GridError::NotDecreasing {
            index: 2,
            earlier: 0.5,
            later: 0.5
        })
    );
    assert_eq!(
        TimeGrid::new(vec![1.0, -0.5]),
        Err(GridError::OutOfRange {
            index: 1,
            found: -0.5
        })
    );
    assert!(matches!(
        TimeGrid::new(vec![f64::NAN, 0.5]),
        Err(GridError::OutOfRange { index: 0, .. })
    ));
    assert!(TimeGrid::uniform(1.0, 0.0, 0).is_err());
    assert!(TimeGrid::uniform(0.0, 1.0, 3).is_err());
    let schedule = VarianceExploding::new(0.1, 10.0).unwrap();
    assert_eq!(
        TimeGrid::karras(&schedule, 10.0, 0.1, 0.0, 3),
        Err(GridError::Rho { found: 0.0 })
    );
    // Below the schedule's least noise level there is no time.
    assert!(TimeGrid::karras(&schedule, 10.0, 0.01, 7.0, 3).is_err());
}
