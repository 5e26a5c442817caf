//! Kernels with a Metropolis test leave their target as it is, and the test has the law it should have.

use burn::tensor::Tensor;
use tweedie_core::{FullGaussian, GaussianPrior, Noise};
use tweedie_fidelity::{DataFidelity, Gradient, Smooth};
use tweedie_mcmc::{
    Adaptive, ChainError, ChainState, DiagonalPreconditioner, Hmc, Info, Mala, MarkovKernel, Pcn,
    Position, Preconditioner, StepSize, Ula,
};
use tweedie_physics::squared_norm;
use tweedie_testkit::{assert_close, assert_z, exact, values, z_bound};

use crate::affine::AffineStep;
use crate::skewed::{Averages, CHAINS, Skewed, advance, after, draws, rng};
use crate::support::{Quadratic, Replay};

const STEPS: usize = 4;

fn diagonal() -> DiagonalPreconditioner<2> {
    DiagonalPreconditioner::new(exact(&[0.5, 2.0], [1, 2])).unwrap()
}

/// MALA whose ratio of proposal densities is upside down.
struct UpsideDown {
    step_size: f64,
}

impl MarkovKernel<2> for UpsideDown {
    type State = Position<2>;

    fn init(&self, position: Tensor<2>) -> Position<2> {
        Position(position)
    }
    fn step(&self, Position(x): Position<2>, noise: &mut dyn Noise<2>) -> (Position<2>, Info) {
        let hmc = Hmc::new(Skewed, (2.0 * self.step_size).sqrt(), 1).unwrap();
        let fresh = noise.normal(x.dims());
        let (y, momentum) = hmc.trajectory(x.clone(), fresh.clone());
        let proposals = (squared_norm(fresh) - squared_norm(momentum)) * 0.5;
        let ratio = Skewed.value(x.clone()) - Skewed.value(y.clone()) - proposals;
        let exponential = squared_norm(noise.normal(x.dims())) * 0.5;
        let taken = ratio.greater_equal(exponential.neg()).reshape([CHAINS, 1]);
        (
            Position(x.mask_where(taken.expand(y.dims()), y)),
            Info::default(),
        )
    }
    fn gradients(&self) -> usize {
        1
    }
    fn step_size(&self) -> Option<StepSize> {
        None
    }
    fn describe(&self) -> String {
        "upside down".into()
    }
}

#[test]
fn mala_leaves_a_skewed_target_as_it_is() {
    let step_size = 0.1;
    after(&Mala::new(Skewed, step_size).unwrap(), STEPS, 10).assert_exact("mala");
    after(&Ula::new(Skewed, step_size).unwrap(), STEPS, 10).assert_biased("without test");
    after(&UpsideDown { step_size }, STEPS, 10).assert_biased("ratio upside down");
}

#[test]
fn preconditioned_mala_leaves_a_skewed_target_as_it_is() {
    let step = StepSize::new(0.1, None).unwrap();
    let mala = Mala::preconditioned(Skewed, diagonal(), step).unwrap();
    after(&mala, STEPS, 20).assert_exact("mala");
    let ula = Ula::preconditioned(Skewed, diagonal(), step).unwrap();
    after(&ula, STEPS, 20).assert_biased("without test");
}

#[test]
fn hmc_leaves_a_skewed_target_as_it_is() {
    let step = StepSize::new(0.45, None).unwrap();
    let hmc = Hmc::preconditioned(Skewed, diagonal(), step, 3).unwrap();
    after(&hmc, STEPS, 30).assert_exact("hmc");
    let (mut x, mut rng) = (draws(30), rng(31));
    for _ in 0..STEPS {
        let momentum = rng.normal(x.dims());
        x = hmc.trajectory(x, momentum).0;
    }
    Averages::of(&x).assert_biased("without test");
}

/// The data term that makes the skewed law a posterior: `f = U - g`, `g` the potential of the prior.
struct Remainder<G>(G);

impl<G> Smooth for Remainder<G> {}

impl<G: Gradient<2>> Gradient<2> for Remainder<G> {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        Skewed.grad(x.clone()) - self.0.grad(x)
    }
}

impl<G: DataFidelity<2>> DataFidelity<2> for Remainder<G> {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        Skewed.value(x.clone()) - self.0.value(x)
    }
}

#[test]
fn pcn_leaves_a_skewed_posterior_as_it_is() {
    let (mean, variances) = ([-0.4, -0.9], [1.8, 1.5]);
    let prior = || {
        let variances = exact(&variances, [1, 2]);
        GaussianPrior::diagonal(exact(&mean, [1, 2]), variances).unwrap()
    };
    let energy = Quadratic {
        mean: mean.to_vec(),
        precision: variances.map(f64::recip).to_vec(),
    };
    let pcn = Pcn::new(Remainder(energy), prior(), 0.4).unwrap();
    after(&pcn, STEPS, 40).assert_exact("pcn");
    // The prior is in the proposal: a test that sees it again counts it twice.
    let twice = Pcn::new(Skewed, prior(), 0.4).unwrap();
    after(&twice, STEPS, 40).assert_biased("prior counted twice");
}

