//! The loop: what the observer sees, and what a recorder keeps.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Counted, Denoiser, GaussianPrior, Rng, Schedule, TimeGrid, VariancePreserving};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Heun, Recorder, SolveError, integrate};
use tweedie_testkit::{device, exact, values};

use crate::support::{PRIOR, ddim, process as registered, registry, schedules};

type Process = Reverse<VariancePreserving, Counted<GaussianPrior<2>>>;

fn process() -> Process {
    let prior = GaussianPrior::new(exact(&[0.7], [1, 1]), 0.25);
    Reverse::flow(
        VariancePreserving::new(0.1, 20.0).unwrap(),
        Counted::new(prior),
    )
}

struct Silent;
impl tweedie_core::Noise<2> for Silent {
    fn normal(&mut self, _: [usize; 2]) -> Tensor<2> {
        panic!("nothing is drawn");
    }
}

#[test]
fn observer_sees_each_step_in_order() {
    let grid = TimeGrid::uniform(1.0, 0.0, 5).unwrap();
    let mut seen = Vec::new();
    let mut last = Vec::new();
    let end = integrate(
        &process(),
        &ddim(0.0),
        exact(&[1.0], [1, 1]),
        &grid,
        &mut Silent,
        |step| {
            seen.push((step.index, step.steps, step.span));
            last = values(step.state);
        },
    )
    .unwrap();
    assert_eq!(seen.len(), 5);
    for (k, (span, seen)) in grid.spans().zip(&seen).enumerate() {
        assert_eq!(*seen, (k, 5, span));
    }
    assert_eq!(values(&end), last);
}

#[test]
fn recorder_keeps_the_frames_asked_for() {
    for (steps, frames, expected) in [(10, 5, 5), (7, 3, 3), (3, 9, 3), (4, 1, 1)] {
        let grid = TimeGrid::uniform(1.0, 0.0, steps).unwrap();
        let mut recorder = Recorder::new(frames);
        let end = integrate(
            &process(),
            &ddim(0.0),
            exact(&[1.0], [1, 1]),
            &grid,
            &mut Silent,
            |step| {
                recorder.record(&step);
            },
        )
        .unwrap();
        let states = recorder.into_states();
        assert_eq!(states.len(), expected, "{steps} steps, {frames} frames");
        let (time, state) = states.last().unwrap();
        assert_eq!((*time, values(state)), (0.0, values(&end)));
        assert!(states.windows(2).all(|pair| pair[0].0 > pair[1].0));
    }
}

#[test]
fn evaluations_are_as_documented() {
    let (_, schedule) = schedules().remove(1);
    // Steps that are short enough for every method.
    let grid = TimeGrid::uniform(0.3, 0.1, 6).unwrap();
    for member in registry() {
        let process = registered(PRIOR, &schedule, member.alpha);
        let mut noise = Rng::seeded(1, &device()).with_dtype(DType::F64);
        (member.run)(&process, exact(&[1.0], [1, 1]), &grid, &mut noise);
        let (found, expected) = (process.prior().evaluations(), (member.evaluations)(6));
        assert_eq!(found, expected, "{}", member.name);
    }
}

#[test]
fn the_last_step_of_heun_keeps_its_predictor_where_there_is_no_score() {
    let process = process();
    let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
    let start = exact(&[1.0], [1, 1]);
    drop(integrate(&process, &Heun, start, &grid, &mut Silent, |_| ()).unwrap());
    assert_eq!(process.prior().evaluations(), 11);
}

/// Exact until the noise level falls below 1, infinite from there on.
struct Breaks(GaussianPrior<2>);

impl Denoiser<2> for Breaks {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let clean = self.0.denoise(noisy, sigma);
        if sigma < 1.0 { clean / 0.0 } else { clean }
    }
}

#[test]
fn a_run_that_diverges_says_where() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = Breaks(GaussianPrior::new(exact(&[0.7], [1, 1]), 0.25));
    let process = Reverse::flow(schedule, prior);
    let grid = TimeGrid::uniform(1.0, 0.0, 10).unwrap();
    let start = exact(&[1.0, -1.0], [2, 1]);
    let error = integrate(&process, &ddim(0.0), start, &grid, &mut Silent, |_| ()).unwrap_err();
    // The first step that starts below level 1 is the first bad one.
    let step = 1 + grid
        .spans()
        .position(|span| schedule.sigma(span.from) < 1.0)
        .unwrap();
    let time = grid.times()[step];
    assert_eq!(
        error,
        SolveError::Diverged {
            step,
            steps: 10,
            time
        }
    );
    let message = error.to_string();
    assert!(
        message.contains(&format!("after step {step} of 10, at time {time}")),
        "{message}"
    );
}

#[test]
fn a_grid_beyond_the_horizon_is_refused() {
    let grid = TimeGrid::uniform(1.5, 0.0, 10).unwrap();
    let start = exact(&[1.0], [1, 1]);
    let error = integrate(&process(), &ddim(0.0), start, &grid, &mut Silent, |_| ()).unwrap_err();
    let expected = SolveError::OutsideHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(error, expected);
}

#[test]
fn settings_out_of_range_are_refused() {
    let error = Ddim::new(1.5).unwrap_err();
    assert_eq!(error.to_string(), "eta must be in [0, 1], found 1.5");
    assert!(Ddim::new(f64::NAN).is_err());
}
