//! Time grids.

use std::sync::Arc;

use tweedie_core::{
    Cosine, Custom, DdpmTable, FlowMatching, FromCoefficients, GridError, Karras, Scaled, Schedule,
    Sigmoid, Spacing, SubVariancePreserving, TimeGrid, VarianceExploding, VariancePreserving,
};

#[test]
fn uniform_grid_has_exact_ends() {
    let grid = TimeGrid::uniform(0.97, 0.003, 7).unwrap();
    assert_eq!((grid.start(), grid.end(), grid.steps()), (0.97, 0.003, 7));
    for span in grid.spans() {
        assert!((span.step() + (0.97 - 0.003) / 7.0).abs() < 1e-15);
    }
}

#[test]
fn quadratic_grid_has_exact_ends_and_equal_steps_of_the_root() {
    let grid = TimeGrid::quadratic(0.97, 0.003, 7).unwrap();
    assert_eq!((grid.start(), grid.end(), grid.steps()), (0.97, 0.003, 7));
    for span in grid.spans() {
        let step = span.from.sqrt() - span.to.sqrt();
        assert!((step - (0.97f64.sqrt() - 0.003f64.sqrt()) / 7.0).abs() < 1e-15);
    }
    // By hand: (k/4)^2.
    let grid = TimeGrid::quadratic(1.0, 0.0, 4).unwrap();
    assert_eq!(grid.times(), [1.0, 0.5625, 0.25, 0.0625, 0.0]);
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
fn log_snr_grid_has_equal_steps_of_the_log_level() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::log_snr(&schedule, 80.0, 0.01, 9).unwrap();
    assert_eq!(grid.steps(), 9);
    for span in grid.spans() {
        let step = (schedule.sigma(span.from) / schedule.sigma(span.to)).ln();
        assert!((step - 8000f64.ln() / 9.0).abs() < 1e-10, "{step}");
    }
    // Where the logarithm of the level is linear in time, that is the uniform grid.
    let exploding = VarianceExploding::new(0.01, 50.0).unwrap();
    let grid = TimeGrid::log_snr(&exploding, 50.0, 0.01, 5).unwrap();
    for (t, expected) in grid.times().iter().zip([1.0, 0.8, 0.6, 0.4, 0.2, 0.0]) {
        assert!((t - expected).abs() < 1e-14, "{t} and {expected}");
    }
}

#[test]
fn table_grids_follow_the_published_states() {
    // Lin et al. 2023, table 2, for T = 1000 in 10 steps; noisiest first here.
    let published = [
        (
            Spacing::Leading,
            [901, 801, 701, 601, 501, 401, 301, 201, 101, 1],
        ),
        (
            Spacing::Trailing,
            [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100],
        ),
        (
            Spacing::Linspace,
            [1000, 889, 778, 667, 556, 445, 334, 223, 112, 1],
        ),
    ];
    for (spacing, states) in published {
        let grid = TimeGrid::table(1000, 10, spacing).unwrap();
        let expected: Vec<f64> = states
            .iter()
            .map(|&k| f64::from(k) / 1000.0)
            .chain([0.0])
            .collect();
        assert_eq!(grid.times(), expected, "{spacing:?}");
    }
}

