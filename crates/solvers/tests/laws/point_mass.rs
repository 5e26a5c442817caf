//! For a point mass, solvers that use the linear structure are exact at any step size.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, TimeGrid};
use tweedie_sde::Diffusion;
use tweedie_solvers::{Ddpm, Solver, integrate};
use tweedie_testkit::{Moments, affine_law};

use crate::support::{marginal, process, registry, schedules};

const POINT: Moments = Moments {
    mean: 0.7,
    variance: 0.0,
};

/// Relative to the size of the numbers on the way.
fn distance(got: Moments, expected: Moments) -> f64 {
    (got.mean - expected.mean).abs() + (got.variance - expected.variance).abs()
}

#[test]
fn structured_solvers_are_exact_at_any_step_size() {
    for (schedule_name, schedule) in schedules() {
        for steps in [1, 2, 8, 32] {
            let grid = TimeGrid::uniform(0.95, 0.02, steps).unwrap();
            let expected = marginal(POINT, schedule.as_ref(), grid.end());
            for member in registry().into_iter().filter(|m| m.exact_for_points) {
                let got = member.law(POINT, &schedule, &grid);
                assert!(
                    distance(got, expected) < 1e-10,
                    "{} on {schedule_name}, {steps} steps: {got:?}, expected {expected:?}",
                    member.name
                );
            }
        }
    }
}

#[test]
fn they_end_on_the_point_itself() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        let grid = TimeGrid::uniform(0.95, 0.0, 3).unwrap();
        for member in registry().into_iter().filter(|m| m.exact_for_points) {
            let got = member.law(POINT, &schedule, &grid);
            assert!(
                distance(got, POINT) < 1e-10,
                "{} on {name}: {got:?}",
                member.name
            );
        }
    }
}

/// DDPM with `sigma_t` where `sigma_s` belongs in the fresh noise.
struct WrongNoise;

impl<P: Diffusion<2>> Solver<P, 2> for WrongNoise {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        (): &mut (),
        x: Tensor<2>,
        span: Span,
        noise: &mut dyn Noise<2>,
    ) -> Tensor<2> {
        struct Silent;
        impl Noise<2> for Silent {
            fn normal(&mut self, shape: [usize; 2]) -> Tensor<2> {
                tweedie_testkit::exact(&vec![0.0; shape[0]], shape)
            }
        }
        let std = |t: f64| process.schedule().scale(t) * process.schedule().sigma(t);
        let quiet = Ddpm.step(process, &mut (), x.clone(), span, &mut Silent);
        let loud = Ddpm.step(process, &mut (), x, span, noise);
        quiet.clone() + (loud - quiet).mul_scalar(std(span.from) / std(span.to))
    }
}

#[test]
fn a_wrong_noise_level_is_caught_here_although_it_converges() {
    let (_, schedule) = schedules().remove(1);
    let error = |prior: Moments, steps: usize| {
        let grid = TimeGrid::uniform(0.95, 0.02, steps).unwrap();
        let process = process(prior, &schedule, 1.0);
        let run = |start, noise: &mut dyn Noise<2>| {
            integrate(&process, &WrongNoise, start, &grid, noise, |_| ()).unwrap()
        };
        let got = affine_law(steps, run).output(marginal(prior, schedule.as_ref(), grid.start()));
        distance(got, marginal(prior, schedule.as_ref(), grid.end()))
    };
    assert!(error(POINT, 8) > 1e-3, "{}", error(POINT, 8));
    let prior = Moments {
        mean: 0.7,
        variance: 0.25,
    };
    assert!(error(prior, 512) < 0.6 * error(prior, 256));
}
