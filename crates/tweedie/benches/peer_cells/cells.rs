//! The cells: whole runs of a number of steps, with a denoiser that costs one pass over the image.

use std::cell::RefCell;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Instant;

use tweedie::burn::tensor::{Device, Tensor, TensorData};
use tweedie::core::{Denoiser, Rng, Schedule, TimeGrid, VarianceExploding, VariancePreserving};
use tweedie::fidelity::{
    Ald, Dps, Isotropic, L2, Mmps, NoisyFidelity, Pigdm, Posterior, ScorePrior,
};
use tweedie::mcmc::{ChainConfig, MarkovKernel, PosteriorDensity, SkRock, Ula, sample_chains};
use tweedie::physics::{ForwardOperator, Inpainting};
use tweedie::samplers::{
    Ddrm, DdrmConfig, DiffPir, DiffPirConfig, DiffusionSampler, Measurement, PosteriorSampler,
};
use tweedie::sde::Reverse;
use tweedie::solvers::{Ddim, Ddpm, EulerMaruyama, Solver};

const NOISE_STD: f64 = 0.05;

/// Noise level of the chains' prior, and their steps: half of ULA's largest, and 50 times that for SK-ROCK.
const PRIOR_SIGMA: f64 = 0.1;
const ULA_STEP: f64 = 0.001;
const SK_ROCK_STEP: f64 = 0.05;
const STAGES: usize = 10;

/// The batch of a run, and where it lies.
#[derive(Clone)]
struct Place {
    shape: [usize; 4],
    device: Device,
}

/// A run of so many steps.
pub(crate) type Cell = Box<dyn Fn(usize)>;

/// When the denoiser was called.
pub(crate) type Calls = Rc<RefCell<Vec<Instant>>>;

/// `D(x) = 0.001 x`: small, so that no guidance overshoots at the largest noise level.
#[derive(Clone, Default)]
pub(crate) struct Free {
    calls: Calls,
}

impl Denoiser for Free {
    fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
        self.calls.borrow_mut().push(Instant::now());
        noisy * 0.001
    }
}

/// `D(x) = w x` with weights from 0.5 to 1, so that conjugate gradients need all of their iterations.
#[derive(Clone)]
struct Ramp {
    weights: Tensor<4>,
    calls: Calls,
}

impl Denoiser for Ramp {
    fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
        self.calls.borrow_mut().push(Instant::now());
        noisy * self.weights.clone()
    }
}

/// Every sampler by its name, on a batch of this shape.
pub(crate) fn cells(
    shape: [usize; 4],
    device: &Device,
    calls: &Calls,
) -> Vec<(&'static str, Cell)> {
    let at = Place {
        shape,
        device: device.clone(),
    };
    let free = Free {
        calls: calls.clone(),
    };
    let ramp = Ramp {
        weights: weights(&at),
        calls: calls.clone(),
    };
    let measurement = measurement(shape, device);
    let (operator, y) = (measurement.operator.clone(), measurement.y.clone());
    let noise = measurement.noise_std;
    let spread = Isotropic::default();
    let dps = Dps::annealed(operator.clone(), y.clone(), noise, spread).expect("in range");
    let pigdm = Pigdm::new(operator.clone(), y.clone(), noise, spread).expect("in range");
    let ald = Ald::new(operator.clone(), y.clone(), noise).expect("in range");
    let moments = Mmps::new(operator.clone(), y.clone(), noise);
    let moments = moments.and_then(|moments| moments.with_iterations(3));
    let moments = moments.expect("in range");
    let l2 = L2::new(operator, y, noise).expect("in range");

    let target = PosteriorDensity {
        fidelity: l2.clone(),
        prior: ScorePrior::new(free.clone(), PRIOR_SIGMA, 1.0).expect("in range"),
    };
    let ula = Ula::new(target.clone(), ULA_STEP).expect("in range");
    let sk_rock = SkRock::new(target, STAGES, 0.05, SK_ROCK_STEP).expect("in range");

    let exploding = VarianceExploding::new(0.001, 80.0).expect("an increasing range");
    let ddim = Ddim::new(0.0).expect("in range");
    let prior = free.clone();
    let diffpir = move |grid| {
        let config = DiffPirConfig::default();
        DiffPir::new(preserving(), prior.clone(), l2.clone(), grid, config).expect("in range")
    };
    let prior = free.clone();
    let ddrm = move |grid| ddrm(prior.clone(), measurement.clone(), grid);
    vec![
        ("dps", guided(&at, free.clone(), dps)),
        ("pigdm", guided(&at, free.clone(), pigdm)),
        ("moment-matching", guided(&at, ramp, moments)),
        ("ald", guided(&at, free.clone(), ald)),
        ("ddrm", cell(&at, ddrm)),
        ("diffpir", cell(&at, diffpir)),
        ("ve-euler", unguided(&at, &free, exploding, EulerMaruyama)),
        (
            "vp-euler",
            unguided(&at, &free, preserving(), EulerMaruyama),
        ),
        ("ddim", unguided(&at, &free, preserving(), ddim)),
        ("ddpm", unguided(&at, &free, preserving(), Ddpm)),
        ("ula", chains(&at, ula)),
        ("sk-rock", chains(&at, sk_rock)),
    ]
}

