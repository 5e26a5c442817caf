//! Schedules against published formulas and the numbers of another program.

use std::collections::BTreeMap;

use serde::Deserialize;
use tweedie_core::{
    Cosine, DdpmTable, FlowMatching, FromCoefficients, Karras, ScaledLinear, Schedule, Sigmoid,
    SubVariancePreserving, VarianceExploding, VariancePreserving,
};
use tweedie_testkit::golden;

use super::{assert_relative, linear_by_coefficients, parts, square_of_time};

#[test]
fn sub_preserving_has_the_published_variance_and_diffusion() {
    // Song et al. 2021, eqs. (12) and (29): variance (1 - exp(-B))^2, g^2 = beta (1 - exp(-2 B)).
    let schedule = SubVariancePreserving::new(0.1, 20.0).unwrap();
    for t in [0.01, 0.3, 0.7, 1.0] {
        let (beta, integral): (f64, f64) = (0.1 + 19.9 * t, 0.1 * t + 9.95 * t * t);
        let std = 1.0 - (-integral).exp();
        assert_relative("std", schedule.scale(t) * schedule.sigma(t), std, 1e-13);
        let diffusion = beta * (1.0 - (-2.0 * integral).exp());
        assert_relative("g^2", schedule.diffusion_sq(t), diffusion, 1e-13);
    }
}

#[test]
fn sigmoid_has_the_published_signal() {
    // Jabri et al. 2022: gamma(t), by the plain formula, whose differences cancel to about 1e-15.
    for (start, end, tau) in [(-3.0, 3.0, 0.9), (0.0, 3.0, 0.3), (-1.0, 0.0, 50.0)] {
        let schedule = Sigmoid::new(start, end, tau, 1000.0).unwrap();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x / tau).exp());
        let (first, last) = (sigmoid(start), sigmoid(end));
        for k in 0..=20 {
            let t = schedule.horizon() * f64::from(k) / 20.0;
            let gamma = (last - sigmoid(start + t * (end - start))) / (last - first);
            let error = schedule.scale(t).powi(2) - gamma;
            assert!(error.abs() < 1e-13 * tau.max(1.0), "{t}: {error:e}");
        }
    }
}

#[test]
fn horizons_lie_at_the_greatest_level() {
    let ends: [(Box<dyn Schedule>, f64); 5] = [
        (Box::new(Cosine::new(0.008, 1000.0).unwrap()), 1000.0),
        (
            Box::new(Sigmoid::new(-3.0, 3.0, 0.9, 1000.0).unwrap()),
            1000.0,
        ),
        (Box::new(FlowMatching::new(1000.0).unwrap()), 1000.0),
        (Box::new(FlowMatching::until(0.99).unwrap()), 99.0),
        (Box::new(Karras::new(80.0).unwrap()), 80.0),
    ];
    for (schedule, level) in ends {
        // An ulp of time is 1e-16/(1 - t) of the level, and 1 - t is above 1e-7 here.
        assert_relative("level", schedule.sigma(schedule.horizon()), level, 1e-9);
    }
}

/// Alpha bars by plain products.
fn products(betas: &[f64]) -> Vec<f64> {
    let product = |bar: &mut f64, beta: &f64| {
        *bar *= 1.0 - beta;
        Some(*bar)
    };
    betas.iter().scan(1.0, product).collect()
}

#[test]
fn tables_match_their_definitions() {
    let linspace = |from: f64, to: f64| -> Vec<f64> {
        (0..1000)
            .map(|k| from + (to - from) * f64::from(k) / 999.0)
            .collect()
    };
    let scaled: Vec<f64> = linspace(0.00085f64.sqrt(), 0.012f64.sqrt())
        .iter()
        .map(|root| root * root)
        .collect();
    // The differences 1 - f(k)/f(k-1) cancel: betas of 4e-5 are good to 1e-11.
    let bar = |t: f64| {
        (std::f64::consts::FRAC_PI_2 * (t + 0.008) / 1.008)
            .cos()
            .powi(2)
    };
    let cosine: Vec<f64> = (0..1000)
        .map(|k| f64::from(k) / 1000.0)
        .map(|t| f64::min(1.0 - bar(t + 0.001) / bar(t), 0.999))
        .collect();
    let tables = [
        (DdpmTable::linear(1000, 1e-4, 0.02), linspace(1e-4, 0.02)),
        (DdpmTable::scaled_linear(1000, 0.00085, 0.012), scaled),
        (DdpmTable::cosine(1000, 0.008, 0.999), cosine),
    ];
    for (table, betas) in tables {
        let table = table.unwrap();
        assert_eq!(table.steps(), 1000);
        let bars = products(&betas);
        for k in 1..=1000 {
            assert_relative("beta", table.beta(k), betas[k - 1], 1e-11);
            assert_relative("alpha bar", table.alpha_bar(k), bars[k - 1], 1e-11);
            let s = table.scale(table.time_of(k));
            assert_relative("scale", s * s, bars[k - 1], 1e-11);
            let before = if k == 1 { 1.0 } else { bars[k - 2] };
            let variance = betas[k - 1] * (1.0 - before) / (1.0 - bars[k - 1]);
            assert_relative(
                "posterior variance",
                table.posterior_variance(k),
                variance,
                1e-9,
            );
        }
    }
}

