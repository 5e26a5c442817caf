//! Stochastic methods against formulas written by hand: steps for a prior of two points, whose denoiser
//! `tanh(u/sigma^2)` is not linear, and laws for a Gaussian one.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{
    Denoiser, GaussianPrior, Noise, Schedule, TimeGrid, VarianceExploding, VariancePreserving,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{
    DpmSolverPp2MSde, DpmSolverPp3MSde, Edm, EdmConfig, ExponentialEuler, Solver, integrate,
};
use tweedie_testkit::{AffineLaw, affine_law, assert_close, exact, values};

use crate::support::{
    PRIOR, marginal, observed_order, process, registry, schedules, three_step, two_step,
};

/// Equal masses at -1 and 1.
struct TwoPoints;

fn two_points(u: f64, sigma: f64) -> f64 {
    (u / (sigma * sigma)).tanh()
}

impl Denoiser<2> for TwoPoints {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        noisy.div_scalar(sigma * sigma).tanh()
    }
}

/// The same numbers for every row, one for each call; no more calls than numbers.
struct Replay<'a>(std::slice::Iter<'a, f64>);

impl Noise<2> for Replay<'_> {
    fn normal(&mut self, shape: [usize; 2]) -> Tensor<2> {
        let value = *self.0.next().expect("a method drew more than it should");
        exact(&vec![value; shape[0]], shape)
    }
}

const STARTS: [f64; 4] = [-1.7, -0.4, 0.3, 2.2];
const DRAWS: [f64; 4] = [0.8, -1.3, 0.4, 1.9];

/// Ends of a run for two points from `STARTS` in units of the noise at the start; all of `draws` are drawn.
fn run<S>(solver: &S, schedule: &Arc<dyn Schedule>, grid: &TimeGrid, draws: &[f64]) -> Vec<f64>
where
    S: Solver<Reverse<Arc<dyn Schedule>, TwoPoints>, 2>,
{
    let process = Reverse::sde(schedule.clone(), TwoPoints);
    let std = schedule.scale(grid.start()) * schedule.sigma(grid.start());
    let start = exact(&STARTS.map(|x| x * std), [STARTS.len(), 1]);
    let mut noise = Replay(draws.iter());
    let end = integrate(&process, solver, start, grid, &mut noise, |_| ()).unwrap();
    assert_eq!(noise.0.len(), 0, "numbers were left over");
    values(&end)
}

/// The same on the host: `step(u, i)` is the state `u` at time `i + 1` of the grid, given that at time `i`.
fn by_hand(
    schedule: &Arc<dyn Schedule>,
    grid: &TimeGrid,
    mut step: impl FnMut(f64, usize) -> f64,
) -> Vec<f64> {
    STARTS
        .map(|x| {
            let u = (0..grid.steps()).fold(x * schedule.sigma(grid.start()), &mut step);
            u * schedule.scale(grid.end())
        })
        .into()
}

fn levels(schedule: &Arc<dyn Schedule>, grid: &TimeGrid) -> Vec<f64> {
    grid.times().iter().map(|t| schedule.sigma(*t)).collect()
}

/// Noise levels from 9 to 0.6 or to 0.
fn unequal_grid(schedule: &Arc<dyn Schedule>, closes: bool) -> TimeGrid {
    let mut times: Vec<f64> = [9.0, 4.0, 2.5, 1.1, 0.6]
        .map(|level| schedule.time_at(level))
        .into();
    if closes {
        times[4] = 0.0;
    }
    TimeGrid::new(times).unwrap()
}

/// Host arithmetic of some dozen operations on numbers up to 20.
const ROUNDING: f64 = 1e-12;

#[test]
fn without_noise_the_two_step_method_is_dpm_solver_pp_2m() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        for closes in [false, true] {
            let grid = unequal_grid(&schedule, closes);
            let sigma = levels(&schedule, &grid);
            // Lu et al. 2023, algorithm 2, in u.
            let mut last = 0.0;
            let expected = by_hand(&schedule, &grid, |u, i| {
                let clean = two_points(u, sigma[i]);
                let h = (sigma[i] / sigma[i + 1]).ln();
                let guess = if i == 0 || sigma[i + 1] == 0.0 {
                    clean
                } else {
                    let r = (sigma[i - 1] / sigma[i]).ln() / h;
                    (1.0 + 0.5 / r) * clean - 0.5 / r * last
                };
                last = clean;
                sigma[i + 1] / sigma[i] * u - (-h).exp_m1() * guess
            });
            let got = run(&two_step(0.0), &schedule, &grid, &[]);
            assert_close(name, &got, &expected, ROUNDING);
        }
    }
}