#[test]
fn table_grids_round_and_fit() {
    let states = |table_steps: usize, steps, spacing| -> Vec<f64> {
        let grid = TimeGrid::table(table_steps, steps, spacing).unwrap();
        let times = grid.times()[..steps].iter();
        times.map(|t| (t * table_steps as f64).round()).collect()
    };
    // By hand for T = 10 in 4 steps: floor(10/4) = 2; multiples of 2.5, halves to even; 1 + 3 k.
    assert_eq!(states(10, 4, Spacing::Leading), [7.0, 5.0, 3.0, 1.0]);
    assert_eq!(states(10, 4, Spacing::Trailing), [10.0, 8.0, 5.0, 2.0]);
    assert_eq!(states(10, 4, Spacing::Linspace), [10.0, 7.0, 4.0, 1.0]);
    assert_eq!(states(1000, 1, Spacing::Trailing), [1000.0]);
    assert_eq!(states(1000, 1, Spacing::Leading), [1.0]);
    assert_eq!(states(1000, 1, Spacing::Linspace), [1.0]);
    for spacing in [Spacing::Leading, Spacing::Trailing, Spacing::Linspace] {
        for steps in 1..=97 {
            let grid = TimeGrid::table(97, steps, spacing).unwrap();
            assert_eq!((grid.steps(), grid.end()), (steps, 0.0));
            assert!(grid.start() <= 1.0);
        }
        let all: Vec<f64> = (1..=97).rev().map(f64::from).collect();
        assert_eq!(states(97, 97, spacing), all, "{spacing:?}");
    }
    // The times are the table's own, to the bit.
    let table = DdpmTable::linear(1000, 1e-4, 0.02).unwrap();
    let grid = TimeGrid::table(1000, 7, Spacing::Trailing).unwrap();
    assert_eq!(grid.times()[3], table.time_of(571));
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

/// Schedules that reach their greatest level in each way: closed form, root finding, other pixels, before a singularity.
fn ends() -> Vec<(Arc<dyn Schedule>, f64)> {
    let ornstein = FromCoefficients::new(3.0, |_| -1.0, |_| 2.0).unwrap();
    let line = Custom::new(0.7, |_| (1.0, 0.0), |t| (0.1 + 3.0 * t, 3.0)).unwrap();
    let exploding = VarianceExploding::new(0.03, 70.0).unwrap();
    vec![
        (Arc::new(VarianceExploding::new(0.1, 10.0).unwrap()), 10.0),
        (Arc::new(Scaled::new(exploding, 0.3)), 21.0),
        (Arc::new(Cosine::new(0.008, 1000.0).unwrap()), 1000.0),
        (
            Arc::new(Sigmoid::new(-3.0, 3.0, 0.9, 1000.0).unwrap()),
            1000.0,
        ),
        (Arc::new(FlowMatching::new(123.4).unwrap()), 123.4),
        (Arc::new(Karras::new(80.0).unwrap()), 80.0),
        (
            Arc::new(DdpmTable::linear(1000, 1e-4, 0.02).unwrap()),
            f64::NAN,
        ),
        (
            Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
            f64::NAN,
        ),
        (
            Arc::new(SubVariancePreserving::new(0.1, 20.0).unwrap()),
            f64::NAN,
        ),
        (Arc::new(ornstein), f64::NAN),
        (Arc::new(line), 2.2),
    ]
}

#[test]
fn grids_from_the_greatest_level_are_within() {
    for (index, (schedule, level)) in ends().into_iter().enumerate() {
        let horizon = schedule.horizon();
        let least = schedule.sigma(0.0).max(0.01);
        for highest in [level, schedule.sigma(horizon)] {
            if highest.is_nan() {
                continue;
            }
            for grid in [
                TimeGrid::karras(&schedule, highest, schedule.sigma(0.0), 7.0, 8),
                TimeGrid::log_snr(&schedule, highest, least, 8),
            ] {
                let grid = grid.unwrap_or_else(|error| panic!("{index}: {error}"));
                assert!((grid.start() - horizon).abs() <= 1e-12 * horizon, "{index}");
                assert!(grid.start() <= horizon, "{index}");
                assert!(grid.within(&schedule).is_ok(), "{index}");
            }
            // A part in 1e6 above is above.
            let error = TimeGrid::log_snr(&schedule, highest * (1.0 + 1e-6), least, 8);
            assert_eq!(
                error,
                Err(GridError::Level {
                    name: "sigma_max",
                    lowest: schedule.sigma(0.0),
                    highest: schedule.sigma(horizon),
                    found: highest * (1.0 + 1e-6)
                }),
                "{index}"
            );
        }
    }
}

#[test]
fn grids_beyond_the_horizon_are_refused() {
    let schedule = FlowMatching::until(0.9).unwrap();
    let grid = |start: f64| TimeGrid::uniform(start, 0.0, 3).unwrap().within(&schedule);
    assert_eq!(grid(0.9).unwrap().start(), 0.9);
    assert_eq!(grid(0.5).unwrap().start(), 0.5);
    assert_eq!(grid(0.9 + 1e-16).unwrap().start(), 0.9);
    assert_eq!(
        grid(0.901),
        Err(GridError::BeyondHorizon {
            time: 0.901,
            horizon: 0.9
        })
    );
    let message = grid(1.5).unwrap_err().to_string();
    assert!(
        message.contains("horizon 0.9") && message.contains("found 1.5"),
        "{message}"
    );
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
    for uneven in [TimeGrid::uniform, TimeGrid::quadratic] {
        assert_eq!(uneven(1.0, 0.0, 0), Err(GridError::TooShort { times: 1 }));
        assert_eq!(
            uneven(0.0, 1.0, 3),
            Err(GridError::NotDecreasing {
                index: 1,
                earlier: 0.0,
                later: 1.0
            })
        );
        assert_eq!(
            uneven(1.0, -0.5, 3),
            Err(GridError::OutOfRange {
                index: 1,
                found: -0.5
            })
        );
        assert!(uneven(f64::INFINITY, 0.0, 3).is_err());
    }
    for spacing in [Spacing::Leading, Spacing::Trailing, Spacing::Linspace] {
        assert_eq!(
            TimeGrid::table(10, 11, spacing),
            Err(GridError::TableTooShort {
                steps: 11,
                table_steps: 10
            })
        );
        assert_eq!(
            TimeGrid::table(10, 0, spacing),
            Err(GridError::TooShort { times: 1 })
        );
    }
}

#[test]
fn levels_out_of_range_are_named() {
    let schedule = VarianceExploding::new(0.1, 10.0).unwrap();
    let karras = |high, low, rho, steps| TimeGrid::karras(&schedule, high, low, rho, steps);
    let log_snr = |high, low| TimeGrid::log_snr(&schedule, high, low, 3);
    let level = |name, found| {
        Err(GridError::Level {
            name,
            lowest: schedule.sigma(0.0),
            highest: schedule.sigma(1.0),
            found,
        })
    };
    assert_eq!(
        karras(10.0, 0.1, 0.0, 3),
        Err(GridError::Rho { found: 0.0 })
    );
    assert_eq!(
        karras(10.0, 0.1, 7.0, 0),
        Err(GridError::TooShort { times: 1 })
    );
    assert_eq!(karras(10.0, 0.01, 7.0, 3), level("sigma_min", 0.01));
    assert_eq!(karras(11.0, 0.1, 7.0, 3), level("sigma_max", 11.0));
    assert_eq!(log_snr(10.0, 0.01), level("sigma_min", 0.01));
    assert_eq!(log_snr(11.0, 0.1), level("sigma_max", 11.0));
    assert_eq!(log_snr(5.0, -1.0), level("sigma_min", -1.0));
    assert!(log_snr(f64::NAN, 0.1).is_err());
    assert!(log_snr(f64::INFINITY, 0.1).is_err());
    assert_eq!(log_snr(5.0, 0.0), Err(GridError::ZeroLevel { found: 0.0 }));
    let reversed = Err(GridError::Reversed {
        sigma_min: 5.0,
        sigma_max: 1.0,
    });
    assert_eq!(log_snr(1.0, 5.0), reversed);
    assert_eq!(karras(1.0, 5.0, 7.0, 3), reversed);
    let message = log_snr(11.0, 0.1).unwrap_err().to_string();
    for word in ["sigma_max", "0.1", "10", "found 11"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    // A square hides a sign.
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    assert!(matches!(
        TimeGrid::karras(&preserving, 10.0, -0.5, 7.0, 3),
        Err(GridError::Level {
            name: "sigma_min",
            found: -0.5,
            ..
        })
    ));
}