fn cell<S: PosteriorSampler>(at: &Place, sampler: impl Fn(TimeGrid) -> S + 'static) -> Cell {
    let Place { shape, device } = at.clone();
    Box::new(move |steps| run(&sampler(grid(steps)), shape, &device))
}

/// A run of which each state is counted.
fn chains<K: MarkovKernel + 'static>(at: &Place, kernel: K) -> Cell {
    let Place { shape, device } = at.clone();
    Box::new(move |steps| {
        let config = ChainConfig {
            iterations: steps,
            burn_in: 0,
            ..ChainConfig::default()
        };
        let start = Tensor::full(shape, 0.5, &device);
        let mut rng = Rng::seeded(0, &device);
        let run = sample_chains(&kernel, start, &config, &mut rng, |_| {
            ControlFlow::Continue(())
        });
        black_box(run.expect("a finite run"));
    })
}

fn guided<P, G>(at: &Place, prior: P, guidance: G) -> Cell
where
    P: Denoiser + Clone + 'static,
    G: NoisyFidelity + Clone + 'static,
{
    cell(at, move |grid| {
        let (prior, guidance) = (prior.clone(), guidance.clone());
        let process = Reverse::sde(preserving(), Posterior { prior, guidance });
        DiffusionSampler::new(process, Ddpm, grid)
    })
}

fn unguided<S, M>(at: &Place, free: &Free, schedule: S, solver: M) -> Cell
where
    S: Schedule + Copy + 'static,
    M: Solver<Reverse<S, Free>> + Copy + 'static,
{
    let free = free.clone();
    cell(at, move |grid| {
        DiffusionSampler::new(Reverse::sde(schedule, free.clone()), solver, grid)
    })
}

fn weights(at: &Place) -> Tensor<4> {
    let count = at.shape.iter().product();
    let weights = (0..count)
        .map(|at| 0.5 + 0.5 * at as f64 / count as f64)
        .collect();
    Tensor::from_data(TensorData::new::<f64, _>(weights, at.shape), &at.device)
}

pub(crate) fn ddrm<P: Denoiser>(
    prior: P,
    measurement: Measurement<Inpainting>,
    grid: TimeGrid,
) -> impl PosteriorSampler {
    Ddrm::new(
        preserving(),
        prior,
        measurement,
        grid,
        DdrmConfig::default(),
    )
    .expect("within the horizon")
}

/// Half of the pixels, the same in all channels and images.
pub(crate) fn measurement(shape: [usize; 4], device: &Device) -> Measurement<Inpainting> {
    let operator = Inpainting::random([shape[2], shape[3]], 0.5, 0, device).expect("half of them");
    let y = operator.forward(Tensor::full(shape, 0.5, device));
    Measurement {
        operator,
        y,
        noise_std: NOISE_STD,
    }
}

pub(crate) fn preserving() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).expect("increasing rates")
}

pub(crate) fn grid(steps: usize) -> TimeGrid {
    TimeGrid::uniform(1.0, 0.0, steps).expect("at least one step")
}

pub(crate) fn run(sampler: &impl PosteriorSampler, shape: [usize; 4], device: &Device) {
    let samples = sampler.sample(shape, &mut Rng::seeded(0, device), &mut |_| ());
    black_box(samples.expect("a finite run"));
}
