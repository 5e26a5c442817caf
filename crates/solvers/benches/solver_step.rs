//! What a step of each solver costs beside the denoiser: the time of one step with a denoiser that is free, on the CPU, in
//! single precision.

use burn::tensor::{Device, Tensor};
use divan::{Bencher, counter::ItemsCount};
use tweedie_core::{Denoiser, Rng, Schedule, TimeGrid, VarianceExploding, VariancePreserving};
use tweedie_sde::{Reverse, pure_noise};
use tweedie_solvers::{
    AdamsBashforth, Ddim, Ddpm, DpmSolver2, DpmSolverPp2M, DpmSolverPp2MSde, DpmSolverPp2S,
    DpmSolverPp3MSde, Edm, EdmConfig, EulerMaruyama, ExponentialEuler, Heun, Rk4, Solver, UniPc,
    integrate,
};

const SHAPES: [[usize; 4]; 2] = [[16, 3, 64, 64], [1, 3, 256, 256]];

/// Steps of one run; the figures are those of one step.
const STEPS: usize = 10;

fn main() {
    divan::main();
}

/// Gives back what it gets: no arithmetic, no copy.
struct Free;

impl Denoiser for Free {
    fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
        noisy
    }
}

type Process<S> = Reverse<S, Free>;

fn run<S: Schedule + Copy>(
    bencher: Bencher<'_, '_>,
    shape: [usize; 4],
    schedule: S,
    alpha: f64,
    solver: impl Solver<Process<S>>,
) {
    let device = Device::flex();
    let mut rng = Rng::seeded(0, &device);
    let start = pure_noise(&schedule, shape, 0.9, &mut rng);
    let process = Reverse::new(schedule, Free, alpha).expect("in range");
    let grid = TimeGrid::uniform(0.9, 0.1, STEPS).expect("decreasing");
    bencher.counter(ItemsCount::new(STEPS)).bench_local(|| {
        integrate(&process, &solver, start.clone(), &grid, &mut rng, |_| ()).expect("finite")
    });
}

macro_rules! benches {
    ($($name:ident: $alpha:literal, $solver:expr;)*) => {
        /// The schedule that scales the state.
        mod preserving {
            use super::*;
            $(#[divan::bench(args = SHAPES, sample_count = 20)]
            fn $name(bencher: Bencher<'_, '_>, shape: [usize; 4]) {
                let schedule = VariancePreserving::new(0.1, 20.0).expect("in range");
                run(bencher, shape, schedule, $alpha, $solver);
            })*
        }

        /// The schedule that does not.
        mod exploding {
            use super::*;
            $(#[divan::bench(args = SHAPES, sample_count = 20)]
            fn $name(bencher: Bencher<'_, '_>, shape: [usize; 4]) {
                let schedule = VarianceExploding::new(0.01, 50.0).expect("in range");
                run(bencher, shape, schedule, $alpha, $solver);
            })*
        }
    };
}

benches! {
    euler: 0.0, EulerMaruyama;
    euler_maruyama: 1.0, EulerMaruyama;
    heun: 0.0, Heun;
    heun_stochastic: 1.0, Heun;
    rk4: 0.0, Rk4;
    ddim: 0.0, Ddim::new(0.0).expect("in range");
    ddpm: 1.0, Ddpm;
    exponential_euler: 1.0, ExponentialEuler;
    edm: 0.0, Edm::new(EdmConfig::deterministic(STEPS)).expect("in range");
    dpm_solver_2: 0.0, DpmSolver2;
    dpm_solver_pp_2s: 0.0, DpmSolverPp2S;
    dpm_solver_pp_2m: 0.0, DpmSolverPp2M;
    unipc: 0.0, UniPc::new(2).expect("in range");
    adams_bashforth: 0.0, AdamsBashforth::new(4).expect("in range");
    dpm_solver_pp_2m_sde: 1.0, DpmSolverPp2MSde::new(1.0).expect("in range");
    dpm_solver_pp_3m_sde: 1.0, DpmSolverPp3MSde::new(1.0).expect("in range");
}
