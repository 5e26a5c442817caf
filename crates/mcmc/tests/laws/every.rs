//! What holds for every kernel: chains that do not meet, steps that resume bit for bit, the gradients that its docs
//! state, and settings that a checkpoint can tell apart. A new kernel is one more row of [`rows`].

use std::{cell::Cell, rc::Rc};

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, DenoiserFn, Noise, Rng};
use tweedie_fidelity::{DataFidelity, Gradient, MoreauEnvelope, ScorePrior, Smooth, Tikhonov};
use tweedie_mcmc::{
    Adaptive, AnnealedLangevin, ChainState, GaussianReference, Hmc, LangevinDraw, Mala,
    MarkovKernel, Myula, ParallelTempering, Pcn, PixelBox, PnpUla, Preconditioner, ProjectedUla,
    ReflectedUla, SkRock, SplitGibbs, StepSize, Ula, Underdamped,
};
use tweedie_physics::squared_norm;
use tweedie_testkit::{assert_close, device, values};

const SHAPE: [usize; 4] = [3, 1, 2, 3];
const STEPS: usize = 4;

/// `U(x) = sum x^4/4 + x^2/2 - x/2`, in any float type: neither Gaussian nor symmetric. Counts its gradients.
#[derive(Clone, Default)]
struct Quartic {
    gradients: Rc<Cell<usize>>,
}

impl Smooth for Quartic {}

impl Gradient for Quartic {
    fn grad(&self, x: Tensor<4>) -> Tensor<4> {
        self.gradients.set(self.gradients.get() + 1);
        x.clone().powi_scalar(3) + x - 0.5
    }
}

impl DataFidelity for Quartic {
    fn value(&self, x: Tensor<4>) -> Tensor<1> {
        let tilted = squared_norm(x.clone().sub_scalar(0.5));
        squared_norm(x.square()).mul_scalar(0.25) + tilted.mul_scalar(0.5)
    }
}

/// A kernel without the type of its state.
trait Chain {
    /// The parts of the state after `steps` steps from the start.
    fn run(&self, start: Tensor<4>, steps: usize, noise: &mut dyn Noise) -> Vec<Tensor<4>>;
    /// The same from the parts of another state.
    fn resume(&self, parts: Vec<Tensor<4>>, steps: usize, noise: &mut dyn Noise) -> Vec<Tensor<4>>;
    fn restores(&self, parts: Vec<Tensor<4>>) -> bool;
    /// The parts of that state once it is moved to `place`; none if it may not be moved.
    fn moved(&self, parts: Vec<Tensor<4>>, place: Tensor<4>) -> Option<Vec<Tensor<4>>>;
    /// The position a step after that.
    fn after_moving(&self, parts: Vec<Tensor<4>>, place: Tensor<4>) -> Tensor<4>;
    /// Whether a step tells of a Metropolis test.
    fn has_a_test(&self) -> bool;
    /// At the start, and in a step.
    fn stated_gradients(&self) -> [usize; 2];
    fn description(&self) -> String;
}

impl<K: MarkovKernel> Chain for K {
    fn run(&self, start: Tensor<4>, steps: usize, noise: &mut dyn Noise) -> Vec<Tensor<4>> {
        after(self, self.init(start), steps, noise)
    }
    fn resume(&self, parts: Vec<Tensor<4>>, steps: usize, noise: &mut dyn Noise) -> Vec<Tensor<4>> {
        after(self, self.restore(parts).unwrap(), steps, noise)
    }
    fn restores(&self, parts: Vec<Tensor<4>>) -> bool {
        self.restore(parts).is_some()
    }
    fn moved(&self, parts: Vec<Tensor<4>>, place: Tensor<4>) -> Option<Vec<Tensor<4>>> {
        let state = MarkovKernel::moved(self, self.restore(parts).unwrap(), place)?;
        Some(state.parts())
    }
    fn after_moving(&self, parts: Vec<Tensor<4>>, place: Tensor<4>) -> Tensor<4> {
        let state = MarkovKernel::moved(self, self.restore(parts).unwrap(), place);
        self.step(state.unwrap(), &mut rng()).0.position().clone()
    }
    fn has_a_test(&self) -> bool {
        let (_, info) = self.step(self.init(start()), &mut rng());
        info.acceptance.is_some()
    }
    /// Behind a reference, which is a kernel as well.
    fn stated_gradients(&self) -> [usize; 2] {
        [<&K>::gradients_to_start(&self), <&K>::gradients(&self)]
    }
    fn description(&self) -> String {
        self.describe()
    }
}

