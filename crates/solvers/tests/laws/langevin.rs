//! Langevin steps: a corrector against its formula and its stationary law, annealed dynamics against a recursion.

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Denoiser, GaussianPrior, Noise, Rng, Schedule, Span, TimeGrid, VariancePreserving,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{AnnealedLangevin, Ddpm, PredictorCorrector, SolveError, Solver, integrate};
use tweedie_testkit::{
    Moments, affine_law, assert_close, assert_z, device, exact, values, z_bound,
};

use crate::support::{PRIOR, marginal, process, schedules};

/// Equal masses at -1 and 1, on each pixel by itself.
struct TwoPoints;

impl<const D: usize> Denoiser<D> for TwoPoints {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        noisy.div_scalar(sigma * sigma).tanh()
    }
}

/// A predictor that leaves the state where it is.
#[derive(Debug)]
struct Stay;

impl<P: ?Sized, const D: usize> Solver<P, D> for Stay {
    type Memory = ();

    fn step(&self, _: &P, (): &mut (), x: Tensor<D>, _: Span, _: &mut dyn Noise<D>) -> Tensor<D> {
        x
    }
}

/// Given tensors in turn.
struct Replay<const D: usize>(std::vec::IntoIter<Tensor<D>>);

impl<const D: usize> Noise<D> for Replay<D> {
    fn normal(&mut self, _: [usize; D]) -> Tensor<D> {
        self.0.next().expect("a method drew more than it should")
    }

    fn normal_over(&mut self, _: [usize; D], _: f64, _: f64) -> Tensor<D> {
        panic!("Langevin noise belongs to no step of time");
    }
}

fn corrector(snr: f64, steps: usize) -> PredictorCorrector<Stay> {
    PredictorCorrector::new(Stay, snr, steps).unwrap()
}

const SNR: f64 = 0.16;
const SPAN: Span = Span { from: 0.5, to: 0.4 };
const ROW: usize = 4;

/// Two unlike images of 2 x 2 pixels.
const STATE: [f64; 2 * ROW] = [0.3, -1.2, 0.7, 2.0, -4.0, 3.0, 0.1, 1.5];
const FRESH: [f64; 2 * ROW] = [1.1, 0.2, -0.6, -1.9, 0.4, 0.4, -2.2, 0.9];

/// One corrector step on one row, for two points.
fn by_hand(schedule: &dyn Schedule, x: &[f64], z: &[f64]) -> Vec<f64> {
    let (s, sigma) = (schedule.scale(SPAN.to), schedule.sigma(SPAN.to));
    let score: Vec<f64> = x
        .iter()
        .map(|x| (s * (x / (s * sigma * sigma)).tanh() - x) / (s * s * sigma * sigma))
        .collect();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let eps = 2.0 * (SNR * norm(z) / norm(&score)).powi(2);
    (0..x.len())
        .map(|k| x[k] + eps * score[k] + (2.0 * eps).sqrt() * z[k])
        .collect()
}

fn corrected(schedule: &Arc<dyn Schedule>, rows: usize, x: &[f64], z: &[Vec<f64>]) -> Vec<f64> {
    let process = Reverse::sde(schedule.clone(), TwoPoints);
    let shape = [rows, 1, 2, 2];
    let draws: Vec<Tensor<4>> = z.iter().map(|z| exact(z, shape)).collect();
    let solver = corrector(SNR, z.len());
    let mut noise = Replay(draws.into_iter());
    let moved = solver.step(&process, &mut (), exact(x, shape), SPAN, &mut noise);
    assert_eq!(moved.dims(), shape);
    assert_eq!(noise.0.len(), 0);
    values(&moved)
}

#[test]
fn a_corrector_step_is_that_of_the_paper_row_by_row() {
    for (name, schedule) in schedules() {
        let got = corrected(&schedule, 2, &STATE, &[FRESH.to_vec()]);
        let expected: Vec<f64> = STATE
            .chunks(ROW)
            .zip(FRESH.chunks(ROW))
            .flat_map(|(x, z)| by_hand(schedule.as_ref(), x, z))
            .collect();
        assert_close(
            name,
            &got,
            &expected,
            1e-12 * (1.0 + schedule.sigma(SPAN.to)),
        );
        // Negative control: one step length for the whole batch.
        let coupled = by_hand(schedule.as_ref(), &STATE, &FRESH);
        assert!(
            got.iter().zip(&coupled).any(|(a, b)| (a - b).abs() > 1e-3),
            "{name}"
        );
    }
}