#[test]
fn adapted_steps_leave_a_skewed_target_as_it_is() {
    let kernel = Adaptive::new(Mala::new(Skewed, 0.1).unwrap());
    let mut noise = rng(51);
    let burnt_in = advance(&kernel, kernel.init(draws(50)), 10, &mut noise);
    let steps = kernel.freeze(burnt_in).step_sizes();
    let spread = values(&steps.clone().max()).pop().unwrap() / values(&steps.clone().min())[0];
    assert!(
        spread > 1.5,
        "the chains should have steps of their own, {spread}"
    );
    let exact_start = kernel.restore(vec![draws(52), steps]).unwrap();
    let state = advance(&kernel, exact_start, STEPS, &mut noise);
    Averages::of(state.position()).assert_exact("frozen");
    // A chain that still adapts is none that leaves its target as it is.
    after(&kernel, 10, 50).assert_biased("adapting");
}

#[test]
fn the_acceptance_of_mala_is_in_detailed_balance() {
    let h = 0.4;
    let (m, rows) = ([0.5, 2.0], 4);
    let step = StepSize::new(h, None).unwrap();
    let kernel = Mala::preconditioned(Skewed, diagonal(), step).unwrap();
    let x = [-0.3, 0.4, 1.0, 0.2, -2.0, -1.0, 0.5, 1.5];
    let y = [0.2, 0.1, -0.5, 0.9, -1.0, 0.3, 0.0, -0.6];
    // ln q(to | from), but for its constant, and the white noise that leads there.
    let moves = |from: &[f64], to: &[f64]| {
        let gradient = values(&Skewed.grad(exact(from, [rows, 2])));
        let white = |i: usize| {
            let centre = from[i] - h * m[i % 2] * gradient[i];
            (to[i] - centre) / (2.0 * h * m[i % 2]).sqrt()
        };
        (0..2 * rows).map(white).collect::<Vec<f64>>()
    };
    let flow = |from: &[f64], to: &[f64]| {
        let white = moves(from, to);
        let mut noise = Replay(vec![white.clone(), vec![0.0; 2 * rows]].into_iter());
        let (_, info) = kernel.step(kernel.init(exact(from, [rows, 2])), &mut noise);
        let accepted = values(&info.acceptance.unwrap());
        let energy = values(&Skewed.value(exact(from, [rows, 2])));
        let row = |row: usize| {
            let norm: f64 = white[2 * row..2 * row + 2].iter().map(|n| n * n).sum();
            (-energy[row] - 0.5 * norm, accepted[row].ln())
        };
        (0..rows).map(row).collect::<Vec<_>>()
    };
    let (there, back) = (flow(&x, &y), flow(&y, &x));
    let total = |flow: &[(f64, f64)]| flow.iter().map(|(q, a)| q + a).collect::<Vec<f64>>();
    assert_close("flow", &total(&there), &total(&back), 1e-12);
    for ((there, _), (back, _)) in there.iter().zip(&back) {
        assert!((there - back).abs() > 0.01, "the pair needs no test");
    }
}

/// `c` beyond 1/2 and 0 below.
struct Cliff(f64);

impl Smooth for Cliff {}

impl Gradient<2> for Cliff {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        x.zeros_like()
    }
}

impl DataFidelity<2> for Cliff {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        let beyond = x.clone().greater_elem(0.5);
        let rows = x.dims()[0];
        x.zeros_like().mask_fill(beyond, self.0).reshape([rows])
    }
}

/// How many of the chains climb, and the acceptance that the kernel tells.
fn climb(cliff: f64, chains: usize) -> (f64, Vec<f64>) {
    let prior = GaussianPrior::new(exact(&[1.0], [1, 1]), 1e-6);
    let kernel = Pcn::new(Cliff(cliff), prior, 1.0).unwrap();
    let start = kernel.init(exact(&vec![0.0; chains], [chains, 1]));
    let (state, info) = kernel.step(start, &mut rng(60));
    let taken = values(state.position())
        .iter()
        .filter(|x| **x > 0.5)
        .count();
    (taken as f64, values(&info.acceptance.unwrap()))
}

#[test]
fn a_proposal_is_taken_with_its_probability() {
    let chains = 40_000;
    for cliff in [0.05, 0.7, 2.5] {
        let (taken, told) = climb(cliff, chains);
        let p = (-cliff).exp();
        let error = |p: f64| (p * (1.0 - p) / chains as f64).sqrt();
        let frequency = taken / chains as f64;
        assert_z("frequency", &[frequency], &[p], &[error(p)]);
        assert_close("told", &told, &vec![p; chains], 1e-12);
        // The law of a test with an exponential number of mean 2.
        let slack = (-0.5 * cliff).exp();
        assert!((frequency - slack).abs() > z_bound(1) * error(slack));
    }
    assert_eq!(climb(-1.0, 100), (100.0, vec![1.0; 100]));
    for cliff in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(climb(cliff, 100), (0.0, vec![0.0; 100]), "{cliff}");
    }
}

/// `x^2/2`, and `wall` beyond 1, where the gradient is `slope`.
#[derive(Clone, Copy, Debug)]
struct Walled {
    wall: f64,
    slope: f64,
}