#[test]
fn with_all_noise_the_two_step_method_is_that_of_the_paper() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        for closes in [false, true] {
            let grid = unequal_grid(&schedule, closes);
            let sigma = levels(&schedule, &grid);
            let mut last = 0.0;
            let expected = by_hand(&schedule, &grid, |u, i| {
                let clean = two_points(u, sigma[i]);
                let h = (sigma[i] / sigma[i + 1]).ln();
                let slope = if i == 0 || sigma[i + 1] == 0.0 {
                    0.0
                } else {
                    (clean - last) * h / (sigma[i - 1] / sigma[i]).ln()
                };
                last = clean;
                let pull = -(-2.0 * h).exp_m1();
                let kept = sigma[i + 1] / sigma[i] * (-h).exp();
                let fresh = sigma[i + 1] * pull.sqrt() * DRAWS[i];
                kept * u + pull * clean + 0.5 * pull * slope + fresh
            });
            let got = run(
                &two_step(1.0),
                &schedule,
                &grid,
                &DRAWS[..4 - usize::from(closes)],
            );
            assert_close(name, &got, &expected, ROUNDING);
        }
    }
}

/// `k int e^(-k (lambda_s - lambda)) Q dlambda` by Simpson's rule, `Q` the polynomial of Lagrange through `past`
/// (`lambda`, `D`).
fn pulled(k: f64, from: f64, to: f64, past: &[(f64, f64)]) -> f64 {
    let lagrange = |x: f64| -> f64 {
        past.iter()
            .map(|(at, value)| {
                let others = past.iter().filter(|(other, _)| other != at);
                others.fold(*value, |product, (other, _)| {
                    product * (x - other) / (at - other)
                })
            })
            .sum()
    };
    let (panels, f) = (2000, |x: f64| k * (-k * (to - x)).exp() * lagrange(x));
    let width = (to - from) / f64::from(panels);
    (0..panels)
        .map(|i| from + width * f64::from(i))
        .map(|x| (f(x) + 4.0 * f(x + 0.5 * width) + f(x + width)) * width / 6.0)
        .sum()
}

#[test]
fn the_three_step_method_integrates_the_parabola_exactly() {
    for eta in [0.0, 0.6, 1.0] {
        let k = 1.0 + eta * eta;
        for (name, schedule) in schedules().into_iter().skip(1) {
            let grid = unequal_grid(&schedule, false);
            let sigma = levels(&schedule, &grid);
            let mut past = Vec::new();
            let expected = by_hand(&schedule, &grid, |u, i| {
                if i == 0 {
                    past.clear();
                }
                let (from, to) = (-sigma[i].ln(), -sigma[i + 1].ln());
                past.push((from, two_points(u, sigma[i])));
                let kept = (-k * (to - from)).exp() * u;
                let fresh = (1.0 - (-2.0 * (k - 1.0) * (to - from)).exp()).sqrt();
                let used = &past[past.len().saturating_sub(3)..];
                kept + pulled(k, from, to, used) + sigma[i + 1] * fresh * DRAWS[i]
            });
            let draws = if eta == 0.0 { &[] } else { &DRAWS[..] };
            let got = run(&three_step(eta), &schedule, &grid, draws);
            // The error of Simpson's rule at 2000 panels.
            assert_close(name, &got, &expected, 1e-11);
        }
    }
}

#[test]
fn the_three_step_method_ends_on_the_denoised_image() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        let whole = unequal_grid(&schedule, true);
        let before = TimeGrid::new(whole.times()[..4].to_vec()).unwrap();
        let solver = three_step(1.0);
        let states = run(&solver, &schedule, &before, &DRAWS[..3]);
        let (t, s) = (before.end(), schedule.scale(before.end()));
        let clean: Vec<f64> = states
            .iter()
            .map(|x| two_points(x / s, schedule.sigma(t)))
            .collect();
        let got = run(&solver, &schedule, &whole, &DRAWS[..3]);
        assert_close(name, &got, &clean, ROUNDING);
    }
}

