//! The loop: what the observer sees, and what a recorder keeps.

use tweedie_core::{Counted, GaussianPrior, TimeGrid, VariancePreserving};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Heun, Recorder, integrate};
use tweedie_testkit::{exact, values};

type Process = Reverse<VariancePreserving, Counted<GaussianPrior<2>>>;

fn process() -> Process {
    let prior = GaussianPrior::new(exact(&[0.7], [1, 1]), 0.25);
    Reverse::new(
        VariancePreserving::new(0.1, 20.0).unwrap(),
        Counted::new(prior),
        0.0,
    )
}

struct Silent;
impl tweedie_core::Noise<2> for Silent {
    fn normal(&mut self, _: [usize; 2]) -> burn::tensor::Tensor<2> {
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
        &Ddim::new(0.0),
        exact(&[1.0], [1, 1]),
        &grid,
        &mut Silent,
        |step| {
            seen.push((step.index, step.steps, step.span));
            last = values(step.state);
        },
    );
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
            &Ddim::new(0.0),
            exact(&[1.0], [1, 1]),
            &grid,
            &mut Silent,
            |step| {
                recorder.record(&step);
            },
        );
        let states = recorder.into_states();
        assert_eq!(states.len(), expected, "{steps} steps, {frames} frames");
        let (time, state) = states.last().unwrap();
        assert_eq!((*time, values(state)), (0.0, values(&end)));
        assert!(states.windows(2).all(|pair| pair[0].0 > pair[1].0));
    }
}

#[test]
fn evaluations_are_as_documented() {
    let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
    let count = |run: &dyn Fn(&Process)| {
        let process = process();
        run(&process);
        process.prior().evaluations()
    };
    let start = || exact(&[1.0], [1, 1]);
    let ddim = |p: &_| {
        drop(integrate(
            p,
            &Ddim::new(0.0),
            start(),
            &grid,
            &mut Silent,
            |_| (),
        ))
    };
    let heun = |p: &_| drop(integrate(p, &Heun, start(), &grid, &mut Silent, |_| ()));
    assert_eq!(count(&ddim), 6);
    // The last step ends where there is no score, so it keeps its predictor.
    assert_eq!(count(&heun), 11);
}
