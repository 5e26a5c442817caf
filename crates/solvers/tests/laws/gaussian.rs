//! For a Gaussian prior, and for a posterior, the error of mean and variance falls at the method's order.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, GaussianPrior, Noise, Schedule, Span, TimeGrid};
use tweedie_sde::{Diffusion, Reverse, Sde};
use tweedie_solvers::{EulerMaruyama, Solver, integrate};
use tweedie_testkit::{Moments, affine_law, exact};

use crate::support::{marginal, registry, schedules};

const PRIOR: Moments = Moments {
    mean: 0.7,
    variance: 0.25,
};

/// The law of the prior given `y = x + 0.2 n` at `y = 1.3`.
fn posterior() -> Moments {
    let gain = PRIOR.variance / (PRIOR.variance + 0.04);
    Moments {
        mean: PRIOR.mean + gain * (1.3 - PRIOR.mean),
        variance: PRIOR.variance * (1.0 - gain),
    }
}

fn errors(
    law: impl Fn(&TimeGrid) -> Moments,
    target: Moments,
    schedule: &dyn Schedule,
    steps: usize,
) -> [f64; 2] {
    let grid = TimeGrid::uniform(0.9, 0.1, steps).unwrap();
    let expected = marginal(target, schedule, grid.end());
    let got = law(&grid);
    [
        (got.mean - expected.mean).abs(),
        (got.variance - expected.variance).abs(),
    ]
}

/// Least-squares slope of `-log error` against `log steps`.
fn observed_order(counts: &[usize], errors: &[f64]) -> f64 {
    let x: Vec<f64> = counts.iter().map(|n| (*n as f64).ln()).collect();
    let y: Vec<f64> = errors.iter().map(|e| -e.ln()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let covariance: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    covariance / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

#[test]
fn errors_fall_at_the_order_of_the_method() {
    let counts = [128, 256, 512, 1024];
    for target in [PRIOR, posterior()] {
        for (schedule_name, schedule) in schedules().into_iter().take(2) {
            for member in registry() {
                let runs: Vec<[f64; 2]> = counts
                    .iter()
                    .map(|&steps| {
                        let law = |grid: &TimeGrid| (member.law)(target, &schedule, grid);
                        errors(law, target, schedule.as_ref(), steps)
                    })
                    .collect();
                for (moment, label) in ["mean", "variance"].into_iter().enumerate() {
                    let falls: Vec<f64> = runs.iter().map(|run| run[moment]).collect();
                    if falls[0] < 1e-12 {
                        continue; // exact, as a mean often is
                    }
                    let order = observed_order(&counts, &falls);
                    assert!(
                        order > member.order - 0.2,
                        "{} on {schedule_name}: the {label} converges at order {order:.2}, expected {}: {falls:?}",
                        member.name,
                        member.order
                    );
                }
            }
        }
    }
}

#[test]
fn the_limit_is_the_right_one() {
    // The order test would pass for a method that converges to a wrong law slowly enough; this one would not.
    for (schedule_name, schedule) in schedules() {
        for member in registry() {
            let law = |grid: &TimeGrid| (member.law)(PRIOR, &schedule, grid);
            let [mean, variance] = errors(law, PRIOR, schedule.as_ref(), 2000);
            assert!(
                mean < 4e-3 && variance < 4e-3,
                "{} on {schedule_name}: errors {mean:e} and {variance:e}",
                member.name
            );
        }
    }
}

/// A reverse process whose score is weighted by 1 where `(1 + alpha)/2` belongs.
struct WrongWeight(Reverse<Arc<dyn Schedule>, GaussianPrior<2>>);

impl Sde<2> for WrongWeight {
    fn drift(&self, x: Tensor<2>, t: f64) -> Tensor<2> {
        let schedule = Diffusion::<2>::schedule(&self.0);
        let s = schedule.scale(t);
        let sigma = schedule.sigma(t);
        let unscaled = x.clone().div_scalar(s);
        let score = (self.0.prior().denoise(unscaled.clone(), sigma) - unscaled)
            .div_scalar(sigma * sigma * s);
        x.mul_scalar(schedule.drift_rate(t)) - score.mul_scalar(schedule.diffusion_sq(t))
    }
    fn diffusion(&self, t: f64) -> f64 {
        Sde::<2>::diffusion(&self.0, t)
    }
    fn is_defined_at(&self, t: f64) -> bool {
        Sde::<2>::is_defined_at(&self.0, t)
    }
}

#[test]
fn a_wrong_score_weight_converges_to_a_wrong_law() {
    let (_, schedule) = schedules().remove(1);
    let wrong = |grid: &TimeGrid| {
        let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
        let process = WrongWeight(Reverse::new(schedule.clone(), prior, 0.5));
        affine_law(grid.steps(), |start, noise| {
            integrate(&process, &EulerMaruyama, start, grid, noise, |_| ())
        })
        .output(marginal(PRIOR, schedule.as_ref(), grid.start()))
    };
    let [_, variance] = errors(wrong, PRIOR, schedule.as_ref(), 2000);
    assert!(variance > 0.05, "{variance}");
}

/// Draws nothing, so that a step which uses noise is found out.
struct NoNoise;

impl Noise<2> for NoNoise {
    fn normal(&mut self, _: [usize; 2]) -> Tensor<2> {
        panic!("a deterministic method drew noise");
    }
}

#[test]
fn deterministic_methods_draw_nothing() {
    use tweedie_solvers::{Ddim, Heun};
    let (_, schedule) = schedules().remove(1);
    let prior = GaussianPrior::new(exact(&[0.7], [1, 1]), 0.25);
    let process = Reverse::new(schedule, prior, 0.0);
    let span = Span { from: 0.5, to: 0.4 };
    let x = exact(&[1.0], [1, 1]);
    EulerMaruyama.step(&process, &mut (), x.clone(), span, &mut NoNoise);
    Heun.step(&process, &mut (), x.clone(), span, &mut NoNoise);
    Ddim::new(0.0).step(&process, &mut (), x, span, &mut NoNoise);
}