fn churning(s_churn: f64, s_noise: f64) -> EdmConfig {
    EdmConfig {
        s_churn,
        s_min: 1.0,
        s_max: Some(5.0),
        s_noise,
        ..EdmConfig::deterministic(4)
    }
}

#[test]
fn edm_is_algorithm_2() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        for (s_churn, gamma) in [(0.8, 0.2), (40.0, 2.0_f64.sqrt() - 1.0)] {
            for closes in [false, true] {
                let grid = unequal_grid(&schedule, closes);
                let sigma = levels(&schedule, &grid);
                let expected = by_hand(&schedule, &grid, |u, i| {
                    // Levels 4, 2.5 and 1.1 lie within the range of the churn, 9 does not.
                    let raised = if i == 0 {
                        sigma[0]
                    } else {
                        sigma[i] * (1.0 + gamma)
                    };
                    let added = (raised * raised - sigma[i] * sigma[i]).sqrt();
                    let noise = if i == 0 { 0.0 } else { 1.05 * DRAWS[i - 1] };
                    let u = u + added * noise;
                    let slope = (u - two_points(u, raised)) / raised;
                    let step = sigma[i + 1] - raised;
                    let euler = u + step * slope;
                    if sigma[i + 1] == 0.0 {
                        return euler;
                    }
                    let second = (euler - two_points(euler, sigma[i + 1])) / sigma[i + 1];
                    u + 0.5 * step * (slope + second)
                });
                let solver = Edm::new(churning(s_churn, 1.05)).unwrap();
                let got = run(&solver, &schedule, &grid, &DRAWS[..3]);
                assert_close(name, &got, &expected, ROUNDING);
            }
        }
    }
}

/// The law of one step on one pixel, by unit probes.
fn one_step<S>(solver: &S, schedule: &Arc<dyn Schedule>, alpha: f64, span: [f64; 2]) -> AffineLaw
where
    S: Solver<crate::support::Process, 2>,
{
    let process = process(PRIOR, schedule, alpha);
    let grid = TimeGrid::new(span.to_vec()).unwrap();
    affine_law(1, |start, noise| {
        integrate(&process, solver, start, &grid, noise, |_| ()).unwrap()
    })
}

#[test]
fn churn_keeps_the_law_and_other_noise_does_not() {
    let gamma = 0.2;
    for (name, schedule) in schedules() {
        // The second step starts beside the horizon and is evaluated beyond it.
        for (from, to) in [(2.5, 2.2), (4.9, 0.6)] {
            let span = [schedule.time_at(from), schedule.time_at(to)];
            let start = marginal(PRIOR, schedule.as_ref(), span[0]);
            let variance = |s_noise: f64| {
                let solver = Edm::new(churning(0.8, s_noise)).unwrap();
                one_step(&solver, &schedule, 0.0, span).output(start)
            };
            // Heun's step multiplies the distance from the mean by a number.
            let raised = from * (1.0 + gamma);
            let rate = |sigma: f64| sigma / (PRIOR.variance + sigma * sigma);
            let step = to - raised;
            let heun = 1.0 + 0.5 * step * (rate(raised) + rate(to) * (1.0 + step * rate(raised)));
            let s = schedule.scale(span[1]);
            for s_noise in [1.0, 1.1] {
                let added = s_noise * s_noise * (raised * raised - from * from);
                let expected = s * s * heun * heun * (PRIOR.variance + from * from + added);
                let got = variance(s_noise);
                let close = (got.variance - expected).abs() < ROUNDING * expected.max(1.0);
                assert!(close, "{name}: {got:?}, expected {expected}");
                assert!((got.mean - s * PRIOR.mean).abs() < ROUNDING);
            }
            let louder = variance(1.1).variance / variance(1.0).variance;
            assert!(louder > 1.03, "{name}: {louder}");
        }
    }
}