impl Smooth for Walled {}

impl Gradient<2> for Walled {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        let beyond = x.clone().greater_elem(1.0);
        x.mask_fill(beyond, self.slope)
    }
}

impl DataFidelity<2> for Walled {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        let beyond = x.clone().greater_elem(1.0);
        let rows = x.dims()[0];
        (x.square() * 0.5)
            .mask_fill(beyond, self.wall)
            .reshape([rows])
    }
}

#[test]
fn proposals_without_finite_potential_are_refused() {
    for wall in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for slope in [0.0, f64::NAN] {
            refuses(Walled { wall, slope });
        }
    }
}

fn refuses(target: Walled) {
    let kernel = Hmc::new(target, 0.9, 2).unwrap();
    let start = kernel.init(exact(&[0.5; 1000], [1000, 1]));
    let state = advance(&kernel, start, 5, &mut rng(70));
    let x = values(state.position());
    assert!(x.iter().all(|x| *x <= 1.0), "{target:?}");
    assert!(x.iter().any(|x| *x != 0.5), "{target:?}");
    let (_, info) = kernel.step(state, &mut rng(71));
    let numbers = [info.acceptance.unwrap(), info.energy.unwrap()];
    let numbers = numbers.iter().flat_map(values);
    assert!(numbers.into_iter().all(|n| n.is_finite()), "{target:?}");
}

/// Nothing is known.
#[derive(Debug)]
struct Flat;

impl Smooth for Flat {}

impl Gradient<2> for Flat {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        x.zeros_like()
    }
}

impl DataFidelity<2> for Flat {
    fn value(&self, x: Tensor<2>) -> Tensor<1> {
        let rows = x.dims()[0];
        x.zeros_like().sum_dim(1).reshape([rows])
    }
}

#[test]
fn pcn_without_data_leaves_the_prior_as_it_is() {
    let mean = [0.3, -1.0, 2.0];
    let covariance = [2.0, 0.8, -0.3, 0.8, 1.0, 0.2, -0.3, 0.2, 0.5];
    let full = FullGaussian::new(exact(&mean, [1, 3]), exact(&covariance, [3, 3])).unwrap();
    let diagonal = [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.5];
    let variances = exact(&[2.0, 1.0, 0.5], [1, 3]);
    let independent = GaussianPrior::diagonal(exact(&mean, [1, 3]), variances).unwrap();
    let same = [0.7, 0.0, 0.0, 0.0, 0.7, 0.0, 0.0, 0.0, 0.7];
    let equal = GaussianPrior::new(exact(&mean, [1, 3]), 0.7);
    for beta in [1e-3, 0.6, 1.0] {
        invariant(
            &Pcn::new(Flat, full.clone(), beta).unwrap(),
            mean,
            covariance,
        );
        invariant(
            &Pcn::new(Flat, independent.clone(), beta).unwrap(),
            mean,
            diagonal,
        );
        invariant(&Pcn::new(Flat, equal.clone(), beta).unwrap(), mean, same);
    }
}

/// Whether an affine kernel that takes all proposals leaves `N(mean, covariance)` as it is.
fn invariant(kernel: &impl MarkovKernel<2>, mean: [f64; 3], covariance: [f64; 9]) {
    // Three for the proposal, two for the test.
    let step = AffineStep::of(kernel, [1, 3], 1, 5);
    let covariance = nalgebra::DMatrix::from_row_slice(3, 3, &covariance);
    let mean = nalgebra::DVector::from_row_slice(&mean);
    let moved = &step.matrix * &mean + &step.offset;
    assert_close("mean", moved.as_slice(), mean.as_slice(), 1e-12);
    let spread =
        &step.matrix * &covariance * step.matrix.transpose() + &step.noise * step.noise.transpose();
    assert_close(
        "covariance",
        spread.as_slice(),
        covariance.as_slice(),
        1e-12,
    );
    assert!(step.noise.norm() > 1e-4);
    let (_, info) = kernel.step(kernel.init(exact(&[5.0; 30], [10, 3])), &mut rng(80));
    assert_eq!(values(&info.acceptance.unwrap()), vec![1.0; 10]);
}

#[test]
fn betas_that_are_none_are_refused() {
    let prior = || GaussianPrior::new(exact(&[1.0], [1, 1]), 1.0);
    for beta in [0.0, -0.1, 1.0 + 1e-9, f64::NAN] {
        let error = Pcn::new(Flat, prior(), beta).unwrap_err();
        assert!(matches!(error, ChainError::OutOfRange { name: "beta", .. }));
    }
    assert!(Pcn::new(Flat, prior(), 1.0).is_ok());
}

#[test]
fn preconditioners_that_are_not_positive_are_refused() {
    for found in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let entries = exact(&[1.0, found], [1, 2]);
        let error = DiagonalPreconditioner::new(entries).unwrap_err();
        assert!(matches!(error, ChainError::Preconditioner { index: 1, .. }));
    }
    let other = DiagonalPreconditioner::new(exact(&[0.5, 2.1], [1, 2])).unwrap();
    assert_ne!(diagonal().describe(), other.describe());
}