fn after<K: MarkovKernel>(
    kernel: &K,
    mut state: K::State,
    steps: usize,
    noise: &mut dyn Noise,
) -> Vec<Tensor<4>> {
    for _ in 0..steps {
        state = kernel.step(state, noise).0;
    }
    let parts = state.parts();
    assert_eq!(values(&parts[0]), values(state.position()));
    parts
}

struct Row {
    name: &'static str,
    kernel: Box<dyn Chain>,
    /// Each differs from the kernel in one setting, or in a type of step.
    others: Vec<Box<dyn Chain>>,
    gradients: Rc<Cell<usize>>,
}

/// A kernel and its variants, each made for the target that counts.
fn row<K: MarkovKernel + 'static>(
    name: &'static str,
    kernel: impl FnOnce(Quartic) -> K,
    others: Vec<K>,
) -> Row {
    let target = Quartic::default();
    Row {
        name,
        gradients: target.gradients.clone(),
        kernel: Box::new(kernel(target)),
        others: others
            .into_iter()
            .map(|other| Box::new(other) as Box<dyn Chain>)
            .collect(),
    }
}

fn rows() -> Vec<Row> {
    let other = Quartic::default;
    vec![
        row(
            "ula",
            |target| ula(target, 1.5, 0.05),
            vec![ula(other(), 1.6, 0.05), ula(other(), 1.5, 0.06)],
        ),
        row(
            "sk-rock",
            |target| SkRock::new(target, 4, 0.05, 0.4).unwrap(),
            vec![
                SkRock::new(other(), 5, 0.05, 0.4).unwrap(),
                SkRock::new(other(), 4, 0.06, 0.4).unwrap(),
                SkRock::new(other(), 4, 0.05, 0.3).unwrap(),
            ],
        ),
        row(
            "myula",
            |target| myula(target, 0.4, 0.05),
            vec![myula(other(), 0.5, 0.05), myula(other(), 0.4, 0.06)],
        ),
        row(
            "pnp-ula",
            |target| pnp_ula(target, [0.0, 1.0], 0.4, 0.05),
            vec![
                pnp_ula(other(), [-1.0, 1.0], 0.4, 0.05),
                pnp_ula(other(), [0.0, 2.0], 0.4, 0.05),
                pnp_ula(other(), [0.0, 1.0], 0.5, 0.05),
                pnp_ula(other(), [0.0, 1.0], 0.4, 0.06),
            ],
        ),
        row(
            "projected-ula",
            |target| ProjectedUla::new(target, within(0.0, 1.0), 0.05).unwrap(),
            vec![
                ProjectedUla::new(other(), within(-1.0, 1.0), 0.05).unwrap(),
                ProjectedUla::new(other(), within(0.0, 2.0), 0.05).unwrap(),
                ProjectedUla::new(other(), within(0.0, 1.0), 0.06).unwrap(),
            ],
        ),
        row(
            "reflected-ula",
            |target| ReflectedUla::new(target, within(0.0, 1.0), 0.05).unwrap(),
            vec![
                ReflectedUla::new(other(), within(-1.0, 1.0), 0.05).unwrap(),
                ReflectedUla::new(other(), within(0.0, 2.0), 0.05).unwrap(),
                ReflectedUla::new(other(), within(0.0, 1.0), 0.06).unwrap(),
            ],
        ),
        row(
            "annealed-langevin",
            // The change of level lies beyond the pause of the law on resuming.
            |target| annealed(target, [0.4, 0.2], 5, 0.02),
            vec![
                annealed(other(), [0.5, 0.2], 5, 0.02),
                annealed(other(), [0.4, 0.2], 6, 0.02),
                annealed(other(), [0.4, 0.2], 5, 0.03),
            ],
        ),
        row(
            "mala",
            |target| mala(target, 1.5, 0.05),
            vec![mala(other(), 1.6, 0.05), mala(other(), 1.5, 0.06)],
        ),
        row(
            "hmc",
            |target| hmc(target, 1.5, 0.2, 3),
            vec![
                hmc(other(), 1.5, 0.2, 4),
                hmc(other(), 1.5, 0.3, 3),
                hmc(other(), 1.6, 0.2, 3),
            ],
        ),
        row(
            "pcn",
            |target| Pcn::new(target, Spread(1.5), 0.4).unwrap(),
            vec![Pcn::new(other(), Spread(1.5), 0.5).unwrap()],
        ),
        row(
            "adaptive",
            |target| adaptive(target, 0.05, 0.6),
            vec![adaptive(other(), 0.06, 0.6), adaptive(other(), 0.05, 0.7)],
        ),
        row(
            "underdamped",
            |target| Underdamped::new(target, 0.3, 1.0).unwrap(),
            vec![
                Underdamped::new(other(), 0.2, 1.0).unwrap(),
                Underdamped::new(other(), 0.3, 2.0).unwrap(),
            ],
        ),
        row(
            "split-gibbs",
            |target| split_gibbs(target, 0.3, 3, 0.05),
            vec![
                split_gibbs(other(), 0.4, 3, 0.05),
                split_gibbs(other(), 0.3, 4, 0.05),
                split_gibbs(other(), 0.3, 3, 0.06),
            ],
        ),
        row(
            "parallel-tempering",
            |target| tempered(target, &[1.0, 0.3, 0.1], 1.0),
            vec![
                tempered(other(), &[1.0, 0.3], 1.0),
                tempered(other(), &[1.0, 0.3, 0.1], 2.0),
            ],
        ),
    ]
}