#[test]
fn settings_of_edm_are_checked() {
    let refused = |change: fn(&mut EdmConfig)| {
        let mut config = churning(1.0, 1.0);
        change(&mut config);
        Edm::new(config).unwrap_err().to_string()
    };
    for (found, expected) in [
        (
            refused(|c| c.steps = 0),
            "steps must be at least 1, found 0",
        ),
        (
            refused(|c| c.s_churn = -1.0),
            "s_churn must be finite and at least 0, found -1",
        ),
        (
            refused(|c| c.s_min = f64::NAN),
            "s_min must be finite and at least 0, found NaN",
        ),
        (
            refused(|c| c.s_max = Some(0.5)),
            "s_max must be at least s_min, found 0.5",
        ),
        (
            refused(|c| c.s_noise = 0.0),
            "s_noise must be finite and above 0, found 0",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let mistyped = r#"{ "steps": 18, "churn": 3.0 }"#;
    assert!(serde_json::from_str::<EdmConfig>(mistyped).is_err());
    let config = churning(3.0, 1.01);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<EdmConfig>(&text).unwrap(), config);
}

#[test]
fn eta_out_of_range_is_refused() {
    for eta in [-0.1, 1.1, f64::NAN] {
        assert!(DpmSolverPp2MSde::new(eta).is_err());
        assert!(DpmSolverPp3MSde::new(eta).is_err());
    }
}

/// Coefficients of start, denoised image at the start, and noise of an exponential Euler step, given `int s dsigma^2`.
fn frozen_score(schedule: &dyn Schedule, span: [f64; 2], alpha: f64, integral: f64) -> AffineLaw {
    let [from, to] = span;
    let (s_from, s_to) = (schedule.scale(from), schedule.scale(to));
    let (sigma_from, sigma_to) = (schedule.sigma(from), schedule.sigma(to));
    // score = -(x - s m) / (s^2 (v + sigma^2)).
    let spread = s_from * s_from * (PRIOR.variance + sigma_from * sigma_from);
    let pull = 0.5 * (1.0 + alpha) * s_to * integral / spread;
    AffineLaw {
        offset: pull * s_from * PRIOR.mean,
        start: s_to / s_from - pull,
        noises: vec![s_to * (alpha * (sigma_from * sigma_from - sigma_to * sigma_to)).sqrt()],
    }
}

fn assert_same_law(name: &str, got: &AffineLaw, expected: &AffineLaw) {
    let list = |law: &AffineLaw| [&[law.offset, law.start], law.noises.as_slice()].concat();
    let (got, expected) = (list(got), list(expected));
    for (got, expected) in got.iter().zip(&expected) {
        // Relative to the size of the terms, the largest being the integral.
        let allowed = 1e-12 * (1.0 + expected.abs());
        assert!(
            (got - expected).abs() < allowed,
            "{name}: {got}, expected {expected}"
        );
    }
    assert_eq!(got.len(), expected.len(), "{name}");
}

#[test]
fn exponential_euler_integrates_the_linear_part_exactly() {
    let spans = [[0.9, 0.1], [0.9, 0.89], [0.0123, 0.0121], [0.02, 0.0]];
    for (name, schedule) in schedules() {
        for span in spans {
            // int s dsigma^2: s is 1, or 1/sqrt(1 + sigma^2) with dB/2 = d ln s.
            let (high, low) = (schedule.sigma(span[0]), schedule.sigma(span[1]));
            let (before, after) = (schedule.scale(span[0]), schedule.scale(span[1]));
            let integral = match name {
                "exploding" => high * high - low * low,
                _ => 2.0 * (after / before).ln().exp_m1() / after,
            };
            for alpha in [0.0, 0.5, 1.0] {
                let got = one_step(&ExponentialEuler, &schedule, alpha, span);
                let mut expected = frozen_score(schedule.as_ref(), span, alpha, integral);
                if alpha == 0.0 {
                    expected.noises.clear();
                }
                assert_same_law(name, &got, &expected);
            }
        }
    }
}

#[test]
fn exponential_euler_takes_the_stochasticity_at_the_start_of_the_step() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
    let process = Reverse::varying(schedule, prior, |t| t).unwrap();
    let span = [0.7, 0.4];
    let grid = TimeGrid::new(span.to_vec()).unwrap();
    let got = affine_law(1, |start, noise| {
        integrate(&process, &ExponentialEuler, start, &grid, noise, |_| ()).unwrap()
    });
    let integral = 2.0 * (schedule.scale(0.7).recip() - schedule.scale(0.4).recip());
    assert_same_law(
        "varying",
        &got,
        &frozen_score(&schedule, span, 0.7, integral),
    );
    // Negative control: the stochasticity of the end of the step.
    let late = frozen_score(&schedule, span, 0.4, integral);
    assert!((got.start - late.start).abs() > 0.01);
}

