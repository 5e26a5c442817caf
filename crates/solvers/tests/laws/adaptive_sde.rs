//! The adaptive stochastic solver: its step, its path after rejections, and the law of its end.

use burn::tensor::{DType, Tensor};
use tweedie_core::{GaussianPrior, Noise, Rng, Schedule, Span, VariancePreserving};
use tweedie_sde::{General, Reverse, Sde};
use tweedie_solvers::{AdaptiveSde, RowStats, StepControl};
use tweedie_testkit::{assert_close, assert_z, device, exact, values, z_bound};

use crate::support::{PRIOR, marginal};

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

#[test]
fn one_stochastic_step_is_that_of_the_paper() {
    let drift = |x: f64, t: f64| (2.0 + t) * x - 1.0;
    let noise_at = |t: f64| 0.3 + t;
    let process = General::new(
        2.0,
        |x: Tensor<2>, t| x.mul_scalar(2.0 + t).sub_scalar(1.0),
        noise_at,
    )
    .unwrap();
    let span = Span { from: 1.5, to: 1.1 };
    let control = StepControl::new(4.0, 2.0, 1)
        .unwrap()
        .starting_with(1.0)
        .unwrap();
    let start = [0.5, -3.0];
    let mut error = 0.0;
    let end = AdaptiveSde::new(control)
        .integrate(
            &process,
            exact(&start, [1, 2]),
            span,
            &mut exact_rng(6),
            |attempt| {
                error = attempt.error;
            },
        )
        .unwrap();
    let z: Tensor<2> = exact_rng(6).row(0).normal([1, 2]);
    let h = span.step();
    let mut squares = 0.0;
    for ((x, z), found) in start.iter().zip(values(&z)).zip(values(&end.state)) {
        let dw = h.abs().sqrt() * z;
        let first = x + h * drift(*x, span.from) + noise_at(span.from) * dw;
        let second = x + h * drift(first, span.to) + noise_at(span.to) * dw;
        let mean = 0.5 * (first + second);
        assert!((found - mean).abs() < 1e-14, "{found}, {mean}");
        let scale = f64::max(4.0, 2.0 * first.abs().max(x.abs()));
        squares += 0.5 * ((first - mean) / scale).powi(2);
    }
    assert!((error - squares.sqrt()).abs() < 1e-14, "{error}, {squares}");
}

#[test]
fn a_rejected_increment_is_kept_to_the_last_bit_of_path() {
    // The state is the drift's integral plus the path: the noise decides no step, and the first attempt draws the whole path.
    let drift = |t: f64| 6.0 * (9.0 * t).sin();
    let process = General::new(
        2.0,
        move |x: Tensor<2>, t| x.zeros_like().add_scalar(drift(t)),
        |_| 0.8,
    )
    .unwrap();
    let span = Span { from: 1.7, to: 0.2 };
    let control = StepControl::new(1e-3, 0.0, 10_000)
        .unwrap()
        .starting_with(9.0)
        .unwrap();
    let shape = [1, 4000];
    let mut at = vec![0.4; 4000];
    let mut steps = Vec::new();
    let end = AdaptiveSde::new(control)
        .integrate(
            &process,
            exact(&at, shape),
            span,
            &mut exact_rng(6),
            |attempt| {
                if attempt.accepted {
                    let Span { from, to } = attempt.span;
                    let moved = 0.5 * (to - from) * (drift(from) + drift(to));
                    let next = values(attempt.state);
                    let increments = next
                        .iter()
                        .zip(&at)
                        .map(|(next, at)| (next - at - moved) / 0.8);
                    steps.push((from - to, increments.collect::<Vec<_>>()));
                    at = next;
                }
            },
        )
        .unwrap();
    assert!(end.rows[0].rejected > 3, "{:?}", end.rows);

    let first: Tensor<2> = exact_rng(6).row(0).normal(shape);
    let whole: Vec<f64> = values(&first)
        .iter()
        .map(|z| (span.from - span.to).sqrt() * z)
        .collect();
    let sum: Vec<f64> = (0..4000)
        .map(|pixel| steps.iter().map(|(_, increments)| increments[pixel]).sum())
        .collect();
    // A few hundred sums of numbers of order one.
    assert_close("whole path", &sum, &whole, 1e-12);

    // Independent increments, each of the variance of its step.
    let mut z = Vec::new();
    for (k, (length, increments)) in steps.iter().enumerate() {
        z.extend(scores(increments, [0.0, *length]));
        if k > 0 {
            let (before, earlier) = &steps[k - 1];
            let product: f64 = increments.iter().zip(earlier).map(|(a, b)| a * b).sum();
            z.push(product / (4000.0 * length * before).sqrt());
        }
    }
    assert_z("increments", &z, &vec![0.0; z.len()], &vec![1.0; z.len()]);
}

