//! For a Gaussian prior, and for a posterior, the error of mean and variance falls at the method's order.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, GaussianPrior, Noise, Schedule, TimeGrid};
use tweedie_sde::{Diffusion, Process, Reverse, Sde};
use tweedie_solvers::{EulerMaruyama, integrate};
use tweedie_testkit::{Moments, affine_law, exact};

use crate::support::{Member, PRIOR, marginal, observed_order, process, registry, schedules};

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
    // The end has noise of the size of the prior: close to the data, stochastic methods have forgotten their errors.
    let (start, end) = (schedule.time_at(20.0), schedule.time_at(0.4));
    let grid = TimeGrid::uniform(start, end, steps).unwrap();
    let expected = marginal(target, schedule, grid.end());
    let got = law(&grid);
    [
        (got.mean - expected.mean).abs(),
        (got.variance - expected.variance).abs(),
    ]
}

/// Numbers of steps at which the leading term rules and rounding does not.
fn counts(member: &Member) -> [usize; 4] {
    let counts = match member.order {
        order if order < 1.5 => [256, 512, 1024, 2048],
        _ => [128, 256, 512, 1024],
    };
    counts.map(|steps| member.finer * steps)
}

/// Errors of mean and variance together, for all targets, at each number of steps.
///
/// A single Gaussian may lie where the leading error of a method vanishes; narrow, middling and wide ones do not all do so.
fn falls(member: &Member, schedule: &Arc<dyn Schedule>) -> Vec<f64> {
    let wide = Moments {
        mean: -0.4,
        variance: 1.0,
    };
    let error = |steps| {
        [posterior(), PRIOR, wide]
            .into_iter()
            .flat_map(|target| {
                let law = |grid: &TimeGrid| member.law(target, schedule, grid);
                errors(law, target, schedule.as_ref(), steps)
            })
            .fold(0.0, f64::hypot)
    };
    counts(member).map(error).into()
}

#[test]
fn errors_fall_at_the_order_of_the_method() {
    for (schedule_name, schedule) in schedules().into_iter().take(2) {
        for member in registry().into_iter().filter(|m| m.suits(schedule_name)) {
            let falls = falls(&member, &schedule);
            let order = observed_order(&counts(&member), &falls);
            assert!(
                (order - member.order).abs() < 0.2,
                "{} on {schedule_name} converges at order {order:.2}, expected {}: {falls:?}",
                member.name,
                member.order
            );
        }
    }
}

#[test]
fn the_limit_is_the_right_one() {
    // The order test would pass for a method that converges to a wrong law slowly enough; this one would not.
    for (schedule_name, schedule) in schedules() {
        for member in registry().into_iter().filter(|m| m.suits(schedule_name)) {
            let law = |grid: &TimeGrid| member.law(PRIOR, &schedule, grid);
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

impl Process for WrongWeight {
    fn horizon(&self) -> f64 {
        self.0.horizon()
    }
    fn is_defined_at(&self, t: f64) -> bool {
        self.0.is_defined_at(t)
    }
}

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
}

#[test]
fn a_wrong_score_weight_converges_to_a_wrong_law() {
    let (_, schedule) = schedules().remove(1);
    let wrong = |grid: &TimeGrid| {
        let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
        let process = WrongWeight(Reverse::new(schedule.clone(), prior, 0.5).unwrap());
        affine_law(grid.steps(), |start, noise| {
            integrate(&process, &EulerMaruyama, start, grid, noise, |_| ()).unwrap()
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
    let (_, schedule) = schedules().remove(1);
    let grid = TimeGrid::uniform(0.5, 0.4, 3).unwrap();
    for member in registry().iter().filter(|m| m.alpha == 0.0 && m.draws == 0) {
        let process = process(PRIOR, &schedule, 0.0);
        (member.run)(&process, exact(&[1.0], [1, 1]), &grid, &mut NoNoise);
    }
}
