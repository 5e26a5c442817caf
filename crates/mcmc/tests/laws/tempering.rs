//! Parallel tempering: swaps that keep the law of all levels, and modes far apart in their weights.

use burn::tensor::{DType, Tensor};
use tweedie_core::{AnalyticPrior, GaussianMixture, Noise, Rng};
use tweedie_fidelity::{DataFidelity, Gradient, ScorePrior, Smooth};
use tweedie_mcmc::{
    Adaptive, AdaptiveState, ChainError, ChainState, Info, Ladder, Mala, MarkovKernel,
    ParallelTempering, Position, StepSize, Ula,
};
use tweedie_testkit::{assert_close, assert_z, device, exact, values, z_bound};

use crate::support::Quadratic;

const WEIGHTS: [f64; 2] = [0.3, 0.7];
/// Two modes, 19 of their standard deviations apart, that have merged at the last level.
const LEVELS: [f64; 4] = [0.3, 0.7, 1.5, 3.2];
const VARIANCE: f64 = 0.01;

type Target = ScorePrior<GaussianMixture<2>>;

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

fn mixture() -> GaussianMixture<2> {
    let means = exact(&[-3.0, 0.5, 3.0, 0.5], [2, 2]);
    GaussianMixture::new(&WEIGHTS, means, &[VARIANCE; 2]).unwrap()
}

fn targets() -> Vec<Target> {
    LEVELS
        .map(|sigma| ScorePrior::new(mixture(), sigma, 1.0).unwrap())
        .into()
}

fn mala(
    level: usize,
    target: impl DataFidelity<2>,
) -> Result<Mala<impl DataFidelity<2>>, ChainError> {
    let variance = VARIANCE + LEVELS[level].powi(2);
    Mala::new(target, 0.5 * variance)
}

/// In the mode of weight 0.3.
fn start(chains: usize) -> Tensor<2> {
    exact(&[-3.0, 0.5], [1, 2]).repeat_dim(0, chains)
}

fn run<K: MarkovKernel<2>>(kernel: &K, mut state: K::State, steps: usize, seed: u64) -> K::State {
    let mut rng = rng(seed);
    for _ in 0..steps {
        state = kernel.step(state, &mut rng).0;
    }
    state
}

/// Of the chains, the share in the mode of weight 0.7.
fn share(x: &Tensor<2>) -> f64 {
    let x = values(x);
    let right = x.chunks(2).filter(|row| row[0] > 0.0).count();
    right as f64 / (x.len() / 2) as f64
}

#[test]
fn modes_far_apart_have_their_weights() {
    let (chains, steps) = (1000, 160);
    let error = (WEIGHTS[0] * WEIGHTS[1] / chains as f64).sqrt();
    let tempered = ParallelTempering::new(targets(), mala).unwrap();
    let state = run(&tempered, tempered.init(start(chains)), steps, 1);
    assert_z(
        "weight",
        &[share(state.position())],
        &[WEIGHTS[1]],
        &[error],
    );
    // Negative control: the kernel of the first level never leaves its mode.
    let alone = mala(0, targets().remove(0)).unwrap();
    let state = run(&alone, alone.init(start(chains)), steps, 1);
    assert_eq!(share(state.position()), 0.0);
}

/// `U` without a value, so that every swap is taken.
#[derive(Clone)]
struct Blind(Target);

impl Smooth for Blind {}
impl Gradient<2> for Blind {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        self.0.grad(x)
    }
}
impl DataFidelity<2> for Blind {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        self.0.value(x).mul_scalar(0.0)
    }
}

/// Chains whose levels start with exact draws of their own targets.
fn exact_start<K: MarkovKernel<2>>(kernel: &K, chains: usize) -> K::State {
    let mut rng = rng(5);
    let mut parts: Vec<Tensor<2>> = LEVELS
        .iter()
        .map(|sigma| {
            let clean = mixture().sample(chains, &mut rng);
            clean + Noise::<2>::normal(&mut rng, [chains, 2]).mul_scalar(*sigma)
        })
        .collect();
    parts.push(exact(&vec![0.0; chains], [chains, 1]));
    kernel.restore(parts).unwrap()
}

/// Of each level the share of the right mode's half plane, and the variance of the second coordinate: deviations in standard
/// errors.
fn deviations<S: ChainState<2>>(levels: &[S]) -> Vec<f64> {
    let mut z = Vec::new();
    for (state, sigma) in levels.iter().zip(LEVELS) {
        let x = values(state.position());
        let chains = (x.len() / 2) as f64;
        let variance = VARIANCE + sigma * sigma;
        // The first coordinate has a symmetric law about each mode: exact where the modes do not overlap.
        if sigma < 1.0 {
            let error = (WEIGHTS[0] * WEIGHTS[1] / chains).sqrt();
            z.push((share(state.position()) - WEIGHTS[1]) / error);
        }
        let square: f64 = x.chunks(2).map(|row| (row[1] - 0.5).powi(2)).sum::<f64>() / chains;
        z.push((square / variance - 1.0) / (2.0 / chains).sqrt());
    }
    z
}