fn within(low: f64, high: f64) -> PixelBox {
    PixelBox::new(low, high).unwrap()
}

fn myula(data: Quartic, lambda: f64, step: f64) -> Myula<Quartic, Tikhonov> {
    let prior = Tikhonov::pixels(1.0).unwrap();
    Myula::new(data, MoreauEnvelope::new(prior, lambda).unwrap(), step).unwrap()
}

fn pnp_ula(
    data: Quartic,
    [low, high]: [f64; 2],
    lambda: f64,
    step: f64,
) -> PnpUla<Quartic, impl Denoiser> {
    let shrink = DenoiserFn::new(|x: Tensor<4>, sigma| x / (1.0 + sigma * sigma));
    let prior = ScorePrior::new(shrink, 0.5, 1.0).unwrap();
    let penalty = MoreauEnvelope::new(within(low, high), lambda).unwrap();
    PnpUla::new(data, prior, penalty, step).unwrap()
}

fn split_gibbs(
    target: Quartic,
    rho: f64,
    steps: usize,
    step: f64,
) -> SplitGibbs<Tikhonov, LangevinDraw<Quartic>> {
    let data = Tikhonov::pixels(4.0).unwrap();
    SplitGibbs::new(data, LangevinDraw::new(target, steps, step).unwrap(), rho).unwrap()
}

/// `share U`.
#[derive(Clone)]
struct Flattened {
    target: Quartic,
    share: f64,
}

impl Smooth for Flattened {}

impl Gradient for Flattened {
    fn grad(&self, x: Tensor<4>) -> Tensor<4> {
        self.target.grad(x).mul_scalar(self.share)
    }
}

impl DataFidelity for Flattened {
    fn value(&self, x: Tensor<4>) -> Tensor<1> {
        self.target.value(x).mul_scalar(self.share)
    }
}

fn tempered(
    target: Quartic,
    shares: &[f64],
    friction: f64,
) -> ParallelTempering<Flattened, Underdamped<Flattened>> {
    let flattened = shares.iter().map(|&share| Flattened {
        target: target.clone(),
        share,
    });
    ParallelTempering::new(flattened.collect(), |_, target| {
        Underdamped::new(target, 0.3, friction)
    })
    .unwrap()
}

fn annealed(
    target: Quartic,
    sigmas: [f64; 2],
    steps: usize,
    step: f64,
) -> AnnealedLangevin<Quartic> {
    let levels = sigmas.map(|sigma| (sigma, target.clone())).to_vec();
    AnnealedLangevin::new(levels, steps, step).unwrap()
}

/// Multiples of the identity, in any float type: `x -> c x`.
#[derive(Clone, Debug)]
struct Spread(f64);