#[test]
fn rows_do_not_know_each_other() {
    let (_, schedule) = schedules().remove(1);
    let both = corrected(&schedule, 2, &STATE, &[FRESH.to_vec(), STATE.to_vec()]);
    let alone = [FRESH[ROW..].to_vec(), STATE[ROW..].to_vec()];
    let alone = corrected(&schedule, 1, &STATE[ROW..], &alone);
    assert_eq!(both[ROW..], alone);
}

#[test]
fn corrector_steps_follow_each_other() {
    let (_, schedule) = schedules().remove(1);
    let twice = corrected(&schedule, 2, &STATE, &[FRESH.to_vec(), STATE.to_vec()]);
    let once = corrected(&schedule, 2, &STATE, &[FRESH.to_vec()]);
    assert_close(
        "twice",
        &twice,
        &corrected(&schedule, 2, &once, &[STATE.to_vec()]),
        0.0,
    );
}

const ROWS: usize = 4096;
const PIXELS: usize = 64;

/// Mean over rows of some number of each row, and its standard error.
fn mean_and_error(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (spread / count).sqrt())
}

/// Mean and energy `|y|^2/pixels` of `y = (x - s m)/std` after a step on states of the exact law at `SPAN.to`, for
/// which they are 0 and 1, with their standard errors.
fn moments_after(
    step: impl FnOnce(Tensor<2>, &mut Rng) -> Tensor<2>,
    law: Moments,
) -> [(f64, f64); 2] {
    let mut rng = Rng::seeded(5, &device()).with_dtype(DType::F64);
    let std = law.variance.sqrt();
    let start = rng.normal([ROWS, PIXELS]).mul_scalar(std) + law.mean;
    let end = values(&((step(start, &mut rng) - law.mean) / std));
    let average = |f: fn(f64) -> f64| {
        let rows = end.chunks(PIXELS);
        mean_and_error(rows.map(|row| row.iter().map(|y| f(*y)).sum::<f64>() / PIXELS as f64))
    };
    [average(|y| y), average(|y| y * y)]
}

#[test]
fn the_corrector_keeps_the_law() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let law = marginal(PRIOR, &schedule, SPAN.to);
    let prior = GaussianPrior::new(exact(&[PRIOR.mean; PIXELS], [1, PIXELS]), PRIOR.variance);
    let process = Reverse::sde(schedule, prior);

    // |y|^2 is chi-squared before the step, and E[1/|y|^2] known: with r = snr and d = pixels the energy after it is
    // 1 - 4 r^2 + (4 r^2 + 4 r^4) (d + 2)/(d - 2), which differs from 1 by 4 r^4 and a few r^2/d.
    let (r_sq, d) = (SNR * SNR, PIXELS as f64);
    let energy = 1.0 - 4.0 * r_sq + 4.0 * r_sq * (1.0 + r_sq) * (d + 2.0) / (d - 2.0);
    assert!((energy - 1.0).abs() < 0.01, "{energy}");
    let solver = corrector(SNR, 1);
    let [mean, after] = moments_after(|x, rng| solver.step(&process, &mut (), x, SPAN, rng), law);
    assert_z(
        "corrected",
        &[mean.0, after.0],
        &[0.0, energy],
        &[mean.1, after.1],
    );

    // Negative controls, steps of fixed length with the energy (1 - 2 r^2)^2 + 4 r^2 if right: away from the data, half
    // the noise.
    let fixed = |sign: f64, loudness: f64| {
        let step = |x: Tensor<2>, rng: &mut Rng| {
            let eps = 2.0 * r_sq * law.variance;
            let score = (x.clone() - law.mean) / -law.variance;
            let fresh = rng.normal(x.dims());
            x + score * (sign * eps) + fresh * (2.0 * eps * loudness).sqrt()
        };
        let [_, (after, error)] = moments_after(step, law);
        (after - (1.0 + 4.0 * r_sq * r_sq)) / error
    };
    assert!(fixed(1.0, 1.0).abs() < z_bound(1));
    assert!(fixed(-1.0, 1.0) > z_bound(1));
    assert!(fixed(1.0, 0.5) < -z_bound(1));
}