#[test]
fn known_entries_of_the_tables() {
    let cosine = DdpmTable::cosine(1000, 0.008, 0.999).unwrap();
    assert_eq!(cosine.beta(1000), 0.999);
    assert!(cosine.beta(999) < 0.999);
    let stable_diffusion = DdpmTable::scaled_linear(1000, 0.00085, 0.012).unwrap();
    assert_relative("first", stable_diffusion.beta(1), 0.00085, 1e-15);
    assert_relative("last", stable_diffusion.beta(1000), 0.012, 1e-14);
    // The published terminal signal of Stable Diffusion, sqrt(alpha_bar) = 0.068265 (Lin et al. 2023, table 1).
    let signal = stable_diffusion.alpha_bar(1000).sqrt();
    assert!((signal - 0.068265).abs() < 5e-7, "{signal}");
    let table = DdpmTable::new(&[0.5, 0.2]).unwrap();
    assert_eq!((table.alpha_bar(0), table.time_of(1)), (1.0, 0.5));
    assert_relative("alpha bar", table.alpha_bar(2), 0.4, 1e-15);
    assert_eq!(table.posterior_variance(1), 0.0);
    // 0.2 (1 - 0.5)/(1 - 0.4).
    assert_relative(
        "posterior variance",
        table.posterior_variance(2),
        1.0 / 6.0,
        1e-15,
    );
}

#[test]
fn coefficients_give_the_closed_forms() {
    let exact = VariancePreserving::new(0.1, 20.0).unwrap();
    let sub = SubVariancePreserving::new(0.1, 20.0).unwrap();
    let sub_by_coefficients = {
        let (f, g) = (sub, sub);
        FromCoefficients::new(1.0, move |t| f.drift_rate(t), move |t| g.diffusion_sq(t)).unwrap()
    };
    let brownian = FromCoefficients::new(80.0, |_| 0.0, |t| 2.0 * t).unwrap();
    let pairs: [(FromCoefficients, Box<dyn Schedule>); 3] = [
        (linear_by_coefficients().unwrap(), Box::new(exact)),
        (sub_by_coefficients, Box::new(sub)),
        (brownian, Box::new(Karras::new(80.0).unwrap())),
    ];
    for (ours, exact) in pairs {
        for t in parts().map(|part| part * exact.horizon()) {
            assert_relative("scale", ours.scale(t), exact.scale(t), 1e-12);
            assert_relative("sigma", ours.sigma(t), exact.sigma(t), 1e-12);
            assert_relative("sigma'", ours.rates(t).1, exact.rates(t).1, 1e-12);
        }
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
    let song = FromCoefficients::new(1.0, |t| -0.5 * (1.0 + t), |t| 2.0 + t * t);
    let ours: [(&str, Box<dyn Schedule>, f64); 8] = [
        (
            "VE_defaults",
            Box::new(VarianceExploding::new(0.001, 80.0).unwrap()),
            1e-10,
        ),
        (
            "VE_smin.02_smax100",
            Box::new(VarianceExploding::new(0.02, 100.0).unwrap()),
            1e-10,
        ),
        (
            "VP_defaults",
            Box::new(VariancePreserving::new(0.1, 20.0).unwrap()),
            1e-10,
        ),
        (
            "VP_scaled_linear",
            Box::new(ScaledLinear::new(0.1, 20.0).unwrap()),
            1e-10,
        ),
        (
            "FlowMatching_defaults",
            Box::new(FlowMatching::until(0.99).unwrap()),
            1e-10,
        ),
        (
            "EDM_sigma=t_scale=1",
            Box::new(Karras::new(1.0).unwrap()),
            1e-10,
        ),
        (
            "EDM_sigma=100t^2_vp",
            Box::new(square_of_time().unwrap()),
            1e-10,
        ),
        // The reference integrates by 100 trapezoids.
        ("Song_beta=1+t_xi=2+t^2", Box::new(song.unwrap()), 1e-3),
    ];
    assert_eq!(golden.sdes.len(), ours.len());
    for (name, schedule, tolerance) in ours {
        let expected = &golden.sdes[name];
        assert_eq!(expected.g.len(), golden.t.len());
        for (k, &t) in golden.t.iter().enumerate() {
            let (scale_rate, sigma_rate) = schedule.rates(t);
            let g = schedule.diffusion_sq(t).sqrt();
            assert_relative(name, schedule.scale(t), expected.scale[k], tolerance);
            assert_relative(name, scale_rate, expected.scale_prime[k], tolerance);
            assert_relative(name, schedule.sigma(t), expected.sigma[k], tolerance);
            assert_relative(name, sigma_rate, expected.sigma_prime[k], tolerance);
            assert_relative(name, schedule.drift_rate(t), expected.f_over_x[k], 1e-10);
            assert_relative(name, g, expected.g[k], 1e-10);
        }
    }
}