/// Error of the coefficient of the start, which is `((v + sigma_s^2)/(v + sigma_t^2))^((1 + alpha)/2)` in `u`.
fn error_of_start(name: &str, alpha: f64, grid: &TimeGrid, schedule: &Arc<dyn Schedule>) -> f64 {
    let member = registry().into_iter().find(|m| m.name == name).unwrap();
    let process = process(PRIOR, schedule, member.alpha);
    let law = affine_law(member.draws * grid.steps(), |start, noise| {
        (member.run)(&process, start, grid, noise)
    });
    let spread = |t: f64| PRIOR.variance + schedule.sigma(t).powi(2);
    let scales = schedule.scale(grid.end()) / schedule.scale(grid.start());
    let forgotten = (spread(grid.end()) / spread(grid.start())).powf(0.5 * (1.0 + alpha));
    (law.start - scales * forgotten).abs()
}

#[test]
fn the_start_is_forgotten_at_the_rate_of_the_equation() {
    // A run that starts on the right law has the right mean with every method here; this is the order of the mean
    // otherwise.
    let counts = [128, 256, 512, 1024];
    for (schedule_name, schedule) in schedules().into_iter().take(2) {
        let (start, end) = (schedule.time_at(2.0), schedule.time_at(0.3));
        for (name, alpha, expected) in [
            ("EDM", 0.0, 2.0),
            ("Exponential Euler (flow)", 0.0, 1.0),
            ("Exponential Euler, half noise", 0.5, 1.0),
            ("SDE-DPM-Solver++(2M), eta 0", 0.0, 2.0),
            ("SDE-DPM-Solver++(2M), eta 0.6", 0.36, 2.0),
            ("SDE-DPM-Solver++(3M), eta 0.6", 0.36, 2.0),
        ] {
            let errors = counts.map(|steps| {
                let grid = TimeGrid::uniform(start, end, steps).unwrap();
                error_of_start(name, alpha, &grid, &schedule)
            });
            let order = observed_order(&counts, &errors);
            assert!(
                (order - expected).abs() < 0.2,
                "{name} on {schedule_name} forgets at order {order:.2}, expected {expected}: {errors:?}"
            );
        }
        // With all noise D is a martingale, hence right on average where it is extrapolated.
        for name in ["SDE-DPM-Solver++(2M)", "SDE-DPM-Solver++(3M)"] {
            let grid = TimeGrid::uniform(start, end, 8).unwrap();
            let error = error_of_start(name, 1.0, &grid, &schedule);
            assert!(error < ROUNDING, "{name} on {schedule_name}: {error:e}");
            // Negative control: the rate of the flow.
            let error = error_of_start(name, 0.0, &grid, &schedule);
            assert!(error > 0.1, "{name} on {schedule_name}: {error:e}");
        }
    }
}

/// Error of the variance at level 0.3 of a run without noise that starts on the right law.
fn error_of_variance(schedule: &VarianceExploding, from: f64, steps: usize) -> f64 {
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
    let process = Reverse::flow(*schedule, prior);
    let grid = TimeGrid::uniform(schedule.time_at(from), schedule.time_at(0.3), steps).unwrap();
    let law = affine_law(0, |start, noise| {
        integrate(&process, &three_step(0.0), start, &grid, noise, |_| ()).unwrap()
    });
    let got = law.output(marginal(PRIOR, schedule, grid.start()));
    (got.variance - marginal(PRIOR, schedule, grid.end()).variance).abs()
}

#[test]
fn without_noise_the_three_step_method_is_of_order_3_but_for_its_first_step() {
    let schedule = VarianceExploding::new(0.01, 1e4).unwrap();
    let counts = [64, 128, 256, 512];
    let order = |from: f64| {
        let errors = counts.map(|steps| error_of_variance(&schedule, from, steps));
        observed_order(&counts, &errors)
    };
    // In strong noise D hardly moves, so that the error of the first step is nothing; in weak noise it rules.
    let (strong, weak) = (order(1e4), order(0.5));
    assert!((strong - 3.0).abs() < 0.2, "{strong}");
    assert!((weak - 2.0).abs() < 0.2, "{weak}");
}