#[test]
fn a_time_without_noise_is_not_corrected() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
    let process = Reverse::sde(schedule, prior);
    let span = Span { from: 0.1, to: 0.0 };
    let state = exact(&[1.3], [1, 1]);
    let mut silent = Replay::<2>(Vec::new().into_iter());
    let corrected = corrector(SNR, 3).step(&process, &mut (), state.clone(), span, &mut silent);
    assert_eq!(values(&corrected), [1.3]);
    let annealed = AnnealedLangevin::new(0.1, 3, 1.0).unwrap();
    let carried = annealed.step(&process, &mut (), state, span, &mut silent);
    let expected = 1.3 / schedule.scale(0.1);
    assert_close("carried", &values(&carried), &[expected], 1e-15);
}

#[test]
fn the_predictor_moves_first() {
    let (_, schedule) = schedules().remove(1);
    let process = Reverse::sde(schedule.clone(), TwoPoints);
    let solver = PredictorCorrector::new(Ddpm, SNR, 1).unwrap();
    let mut rng = Rng::seeded(8, &device()).with_dtype(DType::F64);
    let state: Tensor<2> = exact(&STATE, [2, ROW]);
    let got = solver.step(&process, &mut (), state.clone(), SPAN, &mut rng.clone());
    let predicted = Ddpm.step(&process, &mut (), state, SPAN, &mut rng);
    let fresh = values(&rng.normal([2, ROW]));
    let expected: Vec<f64> = values(&predicted)
        .chunks(ROW)
        .zip(fresh.chunks(ROW))
        .flat_map(|(x, z)| by_hand(schedule.as_ref(), x, z))
        .collect();
    assert_close("predicted, then corrected", &values(&got), &expected, 1e-12);
}

/// The exact law of annealed dynamics, by unit probes.
fn annealed(
    solver: AnnealedLangevin,
    calls: usize,
    schedule: &Arc<dyn Schedule>,
    grid: &TimeGrid,
) -> Moments {
    let process = process(PRIOR, schedule, 0.0);
    affine_law(calls, |start, noise| {
        integrate(&process, &solver, start, grid, noise, |_| ()).unwrap()
    })
    .output(marginal(PRIOR, schedule.as_ref(), grid.start()))
}

#[test]
fn annealed_dynamics_are_a_chain_of_autoregressions() {
    let (epsilon, count, last) = (0.02, 7, 0.3);
    let solver = AnnealedLangevin::new(epsilon, count, last).unwrap();
    for (name, schedule) in schedules() {
        let levels = [5.0, 2.0, 0.8, last];
        let grid = TimeGrid::new(levels.map(|level| schedule.time_at(level)).to_vec()).unwrap();
        // In u: the start, then u <- u + a/2 (D - u)/sigma^2 + sqrt(a) z with D - m = v/(v + sigma^2) (u - m).
        let mut variance = PRIOR.variance + levels[0] * levels[0];
        for sigma in &levels[1..] {
            let a = epsilon * (sigma / last).powi(2);
            let kept = 1.0 - 0.5 * a / (PRIOR.variance + sigma * sigma);
            for _ in 0..count {
                variance = kept * kept * variance + a;
            }
        }
        let s = schedule.scale(grid.end());
        let got = annealed(solver, 3 * count, &schedule, &grid);
        let allowed = 1e-11 * (1.0 + s * s * variance);
        assert!(
            (got.mean - s * PRIOR.mean).abs() < allowed,
            "{name}: {got:?}"
        );
        assert!(
            (got.variance - s * s * variance).abs() < allowed,
            "{name}: {got:?}"
        );
        // Negative control: the chain is still far from the smoothed prior.
        let smoothed = marginal(PRIOR, schedule.as_ref(), grid.end()).variance;
        assert!((got.variance - smoothed).abs() > 0.1 * smoothed, "{name}");
    }
}