#[test]
fn exact_draws_stay_exact_at_every_level() {
    let (chains, steps) = (4000, 6);
    let tempered = ParallelTempering::new(targets(), mala).unwrap();
    let state = run(&tempered, exact_start(&tempered, chains), steps, 2);
    let z = deviations(state.levels());
    assert_z("levels", &z, &vec![0.0; z.len()], &vec![1.0; z.len()]);
    // Negative control: swaps that look at no potential.
    let blind: Vec<Blind> = targets().into_iter().map(Blind).collect();
    let blind = ParallelTempering::new(blind, |level, Blind(target)| mala(level, target)).unwrap();
    let state = run(&blind, exact_start(&blind, chains), steps, 2);
    let worst = deviations(state.levels())
        .into_iter()
        .map(f64::abs)
        .fold(0.0, f64::max);
    assert!(worst > 3.0 * z_bound(z.len()), "{worst}");
}

/// Stays where it is.
#[derive(Clone)]
struct Still;

impl MarkovKernel<2> for Still {
    type State = Position<2>;

    fn init(&self, position: Tensor<2>) -> Position<2> {
        Position(position)
    }
    fn step(&self, state: Position<2>, _: &mut dyn Noise<2>) -> (Position<2>, Info) {
        (state, Info::default())
    }
    fn gradients(&self) -> usize {
        0
    }
    fn step_size(&self) -> Option<StepSize> {
        None
    }
    fn describe(&self) -> String {
        "still".into()
    }
}

fn still(targets: Vec<Quadratic>) -> ParallelTempering<Quadratic, Still> {
    ParallelTempering::new(targets, |_, _| Ok(Still)).unwrap()
}

/// One swap of pairs `(a, b)`, row by row: both levels after it, its probability, and the energy.
fn swapped(
    kernel: &ParallelTempering<Quadratic, Still>,
    a: &[f64],
    b: &[f64],
) -> ([Vec<f64>; 2], Vec<f64>, Vec<f64>) {
    let shape = [a.len(), 1];
    let parts = [a.to_vec(), b.to_vec(), vec![0.0; a.len()]].map(|row| exact(&row, shape));
    let state = kernel.restore(parts.into()).unwrap();
    let (state, info) = kernel.step(state, &mut rng(3));
    let levels = [0, 1].map(|level| values(state.levels()[level].position()));
    let [rates, energies] = [info.acceptance, info.energy].map(|part| values(&part.unwrap()));
    (levels, rates, energies)
}

#[test]
fn swaps_are_in_detailed_balance() {
    let targets = [(0.3, 4.0), (-0.5, 0.7)].map(|(mean, p)| Quadratic::pixel(mean, p));
    let kernel = still(targets.to_vec());
    let potential = |level: usize, x: f64| {
        let (mean, p) = [(0.3, 4.0), (-0.5, 0.7)][level];
        0.5 * p * (x - mean) * (x - mean)
    };
    let a = [0.1, 0.9, -1.2, 0.4];
    let b = [0.5, -0.3, 0.2, 2.5];
    let (_, there, _) = swapped(&kernel, &a, &b);
    let (_, back, _) = swapped(&kernel, &b, &a);
    for row in 0..a.len() {
        let density = |x: f64, z: f64| (-potential(0, x) - potential(1, z)).exp();
        let [out, home] = [density(a[row], b[row]), density(b[row], a[row])];
        let expected = (home / out).min(1.0);
        assert_close("probability", &[there[row]], &[expected], 1e-12);
        assert_close("balance", &[out * there[row]], &[home * back[row]], 1e-14);
        // Negative control: the two probabilities themselves differ.
        assert!((there[row] - back[row]).abs() > 0.05);
    }
}

#[test]
fn swaps_happen_as_often_as_they_say() {
    let kernel = still(vec![
        Quadratic::pixel(0.3, 4.0),
        Quadratic::pixel(-0.5, 0.7),
    ]);
    let (chains, a, b) = (20_000, 0.1, 1.1);
    let (levels, rates, energies) = swapped(&kernel, &vec![a; chains], &vec![b; chains]);
    let taken = levels[0].iter().filter(|x| **x == b).count();
    let rate = rates[0];
    assert!(rate > 0.2 && rate < 0.8, "{rate}");
    let error = (rate * (1.0 - rate) / chains as f64).sqrt();
    assert_z("swaps", &[taken as f64 / chains as f64], &[rate], &[error]);
    for row in 0..chains {
        let pair = [levels[0][row], levels[1][row]];
        assert!(pair == [a, b] || pair == [b, a], "{pair:?}");
        let energy = 2.0 * (pair[0] - 0.3).powi(2);
        assert!((energies[row] - energy).abs() < 1e-12);
    }
}