/// An Ornstein-Uhlenbeck process from 1, with its law after unit time.
const PULL: f64 = 2.0;
const ROWS: usize = 600;

fn ornstein_uhlenbeck() -> [f64; 2] {
    [(-PULL).exp(), (1.0 - (-2.0 * PULL).exp()) / (2.0 * PULL)]
}

/// Z-scores of the mean and the variance of draws from a normal law.
fn scores(draws: &[f64], [mean, variance]: [f64; 2]) -> [f64; 2] {
    let n = draws.len() as f64;
    let found = draws.iter().sum::<f64>() / n;
    let spread = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    [
        (found - mean) / (variance / n).sqrt(),
        (spread / variance - 1.0) * (n / 2.0).sqrt(),
    ]
}

#[test]
fn rejections_leave_no_bias() {
    let process = General::new(1.0, |x: Tensor<2>, _| x.mul_scalar(PULL), |_| 1.0).unwrap();
    let control = StepControl::new(0.02, 0.0, 10_000)
        .unwrap()
        .starting_with(1.0)
        .unwrap();
    let span = Span { from: 1.0, to: 0.0 };
    let end = AdaptiveSde::new(control)
        .integrate(
            &process,
            exact(&[1.0; ROWS], [ROWS, 1]),
            span,
            &mut exact_rng(7),
            |_| (),
        )
        .unwrap();
    let count = |of: fn(&RowStats) -> usize| end.rows.iter().map(of).sum::<usize>();
    let (accepted, rejected) = (count(|row| row.accepted), count(|row| row.rejected));
    assert!(
        3 * rejected > accepted,
        "{rejected} rejected, {accepted} accepted"
    );
    let z = scores(&values(&end.state), ornstein_uhlenbeck());
    assert_z("rejections", &z, &[0.0; 2], &[1.0; 2]);
}

#[test]
fn fresh_noise_after_a_rejection_would_be_seen() {
    // Negative control of the test above: the same method on the host, with the rejection of the paper.
    let mut rng = exact_rng(7);
    let draws: Vec<f64> = (0..ROWS)
        .map(|row| {
            let mut noise = rng.row(row);
            let (mut x, mut left, mut h, mut growth) = (1.0, 1.0, 1.0, 5.0);
            while left > 0.0 {
                h = if 1.01 * h >= left { left } else { h };
                let z: Tensor<1> = noise.normal([1]);
                let dw = f64::sqrt(h) * values(&z)[0];
                let predicted: f64 = x - h * PULL * x + dw;
                let error = 0.5 * h * PULL * (x - predicted);
                let units = error.abs() / 0.02;
                let factor = (0.9 * units.powf(-0.9)).clamp(0.2, growth);
                if units <= 1.0 {
                    (x, left, growth) = (predicted + error, left - h, 5.0);
                } else {
                    growth = 1.0;
                }
                h *= factor;
            }
            x
        })
        .collect();
    let z = scores(&draws, ornstein_uhlenbeck());
    assert!(z[0].abs() > z_bound(2), "{z:?}");
}

#[test]
fn the_reverse_equation_ends_at_its_marginal() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let span = Span {
        from: 0.8,
        to: schedule.time_at(0.2),
    };
    let law = |t| {
        let moments = marginal(PRIOR, &schedule, t);
        [moments.mean, moments.variance]
    };
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
    let mut rng = exact_rng(9);
    let [mean, variance] = law(span.from);
    let start = rng
        .normal([ROWS, 1])
        .mul_scalar(variance.sqrt())
        .add_scalar(mean);
    let end = AdaptiveSde::new(StepControl::new(0.01, 0.01, 10_000).unwrap())
        .integrate(
            &Reverse::sde(schedule, prior.clone()),
            start.clone(),
            span,
            &mut rng,
            |_| (),
        )
        .unwrap();
    let z = scores(&values(&end.state), law(span.to));
    assert_z("marginal", &z, &[0.0; 2], &[1.0; 2]);
    // Negative control: one score weight for another, the flow's drift under full noise.
    let flow = Reverse::flow(schedule, prior);
    let half = General::new(
        1.0,
        move |x: Tensor<2>, t| Sde::<2>::drift(&flow, x, t),
        move |t| schedule.diffusion_sq(t).sqrt(),
    )
    .unwrap();
    let end = AdaptiveSde::new(StepControl::new(0.01, 0.01, 10_000).unwrap())
        .integrate(&half, start, span, &mut rng, |_| ())
        .unwrap();
    let z = scores(&values(&end.state), law(span.to));
    assert!(z[1] > z_bound(2), "{z:?}");
}