#[test]
fn annealed_dynamics_tend_to_the_smoothed_prior() {
    let (_, schedule) = schedules().remove(1);
    let last = 0.5;
    let grid = TimeGrid::new(
        [2.0, 1.0, last]
            .map(|level| schedule.time_at(level))
            .to_vec(),
    )
    .unwrap();
    let target = marginal(PRIOR, schedule.as_ref(), grid.end()).variance;
    // Twice the steps at half of epsilon: the same distance in the time of the dynamics, long enough to forget.
    let errors = [(0.08, 100), (0.04, 200), (0.02, 400), (0.01, 800)].map(|(epsilon, count)| {
        let solver = AnnealedLangevin::new(epsilon, count, last).unwrap();
        annealed(solver, 2 * count, &schedule, &grid).variance / target - 1.0
    });
    // The stationary variance of a step a against a spread S is S/(1 - a/4S): too large by a share of a/4S.
    let spread = PRIOR.variance + last * last;
    for (error, epsilon) in errors.iter().zip([0.08, 0.04, 0.02, 0.01]) {
        let share = epsilon / (4.0 * spread);
        let expected = share / (1.0 - share);
        assert!(
            (error - expected).abs() < 1e-6,
            "{error}, expected {expected}"
        );
    }
}

#[test]
fn levels_and_steps_are_evaluated_as_often_as_documented() {
    let (_, schedule) = schedules().remove(1);
    let process = process(PRIOR, &schedule, 1.0);
    let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
    let state = exact(&[0.4, 0.5], [2, 1]);
    let grid = TimeGrid::uniform(0.9, 0.0, 4).unwrap();
    let annealed = AnnealedLangevin::new(0.1, 5, 0.5).unwrap();
    drop(integrate(&process, &annealed, state.clone(), &grid, &mut rng, |_| ()).unwrap());
    assert_eq!(process.prior().evaluations(), 3 * 5);
    let corrected = PredictorCorrector::new(Ddpm, SNR, 2).unwrap();
    drop(integrate(&process, &corrected, state, &grid, &mut rng, |_| ()).unwrap());
    assert_eq!(process.prior().evaluations(), 3 * 5 + 4 + 3 * 2);
}

#[test]
fn settings_are_checked() {
    let message = |error: SolveError| error.to_string();
    for snr in [0.0, -1.0, f64::INFINITY] {
        let found = message(PredictorCorrector::new(Stay, snr, 1).unwrap_err());
        assert_eq!(
            found,
            format!("snr must be finite and above 0, found {snr}")
        );
    }
    let annealed =
        |epsilon, count, last| message(AnnealedLangevin::new(epsilon, count, last).unwrap_err());
    assert_eq!(
        annealed(0.0, 1, 0.1),
        "epsilon must be finite and above 0, found 0"
    );
    assert_eq!(
        annealed(0.1, 0, 0.1),
        "steps_per_level must be at least 1, found 0"
    );
    assert_eq!(
        annealed(0.1, 1, -0.1),
        "sigma_last must be finite and above 0, found -0.1"
    );
}

mod on_device {
    use super::*;

    // A prior of products and sums: software adapters lack the hyperbolic functions in double precision.
    fn run(
        solver: &impl Solver<Reverse<VariancePreserving, GaussianPrior>>,
        dtype: DType,
    ) -> Vec<f64> {
        let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
        let mean = Tensor::full([1, 1, 1, 1], 0.7, (&device(), dtype));
        let process = Reverse::sde(schedule, GaussianPrior::new(mean, 0.25));
        let start =
            Tensor::<4>::from_data(exact(&STATE, [2, 1, 2, 2]).into_data(), (&device(), dtype));
        let mut rng = Rng::seeded(3, &device()).with_dtype(dtype);
        let grid = TimeGrid::uniform(0.9, 0.3, 3).unwrap();
        values(&integrate(&process, solver, start, &grid, &mut rng, |_| ()).unwrap())
    }

    #[test]
    fn single_precision_follows_double() {
        let corrector = PredictorCorrector::new(Ddpm, SNR, 1).unwrap();
        let annealed = AnnealedLangevin::new(0.1, 2, 1.0).unwrap();
        for (single, double) in [
            (run(&corrector, DType::F32), run(&corrector, DType::F64)),
            (run(&annealed, DType::F32), run(&annealed, DType::F64)),
        ] {
            // Six steps of a dozen operations on numbers of order one.
            let allowed = 6.0 * 12.0 * f64::from(f32::EPSILON) * 4.0;
            assert_close("single precision", &single, &double, allowed);
        }
    }
}