impl Preconditioner for Spread {
    fn factor(&self, z: Tensor<4>) -> Tensor<4> {
        z.mul_scalar(self.0)
    }
    fn factor_transposed(&self, v: Tensor<4>) -> Tensor<4> {
        v.mul_scalar(self.0)
    }
    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

impl GaussianReference for Spread {
    fn mean(&self, like: &Tensor<4>) -> Tensor<4> {
        like.full_like(0.2)
    }
    fn colour(&self, white: Tensor<4>) -> Tensor<4> {
        self.factor(white)
    }
}

fn length(step: f64) -> StepSize {
    StepSize::new(step, None).unwrap()
}

fn ula(target: Quartic, spread: f64, step: f64) -> Ula<Quartic, Spread> {
    Ula::preconditioned(target, Spread(spread), length(step)).unwrap()
}

fn mala(target: Quartic, spread: f64, step: f64) -> Mala<Quartic, Spread> {
    Mala::preconditioned(target, Spread(spread), length(step)).unwrap()
}

fn hmc(target: Quartic, spread: f64, step: f64, steps: usize) -> Hmc<Quartic, Spread> {
    Hmc::preconditioned(target, Spread(spread), length(step), steps).unwrap()
}

fn adaptive(target: Quartic, step: f64, acceptance: f64) -> Adaptive<Hmc<Quartic>> {
    let kernel = Adaptive::new(Hmc::new(target, step, 2).unwrap());
    kernel.with_target_acceptance(acceptance).unwrap()
}

fn rng() -> Rng {
    Rng::seeded(11, &device()).with_dtype(DType::F64)
}

fn start() -> Tensor<4> {
    rng().fork(1).normal(SHAPE).mul_scalar(0.5)
}

fn read(parts: &[Tensor<4>]) -> Vec<Vec<f64>> {
    parts.iter().map(values).collect()
}

#[test]
fn a_chain_does_not_depend_on_its_batch() {
    for Row { name, kernel, .. } in rows() {
        let together = kernel.run(start(), STEPS, &mut rng());
        let alone = |row: usize, stream: usize| {
            let start = start().narrow(0, row, 1);
            let parts = kernel.run(start, STEPS, &mut rng().row(stream));
            values(&parts[0])
        };
        for row in 0..SHAPE[0] {
            let expected = values(&together[0].clone().narrow(0, row, 1));
            assert_close(name, &alone(row, row), &expected, 1e-12);
        }
        // Negative control: another stream is another chain.
        assert_ne!(alone(0, 1), values(&together[0].clone().narrow(0, 0, 1)));
    }
}

#[test]
fn a_chain_resumes_bit_for_bit() {
    for Row { name, kernel, .. } in rows() {
        let through = kernel.run(start(), 2 * STEPS, &mut rng());
        let mut noise = rng();
        let parts = kernel.run(start(), STEPS, &mut noise);
        assert!(
            parts.iter().all(|part| part.dims()[0] == SHAPE[0]),
            "{name}"
        );
        let resumed = kernel.resume(parts.clone(), STEPS, &mut noise);
        assert_eq!(read(&resumed), read(&through), "{name}");
        assert_ne!(read(&resumed), read(&parts), "{name} does not move");
        let more = [parts.clone(), parts].concat();
        assert!(!kernel.restores(more) && !kernel.restores(vec![]), "{name}");
    }
}

/// As clipping moves it. A kernel with a Metropolis test refuses, whose law that would spoil.
#[test]
fn a_moved_state_is_that_of_its_new_place() {
    for Row { name, kernel, .. } in rows() {
        let parts = kernel.run(start(), STEPS, &mut rng());
        let place = parts[0].clone().clamp(0.2, 0.4);
        let moved = kernel.moved(parts.clone(), place.clone());
        assert_eq!(moved.is_none(), kernel.has_a_test(), "{name}");
        let Some(moved) = moved else { continue };
        let expected = [vec![place.clone()], parts[1..].to_vec()].concat();
        assert_eq!(read(&moved), read(&expected), "{name}");
        let onwards = values(&kernel.after_moving(parts.clone(), place));
        let again = values(&kernel.resume(moved, 1, &mut rng())[0]);
        assert_eq!(onwards, again, "{name} remembers the old place");
        // Negative control: the place matters.
        let unmoved = values(&kernel.resume(parts, 1, &mut rng())[0]);
        assert_ne!(unmoved, again, "{name}");
    }
}

#[test]
fn a_step_takes_the_gradients_that_it_states() {
    for row in rows() {
        let count = |steps| {
            row.gradients.set(0);
            row.kernel.run(start(), steps, &mut rng());
            row.gradients.get()
        };
        let [to_start, a_step] = row.kernel.stated_gradients();
        assert_eq!(count(0), to_start, "{}", row.name);
        assert_eq!(count(STEPS) - count(0), STEPS * a_step, "{}", row.name);
    }
}

#[test]
fn descriptions_tell_settings_apart() {
    let mut seen = Vec::new();
    for row in rows() {
        for kernel in [row.kernel].iter().chain(&row.others) {
            let description = kernel.description();
            assert!(description.starts_with(row.name), "{description}");
            assert!(!seen.contains(&description), "twice: {description}");
            seen.push(description);
        }
    }
}

#[test]
fn every_kernel_runs_in_single_precision() {
    for Row { name, kernel, .. } in rows() {
        let mut noise = Rng::seeded(11, &device()).with_dtype(DType::F32);
        let start = start().cast(DType::F32);
        let parts = kernel.run(start, STEPS, &mut noise);
        assert_eq!(parts[0].dtype(), DType::F32, "{name}");
        let exact = kernel.run(self::start(), STEPS, &mut rng());
        // Rounding of 6e-8 a step, which some steps of a contraction do not raise above the tolerance.
        assert_close(name, &values(&parts[0]), &values(&exact[0]), 1e-5);
    }
}
