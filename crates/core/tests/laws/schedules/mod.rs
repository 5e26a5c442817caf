//! Every schedule through every law, in double precision.

mod published;
mod refusals;

use std::sync::Arc;

use rand::RngExt;
use tweedie_core::{
    Cosine, Custom, DdpmTable, FlowMatching, FromCoefficients, Karras, Scaled, ScaledLinear,
    Schedule, ScheduleError, Sigmoid, SubVariancePreserving, VarianceExploding, VariancePreserving,
    stream,
};

struct Row {
    name: &'static str,
    schedule: Arc<dyn Schedule>,
    /// Whether `s^2 (1 + sigma^2) = 1`.
    preserving: bool,
}

fn registry() -> Vec<Row> {
    fn row<E: std::fmt::Debug>(
        name: &'static str,
        preserving: bool,
        schedule: Result<impl Schedule + 'static, E>,
    ) -> Row {
        let schedule = Arc::new(schedule.unwrap());
        Row {
            name,
            schedule,
            preserving,
        }
    }
    let preserving = VariancePreserving::new(0.1, 20.0);
    let in_half_pixels = preserving.clone().map(|inner| Scaled::new(inner, 0.5));
    vec![
        row("exploding", false, VarianceExploding::new(0.01, 50.0)),
        row("preserving", true, preserving),
        row("preserving in half pixels", false, in_half_pixels),
        row("scaled linear", true, ScaledLinear::new(0.1, 20.0)),
        row("sub-vp", false, SubVariancePreserving::new(0.1, 20.0)),
        row("cosine", true, Cosine::new(0.008, 1000.0)),
        row("cosine, no offset", true, Cosine::new(0.0, 100.0)),
        row("sigmoid", true, Sigmoid::new(-3.0, 3.0, 0.9, 1000.0)),
        row("sigmoid, skew", true, Sigmoid::new(0.0, 3.0, 0.3, 200.0)),
        row("sigmoid, flat", true, Sigmoid::new(-1.0, 0.0, 50.0, 200.0)),
        row("karras", false, Karras::new(80.0)),
        row("flow", false, FlowMatching::new(1000.0)),
        row("flow, until", false, FlowMatching::until(0.99)),
        row("ddpm", true, DdpmTable::linear(1000, 1e-4, 0.02)),
        row(
            "ddpm, scaled linear",
            true,
            DdpmTable::scaled_linear(1000, 0.00085, 0.012),
        ),
        row("ddpm, cosine", true, DdpmTable::cosine(1000, 0.008, 0.999)),
        row("ddpm, uneven", true, DdpmTable::new(&[0.3, 0.01, 0.5, 0.2])),
        row("custom", true, square_of_time()),
        row("custom, from a square root", true, custom_ou()),
        row(
            "from coefficients",
            false,
            FromCoefficients::new(1.0, |t| -0.5 * (1.0 + t), |t| 2.0 + t * t),
        ),
        row("from coefficients, vp", true, linear_by_coefficients()),
    ]
}

/// `sigma = 100 t^2` with `s^2 (1 + sigma^2) = 1`.
fn square_of_time() -> Result<Custom, ScheduleError> {
    Custom::new(
        1.0,
        |t| {
            let s = (1.0 + 1e4 * t.powi(4)).powf(-0.5);
            (s, -2e4 * t.powi(3) * s.powi(3))
        },
        |t| (100.0 * t * t, 200.0 * t),
    )
}

/// Ornstein-Uhlenbeck: `s = exp(-t)`, `sigma^2 = exp(2 t) - 1`, with an infinite slope of `sigma` at 0.
fn custom_ou() -> Result<Custom, ScheduleError> {
    Custom::new(
        3.0,
        |t| ((-t).exp(), -(-t).exp()),
        |t| {
            let sigma = (2.0 * t).exp_m1().sqrt();
            (sigma, (2.0 * t).exp() / sigma)
        },
    )
}

