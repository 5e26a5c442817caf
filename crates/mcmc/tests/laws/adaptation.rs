//! Dual averaging: its recursion, the acceptance that it reaches, and that it ends.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_mcmc::{
    Adaptive, ChainError, ChainState, Hmc, Info, Mala, MarkovKernel, Position, StepSize, Tunable,
};
use tweedie_testkit::{assert_close, exact, values};

use crate::skewed::{Skewed, advance, rng};
use crate::support::Quadratic;

/// Moves nowhere, and accepts with probability `1/(1 + e/c)` a step of length `e` of the chain at `c`.
struct Rehearsal;

const FIRST: f64 = 0.02;

impl MarkovKernel<2> for Rehearsal {
    type State = Position<2>;

    fn init(&self, position: Tensor<2>) -> Position<2> {
        Position(position)
    }
    fn step(&self, state: Position<2>, _: &mut dyn Noise<2>) -> (Position<2>, Info) {
        (state, Info::default())
    }
    /// So that a test can see it.
    fn freeze(&self, Position(scale): Position<2>) -> Position<2> {
        Position(scale.neg())
    }
    fn gradients(&self) -> usize {
        0
    }
    fn step_size(&self) -> Option<StepSize> {
        StepSize::new(FIRST, Some(1.5)).ok()
    }
    fn describe(&self) -> String {
        "rehearsal".into()
    }
}

impl Tunable<2> for Rehearsal {
    fn step_with(
        &self,
        Position(scale): Position<2>,
        step_sizes: Tensor<2>,
        _: &mut dyn Noise<2>,
    ) -> (Position<2>, Info) {
        let chains = scale.dims()[0];
        let acceptance = (step_sizes / scale.clone()).add_scalar(1.0).recip();
        let info = Info {
            acceptance: Some(acceptance.reshape([chains])),
            energy: None,
        };
        (Position(scale), info)
    }
    fn target_acceptance(&self) -> f64 {
        0.8
    }
}

/// The step sizes that one chain takes, and the average at the end, as the paper has them.
fn recursion(scale: f64, steps: usize, target: f64) -> (Vec<f64>, f64) {
    let (gamma, t0, kappa, mu) = (0.05, 10.0, 0.75, (10.0 * FIRST).ln());
    let (mut sum, mut step, mut average) = (0.0, FIRST, 1.0f64);
    let mut taken = vec![];
    for m in 1..=steps {
        let m = m as f64;
        taken.push(step);
        let acceptance = 1.0 / (1.0 + step / scale);
        sum = (1.0 - 1.0 / (m + t0)) * sum + (target - acceptance) / (m + t0);
        step = (mu - m.sqrt() / gamma * sum).exp();
        average = (m.powf(-kappa) * step.ln() + (1.0 - m.powf(-kappa)) * average.ln()).exp();
    }
    (taken, average)
}

#[test]
fn the_recursion_is_that_of_the_paper() {
    let scales = [0.01, 0.5, 40.0];
    let steps = 50;
    for target in [0.8, 0.6] {
        let kernel = Adaptive::new(Rehearsal)
            .with_target_acceptance(target)
            .unwrap();
        let mut state = kernel.init(exact(&scales, [3, 1]));
        let mut taken = vec![];
        for _ in 0..steps {
            taken.push(values(&state.step_sizes()));
            state = kernel.step(state, &mut rng(1)).0;
        }
        let ended = kernel.freeze(state);
        // The kernel is told, too.
        assert_eq!(values(ended.position()), scales.map(|scale| -scale));
        let ended = values(&ended.step_sizes());
        for (chain, scale) in scales.into_iter().enumerate() {
            let (expected, average) = recursion(scale, steps, target);
            for (taken, expected) in taken.iter().zip(expected) {
                assert_close("step", &[taken[chain] / expected], &[1.0], 1e-10);
            }
            assert_close("average", &[ended[chain] / average], &[1.0], 1e-10);
            // The step that is accepted with the target probability is near.
            let fixed = scale * (1.0 / target - 1.0);
            assert!(
                (ended[chain] / fixed).ln().abs() < 0.5,
                "{} {fixed}",
                ended[chain]
            );
        }
    }
    // The target of the kernel itself.
    let kernel = Adaptive::new(Rehearsal);
    let state = advance(
        &kernel,
        kernel.init(exact(&[0.5], [1, 1])),
        steps,
        &mut rng(1),
    );
    let ended = values(&kernel.freeze(state).step_sizes());
    assert_close(
        "own",
        &[ended[0] / recursion(0.5, steps, 0.8).1],
        &[1.0],
        1e-10,
    );
}

const DIMENSION: usize = 20;
const CHAINS: usize = 50;

fn target() -> Quadratic {
    Quadratic {
        mean: (0..DIMENSION).map(|i| 0.1 * i as f64 - 1.0).collect(),
        precision: (0..DIMENSION).map(|i| 1.0 + 0.15 * i as f64).collect(),
    }
}

/// The mean acceptance after a burn-in of so many steps, from exact draws of the target.
fn reached<K: Tunable<2>>(kernel: K, burn_in: usize) -> f64 {
    let kernel = Adaptive::new(kernel);
    let mut noise = rng(100);
    let normal = values(&noise.normal([CHAINS, DIMENSION]));
    let Quadratic { mean, precision } = target();
    let draw = |(i, n): (usize, &f64)| mean[i % DIMENSION] + n / precision[i % DIMENSION].sqrt();
    let start: Vec<f64> = normal.iter().enumerate().map(draw).collect();
    let state = kernel.init(exact(&start, [CHAINS, DIMENSION]));
    let mut state = kernel.freeze(advance(&kernel, state, burn_in, &mut noise));
    let mut total = 0.0;
    let steps = 40;
    for _ in 0..steps {
        let (next, info) = kernel.step(state, &mut noise);
        state = next;
        total += values(&info.acceptance.unwrap().mean())[0];
    }
    total / f64::from(steps)
}