#[test]
fn pairs_alternate_and_resume() {
    // Equal potentials take every swap.
    let kernel = still(vec![Quadratic::pixel(0.0, 1.0); 4]);
    let parts = [1.0, 2.0, 3.0, 4.0, 0.0].map(|value| exact(&[value], [1, 1]));
    let at = |steps: usize| {
        let state = run(
            &kernel,
            kernel.restore(parts.clone().into()).unwrap(),
            steps,
            1,
        );
        state.parts().iter().flat_map(values).collect::<Vec<f64>>()
    };
    assert_eq!(at(1), [2.0, 1.0, 4.0, 3.0, 1.0]);
    assert_eq!(at(2), [2.0, 4.0, 1.0, 3.0, 0.0]);
    assert_eq!(at(3), [4.0, 2.0, 3.0, 1.0, 1.0]);
    // From the parts after one step the odd pair is next.
    let once = run(&kernel, kernel.restore(parts.clone().into()).unwrap(), 1, 1);
    let resumed = run(&kernel, kernel.restore(once.parts()).unwrap(), 1, 1);
    assert_eq!(values(resumed.position()), [2.0]);
    assert_eq!(values(resumed.levels()[1].position()), [4.0]);
    // Two levels are always a pair.
    let two = still(vec![Quadratic::pixel(0.0, 1.0); 2]);
    let parts = [1.0, 2.0, 1.0].map(|value| exact(&[value], [1, 1]));
    let state = run(&two, two.restore(parts.into()).unwrap(), 1, 1);
    assert_eq!(values(state.position()), [2.0]);
}

#[test]
fn what_is_told_is_of_the_first_level_and_of_the_pairs_that_were_tried() {
    let laws = [(0.3, 4.0), (-0.5, 0.7), (0.1, 0.4), (0.8, 0.2)];
    let kernel = still(laws.map(|(mean, p)| Quadratic::pixel(mean, p)).to_vec());
    let potential = |level: usize, x: f64| {
        let (mean, p) = laws[level];
        0.5 * p * (x - mean) * (x - mean)
    };
    let places = [0.9, -0.9, 2.0, 0.3];
    let rate = |low: usize| {
        let (a, b) = (places[low], places[low + 1]);
        let stayed = potential(low, a) + potential(low + 1, b);
        let crossed = potential(low, b) + potential(low + 1, a);
        (stayed - crossed).exp().min(1.0)
    };
    for (odd, expected) in [(0.0, 0.5 * (rate(0) + rate(2))), (1.0, rate(1))] {
        let parts = places.into_iter().chain([odd]);
        let parts = parts.map(|number| exact(&[number], [1, 1])).collect();
        let (state, info) = kernel.step(kernel.restore(parts).unwrap(), &mut rng(3));
        let first = values(state.position())[0];
        let [told, energy] = [info.acceptance, info.energy].map(|part| values(&part.unwrap()));
        assert!(expected < 0.95, "{expected}");
        assert_close("acceptance", &told, &[expected], 1e-12);
        assert_close("energy", &energy, &[potential(0, first)], 1e-12);
    }
}

/// The step sizes of each level.
fn steps<S>(state: &Ladder<AdaptiveState<S, 2>>) -> Vec<Vec<f64>> {
    let levels = state.levels().iter();
    levels.map(|level| values(&level.step_sizes())).collect()
}

#[test]
fn adaptation_ends_at_every_level() {
    let adaptive = |level, target| Ok(Adaptive::new(mala(level, target)?));
    let kernel = ParallelTempering::new(targets(), adaptive).unwrap();
    let running = run(&kernel, kernel.init(start(3)), 5, 8);
    let frozen = kernel.freeze(running.clone());
    for (before, after) in steps(&running)
        .iter()
        .zip(steps(&run(&kernel, running, 3, 9)))
    {
        assert_ne!(*before, after);
    }
    assert_eq!(steps(&frozen), steps(&run(&kernel, frozen.clone(), 3, 9)));
}

/// A swap into a potential that is infinite, or no number, is refused.
#[test]
fn swaps_to_nowhere_are_refused() {
    let kernel = still(vec![Quadratic::pixel(0.0, 1.0), Quadratic::pixel(0.0, 0.1)]);
    let (levels, rates, _) = swapped(&kernel, &[0.0, 0.0], &[f64::INFINITY, f64::NAN]);
    assert_eq!(levels[0], [0.0, 0.0]);
    assert_eq!(rates, [0.0, 0.0]);
}

#[test]
fn gradients_and_bounds_are_those_of_the_levels() {
    let quadratics = || [4.0, 1.0, 0.25].map(|p| Quadratic::pixel(0.0, p)).to_vec();
    let ula = ParallelTempering::new(quadratics(), |level, target| {
        Ula::new(target, [0.1, 0.9, 2.0][level])
    });
    let ula = ula.unwrap();
    assert_eq!(MarkovKernel::<2>::gradients(&ula), 3);
    let tightest = StepSize {
        value: 0.9,
        bound: Some(1.0),
    };
    assert_eq!(MarkovKernel::<2>::step_size(&ula), Some(tightest));
    let state = ula.init(exact(&[0.0], [1, 1]));
    assert!(ula.moved(state, exact(&[1.0], [1, 1])).is_none());
    assert!(matches!(
        ParallelTempering::new(vec![Quadratic::pixel(0.0, 1.0)], |_, t| Ula::new(t, 0.1)),
        Err(ChainError::OutOfRange { name: "levels", .. })
    ));
    assert!(ParallelTempering::new(quadratics(), |_, target| Ula::new(target, -0.1)).is_err());
}