fn linear_by_coefficients() -> Result<FromCoefficients, ScheduleError> {
    let beta = |t: f64| 0.1 + 19.9 * t;
    FromCoefficients::new(1.0, move |t| -0.5 * beta(t), beta)
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

/// Parts of the horizon spread over the unit interval.
fn parts() -> impl Iterator<Item = f64> {
    let mut uniform = stream(1, 0);
    (0..2000).map(move |_| uniform.random::<f64>())
}

/// The first violation of "the rates are the derivatives", inside the process.
fn wrong_rates(schedule: &dyn Schedule) -> Option<String> {
    let horizon = schedule.horizon();
    let h = 1e-5 * horizon;
    for t in parts().map(|part| part * horizon) {
        // Inside an interval of the discrete tables, where their rates are continuous, and away from the ends, where
        // higher derivatives diverge.
        let inside = (1000.0 * t / horizon).fract();
        if !(0.1..0.9).contains(&inside) || !(0.01 * horizon..0.99 * horizon).contains(&t) {
            continue;
        }
        let (scale_rate, sigma_rate) = schedule.rates(t);
        let scale_slope = slope(|t| schedule.scale(t), t, h);
        let sigma_slope = slope(|t| schedule.sigma(t), t, h);
        // Rounding of a difference quotient, 1.5 eps |f| / h, with ten-fold room for the error of f itself.
        let rounding = |value: f64| 15.0 * f64::EPSILON * value / h;
        if (scale_rate - scale_slope).abs() > rounding(1.0) {
            return Some(format!(
                "at {t}: s' {scale_rate}, by differences {scale_slope}"
            ));
        }
        if (sigma_rate - sigma_slope).abs() > rounding(schedule.sigma(t)) + 1e-9 * sigma_rate {
            return Some(format!(
                "at {t}: sigma' {sigma_rate}, by differences {sigma_slope}"
            ));
        }
    }
    None
}

/// The largest error of `time_at`.
fn inversion_error(schedule: &dyn Schedule) -> f64 {
    // Also close to both ends, where formulas cancel.
    let close = (1..40).map(|k| 0.5f64.powi(k));
    let all = parts().chain([0.0, 1.0]).chain(close);
    all.flat_map(|part| [part, 1.0 - part])
        .map(|part| part * schedule.horizon())
        .map(|t| (schedule.time_at(schedule.sigma(t)) - t).abs())
        .fold(
            0.0,
            |worst, error| {
                if error <= worst { worst } else { error }
            },
        )
}

#[test]
fn rates_are_the_derivatives() {
    for Row { name, schedule, .. } in registry() {
        if let Some(violation) = wrong_rates(&schedule) {
            panic!("{name} {violation}");
        }
    }
}

#[test]
fn time_inverts_sigma() {
    for Row { name, schedule, .. } in registry() {
        let error = inversion_error(&schedule);
        assert!(error <= 1e-12, "{name}: off by {error:e}");
    }
}

/// A schedule with errors planted: the laws must see them.
struct Planted<S> {
    inner: S,
    scale_rate: f64,
    sigma_rate: f64,
    late: f64,
}

impl<S: Schedule> Schedule for Planted<S> {
    fn scale(&self, t: f64) -> f64 {
        self.inner.scale(t)
    }
    fn sigma(&self, t: f64) -> f64 {
        self.inner.sigma(t)
    }
    fn rates(&self, t: f64) -> (f64, f64) {
        let (scale_rate, sigma_rate) = self.inner.rates(t);
        (self.scale_rate * scale_rate, self.sigma_rate * sigma_rate)
    }
    fn time_at(&self, sigma: f64) -> f64 {
        self.inner.time_at(sigma) + self.late
    }
}

#[test]
fn planted_errors_are_seen() {
    let planted = |scale_rate, sigma_rate, late| Planted {
        inner: VariancePreserving::new(0.1, 20.0).unwrap(),
        scale_rate,
        sigma_rate,
        late,
    };
    assert!(wrong_rates(&planted(1.0, 1.0, 0.0)).is_none());
    assert!(wrong_rates(&planted(1.0 + 1e-6, 1.0, 0.0)).is_some());
    assert!(wrong_rates(&planted(1.0, 1.0 + 1e-6, 0.0)).is_some());
    assert!(inversion_error(&planted(1.0, 1.0, 2e-12)) > 1e-12);
    assert!(inversion_error(&planted(1.0, 1.0, f64::NAN)).is_nan());
}

#[test]
fn sigma_increases() {
    for Row { name, schedule, .. } in registry() {
        let mut sorted: Vec<f64> = parts().map(|part| part * schedule.horizon()).collect();
        sorted.extend([0.0, schedule.horizon()]);
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
    for Row { name, schedule, .. } in registry() {
        for t in parts().map(|part| part.max(1e-3) * schedule.horizon()) {
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
fn data_are_unscaled_and_the_process_is_continuous_there() {
    for Row { name, schedule, .. } in registry() {
        assert_relative(name, schedule.scale(0.0), 1.0, 1e-15);
        let (first, early) = (
            schedule.rates(0.0).1,
            schedule.rates(1e-9 * schedule.horizon()).1,
        );
        let steep = first == f64::INFINITY && early > 1e3;
        assert!(
            steep || (first - early).abs() <= 1e-6 * (1.0 + first),
            "{name}: sigma'(0) = {first}, near {early}"
        );
        // The limits at 0 are those that nearby times tend to.
        let near = 1e-8 * schedule.horizon();
        let (drift, diffusion) = (schedule.drift_rate(near), schedule.diffusion_sq(near));
        assert!(
            (schedule.drift_rate(0.0) - drift).abs() <= 1e-5,
            "{name}: f(0) = {}, near {drift}",
            schedule.drift_rate(0.0)
        );
        assert!(
            (schedule.diffusion_sq(0.0) - diffusion).abs() <= 1e-5,
            "{name}: g^2(0) = {}, near {diffusion}",
            schedule.diffusion_sq(0.0)
        );
    }
}

#[test]
fn preserving_schedules_keep_unit_variance() {
    for row in registry() {
        let schedule = row.schedule;
        let variance = |t: f64| (schedule.scale(t) * schedule.sigma(t).hypot(1.0)).powi(2);
        for k in 0..=100 {
            let t = schedule.horizon() * f64::from(k) / 100.0;
            if row.preserving {
                assert_relative(row.name, variance(t), 1.0, 1e-12);
            }
        }
        let kept = (variance(0.5 * schedule.horizon()) - 1.0).abs() < 1e-12;
        assert_eq!(kept, row.preserving, "{}", row.name);
    }
}

#[test]
fn singular_ends_are_limits() {
    let ends: [Box<dyn Schedule>; 3] = [
        Box::new(Cosine::new(0.008, 1000.0).unwrap()),
        Box::new(Sigmoid::new(-3.0, 3.0, 0.9, 1000.0).unwrap()),
        Box::new(FlowMatching::new(1000.0).unwrap()),
    ];
    for schedule in ends {
        assert!(schedule.horizon() < 1.0);
        assert_eq!(schedule.scale(1.0), 0.0);
        assert_eq!(schedule.sigma(1.0), f64::INFINITY);
        assert_eq!(schedule.drift_rate(1.0), f64::NEG_INFINITY);
        assert_eq!(schedule.diffusion_sq(1.0), f64::INFINITY);
        // The last double before 1 is still exact: s^2 is of the order of 1 - t or its square, not of rounding.
        let last = 1.0 - 2f64.powi(-53);
        let halfway = 1.0 - 2f64.powi(-52);
        let order = (schedule.scale(halfway) / schedule.scale(last)).log2();
        assert!(
            (order - 1.0).abs() < 1e-6 || (order - 0.5).abs() < 1e-6,
            "{order}"
        );
    }
}
