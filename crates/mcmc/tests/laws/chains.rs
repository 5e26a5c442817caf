//! What the tests of runs share: chains whose states are known, and what a run has told.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};
use tweedie_core::{Noise, Rng};
use tweedie_mcmc::{
    ChainConfig, ChainEvent, ChainRun, ChainState, Info, MarkovKernel, Phase, Position, StepSize,
};
use tweedie_testkit::{device, exact, values};

pub(crate) const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

/// What a [`Counter`] adds when it is frozen.
pub(crate) const FROZEN: f64 = 1000.0;

/// Adds 1 to each pixel in each step, so that a state tells after which iteration it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    /// The chain that leaves the numbers, and the state that it should have had.
    pub(crate) bad: Option<(usize, f64)>,
    /// What it has there instead.
    pub(crate) instead: f64,
    /// Whether it refuses to be clipped.
    pub(crate) refuses: bool,
}

impl<const D: usize> MarkovKernel<D> for Counter {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, Position(x): Position<D>, _: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let mut next = x + 1.0;
        let chains = next.dims()[0];
        if let Some((chain, state)) = self.bad {
            let row = next.clone().narrow(0, chain, 1);
            let row = row.clone().mask_fill(row.equal_elem(state), self.instead);
            let mut rows = next.split(1, 0);
            rows[chain] = row;
            next = Tensor::cat(rows, 0);
        }
        let first: Tensor<2> = next.clone().reshape([chains as i32, -1]);
        let first = first.narrow(1, 0, 1).reshape([chains]);
        let info = Info {
            acceptance: Some(first.ones_like() * 0.25),
            energy: Some(first * 2.0),
        };
        (Position(next), info)
    }

    fn freeze(&self, Position(x): Position<D>) -> Position<D> {
        Position(x + FROZEN)
    }

    fn moved(&self, _: Position<D>, position: Tensor<D>) -> Option<Position<D>> {
        (!self.refuses).then_some(Position(position))
    }

    fn gradients(&self) -> usize {
        3
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(StepSize::new(2.0, Some(1.0)).unwrap())
    }

    fn describe(&self) -> String {
        "counter".into()
    }
}

/// `v <- 0.5 v + g n`, `x <- rho x + v`, where the gain `g` shrinks until the kernel is frozen: a kernel of three parts.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) rho: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Walker<const D: usize> {
    x: Tensor<D>,
    v: Tensor<D>,
    gain: Tensor<D>,
    /// By what the gain is multiplied: 1 when it is frozen.
    rate: Tensor<D>,
}

impl<const D: usize> ChainState<D> for Walker<D> {
    fn position(&self) -> &Tensor<D> {
        &self.x
    }

    fn parts(&self) -> Vec<Tensor<D>> {
        [&self.x, &self.v, &self.gain, &self.rate]
            .map(Tensor::clone)
            .into()
    }
}

impl<const D: usize> MarkovKernel<D> for Walk {
    type State = Walker<D>;

    fn init(&self, x: Tensor<D>) -> Walker<D> {
        Walker {
            v: x.zeros_like(),
            gain: x.ones_like(),
            rate: x.ones_like() * 0.9,
            x,
        }
    }

    fn step(&self, state: Walker<D>, noise: &mut dyn Noise<D>) -> (Walker<D>, Info) {
        let fresh = noise.normal(state.x.dims());
        let v = state.v * 0.5 + fresh * state.gain.clone();
        let x = state.x * self.rho + v.clone();
        let info = Info {
            acceptance: None,
            energy: Some(tweedie_physics::squared_norm(x.clone())),
        };
        let gain = state.gain * state.rate.clone();
        let rate = state.rate;
        (Walker { x, v, gain, rate }, info)
    }

    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Walker<D>> {
        let [x, v, gain, rate] = parts.try_into().ok()?;
        Some(Walker { x, v, gain, rate })
    }

    fn freeze(&self, state: Walker<D>) -> Walker<D> {
        let rate = state.rate.ones_like();
        Walker { rate, ..state }
    }

    fn moved(&self, state: Walker<D>, x: Tensor<D>) -> Option<Walker<D>> {
        Some(Walker { x, ..state })
    }

    fn gradients(&self) -> usize {
        1
    }

    fn step_size(&self) -> Option<StepSize> {
        None
    }

    fn describe(&self) -> String {
        format!("walk, rho {:e}", self.rho)
    }
}

/// Draws that are independent of each other.
pub(crate) struct Independent;

impl<const D: usize> MarkovKernel<D> for Independent {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }
    fn step(&self, state: Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        (Position(noise.normal(state.0.dims())), Info::default())
    }
    fn gradients(&self) -> usize {
        0
    }
    fn step_size(&self) -> Option<StepSize> {
        None
    }
    fn describe(&self) -> String {
        "independent".into()
    }
}

pub(crate) fn config(iterations: usize, burn_in: usize, thinning: usize) -> ChainConfig {
    ChainConfig {
        iterations,
        burn_in,
        thinning,
        ..ChainConfig::default()
    }
}

pub(crate) fn rng() -> Rng {
    Rng::seeded(7, &device()).with_dtype(DType::F64)
}

pub(crate) fn zeros(chains: usize, pixels: usize) -> Tensor<2> {
    exact(&vec![0.0; chains * pixels], [chains, pixels])
}

/// What a run has told, in words of the test.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) steps_above: usize,
    pub(crate) draws: Vec<Vec<f64>>,
    pub(crate) iterations: Vec<(usize, Phase)>,
    pub(crate) checks: Vec<(usize, Option<f64>, Option<f64>)>,
    pub(crate) checkpoints: Vec<usize>,
}

impl Told {
    pub(crate) fn hear(&mut self, event: &ChainEvent<'_, 2>) {
        match *event {
            ChainEvent::StepAboveBound(_) => self.steps_above += 1,
            ChainEvent::Draw { index, draws } => {
                assert_eq!(index, self.draws.len());
                self.draws.push(values(draws));
            }
            ChainEvent::Iteration {
                iteration, phase, ..
            } => {
                self.iterations.push((iteration, phase));
            }
            ChainEvent::Check {
                iteration,
                ess,
                rhat,
            } => self.checks.push((iteration, ess, rhat)),
            ChainEvent::Checkpoint { iteration, .. } => self.checkpoints.push(iteration),
            _ => {}
        }
    }
}

/// Every number of a run, for comparisons bit for bit.
pub(crate) fn numbers(run: &ChainRun<2>) -> Vec<Vec<f64>> {
    let mut all = vec![vec![run.iterations as f64, run.draws as f64]];
    let functions = run.functions.iter().map(|(_, statistics)| statistics);
    for statistics in run.statistics.iter().chain(functions) {
        let optional = [
            &statistics.std,
            &statistics.ess,
            &statistics.rhat,
            &statistics.mcse,
            &statistics.quantiles,
            &statistics.autocorrelation,
        ];
        all.push(values(&statistics.mean));
        all.extend(
            optional
                .into_iter()
                .map(|o| o.as_ref().map(values).unwrap_or_default()),
        );
    }
    all.extend(run.traces.iter().flat_map(|trace| trace.chains.clone()));
    all.extend(run.kept.iter().map(values));
    all.push(values(&run.position));
    all
}
