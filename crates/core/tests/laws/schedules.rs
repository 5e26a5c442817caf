//! Every schedule through every law, in double precision.

use std::{collections::BTreeMap, sync::Arc};

use rand::RngExt;
use serde::Deserialize;
use tweedie_core::{
    Cosine, DdpmTable, Scaled, Schedule, ScheduleConfig, ScheduleError, VarianceExploding,
    VariancePreserving, stream,
};
use tweedie_testkit::golden;

fn registry() -> Vec<(&'static str, Arc<dyn Schedule>)> {
    vec![
        (
            "exploding",
            Arc::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        ),
        (
            "preserving",
            Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
        ("cosine", Arc::new(Cosine::new(0.008, 1000.0).unwrap())),
        (
            "ddpm",
            Arc::new(DdpmTable::linear(1000, 1e-4, 0.02).unwrap()),
        ),
        (
            "ddpm, uneven",
            Arc::new(DdpmTable::new(&[0.3, 0.01, 0.5, 0.2]).unwrap()),
        ),
        (
            "preserving in half pixels",
            Arc::new(Scaled::new(
                VariancePreserving::new(0.1, 20.0).unwrap(),
                0.5,
            )),
        ),
    ]
}

/// Fourth-order central difference.
fn slope(f: impl Fn(f64) -> f64, t: f64, h: f64) -> f64 {
    (8.0 * (f(t + h) - f(t - h)) - (f(t + 2.0 * h) - f(t - 2.0 * h))) / (12.0 * h)
}

fn assert_relative(name: &str, got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() <= tolerance * expected.abs().max(1e-300),
        "{name}: got {got:e}, expected {expected:e}"
    );
}

/// Times spread over the unit interval, with their number.
fn times() -> impl Iterator<Item = f64> {
    let mut uniform = stream(1, 0);
    (0..2000).map(move |_| uniform.random::<f64>())
}

#[test]
fn rates_are_the_derivatives() {
    let h = 1e-5;
    for (name, schedule) in registry() {
        for t in times() {
            // Inside an interval of the discrete tables, where their rates are continuous, and away from the ends, where
            // higher derivatives diverge.
            let inside = (1000.0 * t).fract();
            if !(0.1..0.9).contains(&inside) || !(0.01..0.99 * schedule.horizon()).contains(&t) {
                continue;
            }
            let (scale_rate, sigma_rate) = schedule.rates(t);
            let scale_slope = slope(|t| schedule.scale(t), t, h);
            let sigma_slope = slope(|t| schedule.sigma(t), t, h);
            // Rounding of a difference quotient, 1.5 eps |f| / h, with ten-fold room for the error of f itself.
            let rounding = |value: f64| 15.0 * f64::EPSILON * value / h;
            assert!(
                (scale_rate - scale_slope).abs() <= rounding(1.0),
                "{name} at {t}: s' {scale_rate}, by differences {scale_slope}"
            );
            assert!(
                (sigma_rate - sigma_slope).abs() <= rounding(schedule.sigma(t)) + 1e-9 * sigma_rate,
                "{name} at {t}: sigma' {sigma_rate}, by differences {sigma_slope}"
            );
        }
    }
}

#[test]
fn time_inverts_sigma() {
    for (name, schedule) in registry() {
        for t in times().chain([0.0, 1.0]) {
            let t = t * schedule.horizon();
            let back = schedule.time_at(schedule.sigma(t));
            assert!((back - t).abs() <= 1e-12, "{name}: {t} became {back}");
        }
    }
}

#[test]
fn sigma_increases() {
    for (name, schedule) in registry() {
        let mut sorted: Vec<f64> = times().map(|t| t * schedule.horizon()).collect();
        sorted.sort_by(f64::total_cmp);
        for pair in sorted.windows(2) {
            assert!(
                schedule.sigma(pair[0]) < schedule.sigma(pair[1]),
                "{name} at {pair:?}"
            );
        }
    }
}

#[test]
fn drift_and_diffusion_follow_from_the_kernel() {
    for (name, schedule) in registry() {
        for t in times().map(|t| t.max(1e-3) * schedule.horizon()) {
            let (scale_rate, sigma_rate) = schedule.rates(t);
            let s = schedule.scale(t);
            let diffusion = 2.0 * s * s * schedule.sigma(t) * sigma_rate;
            assert_relative(name, schedule.diffusion_sq(t), diffusion, 1e-10);
            assert!(
                (schedule.drift_rate(t) - scale_rate / s).abs()
                    <= 1e-10 * (1.0 + schedule.drift_rate(t).abs()),
                "{name}"
            );
        }
    }
}

