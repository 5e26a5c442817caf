//! What deepinv 0.5.0 scores on the same problems (<https://deepinv.github.io>), with the same exact denoiser and as many draws.
//!
//! Measured with its released package in the settings that its documentation shows, over the schedules that it has. A method has
//! one row for each setting; a comparison takes the best of those whose number of evaluations is nearest.

use super::problem::INPAINTING;

/// A method of deepinv.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Ald,
    Ddrm,
    DiffPir,
    Dps,
    DpsAnnealed,
    /// Moment matching with three conjugate gradient steps, its default, which are not counted as evaluations.
    MomentMatching,
    /// The same with 64 steps: the exact score.
    MomentMatchingExact,
    Pigdm,
}

/// One run: evaluations, and relative W2 for inpainting and for blur.
struct Run {
    peer: Peer,
    calls: usize,
    inpainting: f64,
    blur: f64,
}

const fn run(peer: Peer, calls: usize, inpainting: f64, blur: f64) -> Run {
    Run {
        peer,
        calls,
        inpainting,
        blur,
    }
}

/// Two decimals, as they were written down.
#[rustfmt::skip]
const RUNS: &[Run] = &[
    run(Peer::Ddrm,                  20, 0.80, 0.48), // 20 sigmas linspace(1, 0), eta 0.85, eta_b 1
    run(Peer::Ddrm,                 100, 0.52, 0.55), // 100 sigmas linspace(1, 0), eta 0.85, eta_b 1
    run(Peer::Ddrm,                 100, 0.78, 0.92), // 100 sigmas, eta 1, eta_b 1
    run(Peer::DiffPir,               20, 1.20, 0.39), // 20 iterations, zeta 0.1, lambda 7: the defaults
    run(Peer::DiffPir,              100, 1.12, 0.38), // 100 iterations, zeta 0.1, lambda 7: the defaults
    run(Peer::DiffPir,              100, 0.82, 0.49), // 100 iterations, zeta 1, lambda 7
    run(Peer::Dps,                   99, 2.85, 2.08), // class DPS, defaults, 100 times
    run(Peer::Dps,                  100, 2.90, 2.13), // class DPS, Euler
    run(Peer::Dps,                  999, 2.86, 2.08), // class DPS, defaults, 1000 times
    run(Peer::Dps,                 1000, 2.86, 2.09), // class DPS, Euler
    run(Peer::Dps,                  101, 2.82, 1.99), // VE(10, alpha 0.25), Euler, norm
    run(Peer::Dps,                  101, 2.88, 2.00), // VE(10, alpha 0.25), Heun, norm
    run(Peer::Dps,                 1001, 2.90, 2.02), // VE(10, alpha 0.25), Euler, norm
    run(Peer::Dps,                  100, 2.85, 2.11), // VP(alpha 0), Euler, norm
    run(Peer::Dps,                  100, 2.86, 2.11), // VP(alpha 0), Heun, norm
    run(Peer::Dps,                 1000, 2.85, 2.10), // VP(alpha 0), Euler, norm
    run(Peer::Dps,                  101, 2.89, 2.13), // VP(alpha 1), Euler, norm
    run(Peer::Dps,                  101, 2.87, 2.16), // VP(alpha 1), Heun, norm
    run(Peer::Dps,                 1001, 2.86, 2.10), // VP(alpha 1), Euler, norm
    run(Peer::DpsAnnealed,           99, 0.97, 0.52), // class DPS, guidance annealed
    run(Peer::DpsAnnealed,          999, 0.92, 0.50), // class DPS, guidance annealed
    run(Peer::DpsAnnealed,          101, 1.34, 0.71), // VE(10, alpha 0.25), ancestral
    run(Peer::DpsAnnealed,          101, 1.45, 0.82), // VP(alpha 0), ancestral
    run(Peer::DpsAnnealed,          101, 1.02, 0.55), // VP(alpha 1), ancestral
    run(Peer::Pigdm,                101, 1.24, 0.37), // VE(10, alpha 0.25), ancestral
    run(Peer::Pigdm,                101, 1.34, 0.46), // VP(alpha 0), ancestral
    run(Peer::Pigdm,                101, 0.96, 0.29), // VP(alpha 1), ancestral
    run(Peer::Ald,                  101, 1.37, 0.49), // VE(10, alpha 0.25), ancestral
    run(Peer::Ald,                  101, 1.47, 0.78), // VP(alpha 0), ancestral
    run(Peer::Ald,                  101, 1.21, 0.44), // VP(alpha 1), ancestral
    run(Peer::MomentMatching,       101, 0.13, 0.20), // VE(10, alpha 0.25), Euler
    run(Peer::MomentMatching,       101, 0.12, 0.20), // VE(10, alpha 0.25), Heun
    run(Peer::MomentMatching,       101, 0.13, 0.21), // VE(10, alpha 0.25), ancestral
    run(Peer::MomentMatching,       100, 0.20, 0.26), // VP(alpha 0), Euler
    run(Peer::MomentMatching,       100, 0.23, 0.29), // VP(alpha 0), Heun
    run(Peer::MomentMatching,       101, 0.23, 0.29), // VP(alpha 0), ancestral
    run(Peer::MomentMatching,       101, 0.27, 0.25), // VP(alpha 1), Euler
    run(Peer::MomentMatching,       101, 0.49, 0.45), // VP(alpha 1), Heun
    run(Peer::MomentMatching,       101, 0.24, 0.25), // VP(alpha 1), ancestral
    run(Peer::MomentMatchingExact,  101, 0.09, 0.08), // VE(10, alpha 0.25), Euler
    run(Peer::MomentMatchingExact,  101, 0.07, 0.07), // VE(10, alpha 0.25), Heun
    run(Peer::MomentMatchingExact,  101, 0.08, 0.07), // VE(10, alpha 0.25), ancestral
];

/// How far apart two numbers of evaluations count as equal: whether the last one, without noise, is made.
const EQUAL: usize = 2;

/// The best W2 of a method on a problem at the nearest number of evaluations.
pub(crate) fn best(peer: Peer, problem: &str, calls: usize) -> Option<f64> {
    let runs = || RUNS.iter().filter(|run| run.peer == peer);
    let nearest = runs().map(|run| run.calls.abs_diff(calls)).min()?;
    runs()
        .filter(|run| run.calls.abs_diff(calls) <= nearest + EQUAL)
        .map(|run| match problem {
            INPAINTING => run.inpainting,
            _ => run.blur,
        })
        .min_by(f64::total_cmp)
}