#[test]
fn bad_first_steps_end_at_the_target_acceptance() {
    // Steps of the search still spread by a factor of order e^(1/(gamma sqrt(t))), and the acceptance at their mean is above
    // their mean acceptance, by less than that. Five leapfrog steps, since the acceptance of three is no falling function
    // of their length on this target.
    let tolerance = 0.04;
    for (factor, before) in [(1e-4, 1.0), (100.0, 0.0)] {
        let mala = || Mala::new(target(), 0.25 * factor).unwrap();
        assert_close("mala", &[reached(mala(), 1000)], &[0.574], tolerance);
        let hmc = || Hmc::new(target(), 0.7 * factor, 5).unwrap();
        assert_close("hmc", &[reached(hmc(), 1000)], &[0.8], tolerance);
        // Without burn-in they stay where they were.
        assert_close("mala", &[reached(mala(), 0)], &[before], 1e-3);
        assert_close("hmc", &[reached(hmc(), 0)], &[before], 1e-3);
    }
}

#[test]
fn a_step_does_not_depend_on_the_other_chains() {
    let kernel = Adaptive::new(Mala::new(Skewed, 0.1).unwrap());
    let start = rng(110).normal([5, 2]);
    let together = advance(&kernel, kernel.init(start.clone()), 20, &mut rng(111));
    let alone = kernel.init(start.narrow(0, 3, 1));
    let alone = advance(&kernel, alone, 20, &mut rng(111).starting_at(3));
    let (together, alone) = (together.parts(), alone.parts());
    assert_eq!(alone.len(), 5);
    for (together, alone) in together.iter().zip(&alone) {
        assert_close(
            "row",
            &values(&together.clone().narrow(0, 3, 1)),
            &values(alone),
            1e-12,
        );
    }
    let steps = values(&together[3]);
    assert!(steps.iter().any(|step| *step != steps[3]));
}

#[test]
fn frozen_steps_stay() {
    let kernel = Adaptive::new(Hmc::new(Skewed, 0.3, 2).unwrap());
    let mut noise = rng(120);
    let state = advance(&kernel, kernel.init(noise.normal([6, 2])), 10, &mut noise);
    let running = values(&state.step_sizes());
    let next = advance(&kernel, state.clone(), 1, &mut noise);
    assert_ne!(values(&next.step_sizes()), running);
    let state = kernel.freeze(state);
    let fixed = values(&state.step_sizes());
    assert_ne!(fixed, running, "the average is not the last step");
    let moved = advance(&kernel, state.clone(), 10, &mut noise);
    assert_eq!(values(&moved.step_sizes()), fixed);
    assert_eq!(values(&kernel.freeze(moved.clone()).step_sizes()), fixed);
    assert_ne!(values(moved.position()), values(state.position()));
    // A burn-in of no steps leaves the first one.
    let unmoved = kernel.freeze(kernel.init(exact(&[0.0, 0.0], [1, 2])));
    assert_close("first", &values(&unmoved.step_sizes()), &[0.3], 1e-12);
}

#[test]
fn adaptation_resumes_bit_for_bit() {
    let kernel = Adaptive::new(Mala::new(Skewed, 0.1).unwrap());
    let mut noise = rng(130);
    let start = kernel.init(noise.normal([6, 2]));
    let running = advance(&kernel, start, 7, &mut noise);
    for state in [running.clone(), kernel.freeze(running)] {
        let resumed = kernel.restore(state.parts()).unwrap();
        let (mut one, mut other) = (noise.clone(), noise.clone());
        let through = advance(&kernel, state, 5, &mut one).parts();
        let resumed = advance(&kernel, resumed, 5, &mut other).parts();
        let read = |parts: Vec<Tensor<2>>| parts.iter().map(values).collect::<Vec<_>>();
        assert_eq!(read(through), read(resumed));
    }
    assert!(kernel.restore(vec![exact(&[0.0, 0.0], [1, 2])]).is_none());
}

/// Whether the first step of the search is that of the kernel itself.
fn assert_same_first_step<K: Tunable<2> + Clone>(kernel: K) {
    let start = rng(140).normal([30, 2]);
    let (plain, _) = kernel.step(kernel.init(start.clone()), &mut rng(141));
    let adaptive = Adaptive::new(kernel);
    let (adapted, _) = adaptive.step(adaptive.init(start.clone()), &mut rng(141));
    let (plain, adapted) = (values(plain.position()), values(adapted.position()));
    assert_close("first step", &adapted, &plain, 1e-12);
    assert_ne!(plain, values(&start));
}

#[test]
fn step_sizes_for_each_chain_are_in_the_unit_of_the_kernel() {
    assert_same_first_step(Mala::new(Skewed, 0.1).unwrap());
    assert_same_first_step(Hmc::new(Skewed, 0.3, 3).unwrap());
}

#[test]
fn the_step_told_is_the_first_one() {
    let kernel = Adaptive::new(Rehearsal);
    let told = MarkovKernel::<2>::step_size(&kernel).unwrap();
    assert_eq!((told.value, told.bound), (FIRST, Some(1.5)));
    for target in [0.0, 1.0, -0.5, f64::NAN] {
        let error = Adaptive::new(Rehearsal).with_target_acceptance(target);
        let name = "target_acceptance";
        assert!(matches!(error, Err(ChainError::OutOfRange { name: n, .. }) if n == name));
    }
}