#[test]
fn data_are_unscaled_and_the_process_is_finite_there() {
    for (name, schedule) in registry() {
        assert_relative(name, schedule.scale(0.0), 1.0, 1e-15);
        assert!(schedule.diffusion_sq(0.0).is_finite(), "{name}");
        assert!(schedule.drift_rate(0.0).is_finite(), "{name}");
    }
}

#[test]
fn preserving_schedules_keep_unit_variance() {
    for (name, schedule) in registry().into_iter().take(5).skip(1) {
        for k in 0..=100 {
            let t = schedule.horizon() * f64::from(k) / 100.0;
            let variance = (schedule.scale(t) * schedule.sigma(t).hypot(1.0)).powi(2);
            assert_relative(name, variance, 1.0, 1e-12);
        }
    }
}

#[test]
fn cosine_ends_where_it_says() {
    let schedule = Cosine::new(0.008, 1000.0).unwrap();
    assert_relative("horizon", schedule.sigma(schedule.horizon()), 1000.0, 1e-9);
    assert!(schedule.horizon() < 1.0);
}

#[test]
fn table_matches_the_products_of_its_betas() {
    let betas: Vec<f64> = (0..1000)
        .map(|k| 1e-4 + (0.02 - 1e-4) * f64::from(k) / 999.0)
        .collect();
    let table = DdpmTable::linear(1000, 1e-4, 0.02).unwrap();
    let mut product = 1.0;
    for (k, beta) in betas.iter().enumerate() {
        product *= 1.0 - beta;
        assert_relative(
            "alpha bar",
            table.scale((k + 1) as f64 / 1000.0).powi(2),
            product,
            1e-12,
        );
    }
}

#[derive(Deserialize)]
struct Golden {
    t: Vec<f64>,
    sdes: BTreeMap<String, GoldenSde>,
}
#[derive(Deserialize)]
struct GoldenSde {
    scale: Vec<f64>,
    scale_prime: Vec<f64>,
    sigma: Vec<f64>,
    sigma_prime: Vec<f64>,
    f_over_x: Vec<f64>,
    g: Vec<f64>,
}

#[test]
fn reference_numbers() {
    let golden: Golden = golden(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/schedules.json"
    ));
    let ours: [(&str, Box<dyn Schedule>); 3] = [
        (
            "VE_defaults",
            Box::new(VarianceExploding::new(0.001, 80.0).unwrap()),
        ),
        (
            "VE_smin.02_smax100",
            Box::new(VarianceExploding::new(0.02, 100.0).unwrap()),
        ),
        (
            "VP_defaults",
            Box::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
    ];
    for (name, schedule) in ours {
        let expected = &golden.sdes[name];
        for (k, &t) in golden.t.iter().enumerate() {
            assert_relative(name, schedule.scale(t), expected.scale[k], 1e-10);
            assert_relative(name, schedule.rates(t).0, expected.scale_prime[k], 1e-10);
            assert_relative(name, schedule.sigma(t), expected.sigma[k], 1e-10);
            assert_relative(name, schedule.rates(t).1, expected.sigma_prime[k], 1e-10);
            assert_relative(name, schedule.drift_rate(t), expected.f_over_x[k], 1e-10);
            assert_relative(name, schedule.diffusion_sq(t).sqrt(), expected.g[k], 1e-10);
        }
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    assert!(VarianceExploding::new(0.0, 1.0).is_err());
    assert!(VarianceExploding::new(2.0, 1.0).is_err());
    assert!(VarianceExploding::new(f64::NAN, 1.0).is_err());
    assert!(VariancePreserving::new(-0.1, 20.0).is_err());
    assert!(VariancePreserving::new(20.0, 0.1).is_err());
    assert!(Cosine::new(-0.1, 100.0).is_err());
    assert!(Cosine::new(0.008, f64::INFINITY).is_err());
    assert_eq!(DdpmTable::new(&[]), Err(ScheduleError::EmptyTable));
    assert_eq!(
        DdpmTable::new(&[0.1, 1.0]),
        Err(ScheduleError::Beta {
            step: 1,
            found: 1.0
        })
    );
    let message = VarianceExploding::new(-1.0, 1.0).unwrap_err().to_string();
    assert!(
        message.contains("sigma_min") && message.contains("-1"),
        "{message}"
    );
}

#[test]
fn config_round_trips_and_refuses_unknown_fields() {
    let config = ScheduleConfig::DDPM;
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<ScheduleConfig>(&text).unwrap(),
        config
    );
    let unknown = r#"{"type":"cosine","offset":0.008,"sigma_max":100.0,"beta_max":1.0}"#;
    let error = serde_json::from_str::<ScheduleConfig>(unknown)
        .unwrap_err()
        .to_string();
    assert!(error.contains("beta_max"), "{error}");
}
