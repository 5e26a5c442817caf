//! What holds for every sampler: the passes of the prior that its docs state, one use of each increment of a path, a
//! measurement for each image, and refusals of what it cannot use.

use std::cell::Cell;

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Noise, Rng, Span, TimeGrid, VariancePreserving};
use tweedie_fidelity::L2;
use tweedie_physics::Inpainting;
use tweedie_samplers::{
    Daps, DapsConfig, DdnmConfig, DdnmPlus, Ddrm, DdrmConfig, DiffPir, DiffPirConfig,
    DiffusionSampler, Dpnp, DpnpConfig, DpsConfig, DpsSampler, Fps, FpsConfig, Mcg, McgConfig,
    McgDiff, McgDiffConfig, Measurement, PigdmConfig, PigdmSampler, PnpDm, PnpDmConfig,
    PosteriorDiffusion, PosteriorSampler, Projected, ProjectionConfig, RedDiff, RedDiffConfig,
    Repaint, RepaintConfig, SampleError, Tds, TdsConfig,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Step};
use tweedie_testkit::{assert_close, exact, values};

use crate::{
    pair,
    support::{Diagonal, rng},
};

const SHAPE: [usize; 4] = [2, 1, 1, 2];
const STEPS: usize = 5;
const ROUNDS: usize = 4;

/// Halves an image; counts evaluations, and those that a backward pass goes through.
#[derive(Default)]
struct Taped {
    evaluations: Cell<usize>,
    tracked: Cell<usize>,
}

impl Denoiser for Taped {
    fn denoise(&self, noisy: Tensor<4>, _: f64) -> Tensor<4> {
        let add = |count: &Cell<usize>, more: bool| count.set(count.get() + usize::from(more));
        add(&self.evaluations, true);
        add(&self.tracked, noisy.is_tracked());
        noisy * 0.5
    }
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

fn grid() -> TimeGrid {
    TimeGrid::uniform(1.0, 0.0, STEPS).unwrap()
}

fn y() -> Tensor<4> {
    exact(&[0.3, 0.8], [1, 1, 1, 2])
}

fn measurement(y: &Tensor<4>, noise_std: f64) -> Measurement<Diagonal> {
    Measurement {
        operator: Diagonal::new(&[0.5, 1.0]),
        y: y.clone(),
        noise_std,
    }
}

fn masked(y: &Tensor<4>, noise_std: f64) -> Measurement<Inpainting> {
    Measurement {
        y: y.clone(),
        ..pair::measurement(noise_std)
    }
}

type Built<'a> = Result<Box<dyn PosteriorSampler + 'a>, SampleError>;

fn boxed<'a, T>(sampler: Result<T, SampleError>) -> Built<'a>
where
    T: PosteriorSampler + 'a,
{
    sampler.map(|sampler| Box::new(sampler) as Box<dyn PosteriorSampler>)
}

/// The samplers that take a [`Measurement`], each with its evaluations and backward passes.
fn measured<'a>(
    prior: &'a Taped,
    y: &Tensor<4>,
    noise_std: f64,
) -> Vec<(&'static str, Built<'a>, [usize; 2])> {
    let data = || measurement(y, noise_std);
    let projection = ProjectionConfig::default();
    let projected = Projected::new(Ddim::new(1.0).unwrap(), data(), SHAPE, projection);
    let diffusion = |solver| DiffusionSampler::new(Reverse::sde(schedule(), prior), solver, grid());
    let travel = RepaintConfig {
        resampling: 1,
        ..RepaintConfig::default()
    };
    let pnp_dm = PnpDmConfig {
        iterations: ROUNDS,
        ..PnpDmConfig::default()
    };
    let dpnp = DpnpConfig {
        iterations: ROUNDS,
        ..DpnpConfig::default()
    };
    let tds = TdsConfig {
        particles: 3,
        ..TdsConfig::default()
    };
    let mcg_diff = McgDiffConfig {
        particles: 3,
        ..McgDiffConfig::default()
    };
    let default = PosteriorDiffusion::new(prior, Diagonal::new(&[0.5, 1.0]), y.clone(), noise_std);
    vec![
        (
            "PiGDM",
            boxed(PigdmSampler::new(
                schedule(),
                prior,
                data(),
                grid(),
                PigdmConfig::default(),
            )),
            [STEPS, STEPS],
        ),
        (
            "MCG",
            boxed(Mcg::new(
                schedule(),
                prior,
                data(),
                grid(),
                McgConfig::default(),
            )),
            [STEPS, STEPS],
        ),
        (
            "FPS",
            boxed(Fps::new(
                schedule(),
                prior,
                data(),
                grid(),
                FpsConfig::default(),
            )),
            [STEPS, 0],
        ),
        (
            "DDNM+",
            boxed(DdnmPlus::new(
                schedule(),
                prior,
                data(),
                grid(),
                DdnmConfig::default(),
            )),
            [STEPS, 0],
        ),
        (
            "DDRM",
            boxed(Ddrm::new(
                schedule(),
                prior,
                data(),
                grid(),
                DdrmConfig::default(),
            )),
            [STEPS, 0],
        ),
        (
            "RePaint",
            boxed(Repaint::new(
                schedule(),
                prior,
                masked(y, noise_std),
                grid(),
                travel,
            )),
            [STEPS, 0],
        ),
        ("projection", boxed(projected.map(diffusion)), [STEPS, 0]),
        (
            "DAPS",
            boxed(Daps::new(
                schedule(),
                prior,
                data(),
                grid(),
                DapsConfig::default(),
            )),
            [5 * STEPS, 0],
        ),
        (
            "PnP-DM",
            boxed(PnpDm::new(prior, data(), pnp_dm)),
            [7 * ROUNDS, 0],
        ),
        (
            "DPnP",
            boxed(Dpnp::new(prior, data(), dpnp)),
            [7 * ROUNDS, 0],
        ),
        (
            "TDS",
            boxed(Tds::new(schedule(), prior, data(), grid(), tds)),
            [STEPS, STEPS],
        ),
        (
            "MCGDiff",
            boxed(McgDiff::new(schedule(), prior, data(), grid(), mcg_diff)),
            [STEPS, 0],
        ),
        ("default", boxed(default), [98, 98]),
    ]
}

/// The samplers that take the operator or a data term.
fn unmeasured(prior: &Taped) -> Vec<(&'static str, Built<'_>, [usize; 2])> {
    let operator = || Diagonal::new(&[0.5, 1.0]);
    let data = || L2::new(operator(), y(), 0.1).unwrap();
    vec![
        (
            "DPS",
            boxed(DpsSampler::new(
                schedule(),
                prior,
                operator(),
                y(),
                grid(),
                DpsConfig::default(),
            )),
            [STEPS, STEPS],
        ),
        (
            "DiffPIR",
            boxed(DiffPir::new(
                schedule(),
                prior,
                data(),
                grid(),
                DiffPirConfig::default(),
            )),
            [STEPS, 0],
        ),
        (
            "RED-diff",
            boxed(RedDiff::new(
                schedule(),
                prior,
                data(),
                grid(),
                RedDiffConfig::default(),
            )),
            [STEPS + 1, 0],
        ),
    ]
}

fn run(sampler: Built<'_>, shape: [usize; 4]) -> Result<Tensor<4>, SampleError> {
    sampler?.sample(shape, &mut rng(1), &mut |_| ())
}

#[test]
fn passes_of_the_prior_are_those_stated() {
    let prior = Taped::default();
    for (name, sampler, passes) in measured(&prior, &y(), 0.1)
        .into_iter()
        .chain(unmeasured(&prior))
    {
        run(sampler, SHAPE).unwrap();
        let found = [&prior.evaluations, &prior.tracked].map(Cell::take);
        assert_eq!(found, passes, "{name}");
    }
}

#[test]
fn no_noise_is_handled_or_refused_by_name() {
    let prior = Taped::default();
    for (name, sampler, _) in measured(&prior, &y(), 0.0) {
        match run(sampler, SHAPE) {
            Ok(images) => {
                let finite = values(&images).iter().all(|value| value.is_finite());
                assert!(finite && name != "TDS", "{name}");
            }
            Err(SampleError::Parameter { name: found, .. }) => {
                assert_eq!([name, found], ["TDS", "noise_std"]);
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn a_noise_that_is_none_is_refused() {
    let prior = Taped::default();
    for noise_std in [-0.1, f64::NAN, f64::INFINITY] {
        for (name, sampler, _) in measured(&prior, &y(), noise_std) {
            match run(sampler, SHAPE) {
                Err(SampleError::Parameter { name: found, .. }) => assert_eq!(found, "noise_std"),
                other => panic!("{name}, {noise_std}: {other:?}"),
            }
        }
    }
    assert_eq!(prior.evaluations.get(), 0);
}

/// Not those that guide or step by a term that closes over its measurement.
#[test]
fn images_that_do_not_have_the_measurement_are_refused() {
    let prior = Taped::default();
    let closed = ["projection", "default", "DiffPIR", "RED-diff"];
    let all = measured(&prior, &y(), 0.1)
        .into_iter()
        .chain(unmeasured(&prior));
    for (name, sampler, _) in all.filter(|(name, ..)| !closed.contains(name)) {
        match run(sampler, [2, 1, 1, 3]) {
            Err(SampleError::Mismatch { .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(prior.evaluations.get(), 0);
}

#[test]
fn each_image_may_have_a_measurement_of_its_own() {
    let prior = Taped::default();
    let rows = [[0.3, 0.8], [-0.4, 0.1]].map(|row| exact(&row, [1, 1, 1, 2]));
    let both = Tensor::cat(rows.to_vec(), 0);
    let images = |y: &Tensor<4>| -> Vec<Vec<f64>> {
        let samplers = measured(&prior, y, 0.1).into_iter();
        samplers
            .map(|(_, sampler, _)| values(&run(sampler, SHAPE).unwrap()))
            .collect()
    };
    let [first, second] = rows.map(|y| images(&y));
    let names = measured(&prior, &both, 0.1).into_iter().map(|row| row.0);
    for (index, (name, found)) in names.zip(images(&both)).enumerate() {
        let expected = [&first[index][..2], &second[index][2..]].concat();
        assert_close(name, &found, &expected, 1e-12);
        // Negative control.
        assert_ne!(first[index][2..], second[index][2..], "{name}");
    }
}

/// The steps for which a path is asked for its increment.
struct Path {
    rng: Rng,
    asked: Vec<Span>,
}

impl Noise for Path {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        self.rng.normal(shape)
    }
    fn normal_over(&mut self, shape: [usize; 4], from: f64, to: f64) -> Tensor<4> {
        self.asked.push(Span { from, to });
        self.rng.normal(shape)
    }
}

/// Fails unless each step but the last, which has no noise, asks once for its increment.
fn assert_one_path(name: &str, run: impl FnOnce(&mut dyn Noise) -> Result<Tensor<4>, SampleError>) {
    let mut path = Path {
        rng: rng(1),
        asked: Vec::new(),
    };
    run(&mut path).unwrap();
    let steps: Vec<Span> = grid().spans().take(STEPS - 1).collect();
    assert_eq!(path.asked, steps, "{name}");
}

#[test]
fn each_step_uses_its_part_of_a_path_once() {
    let prior = &Taped::default();
    let data = || measurement(&y(), 0.1);
    let blind = &mut |_: Step<'_>| ();
    let travel = DdnmConfig {
        travel_length: 2,
        travel_repeat: 3,
        ..DdnmConfig::default()
    };
    let jumps = RepaintConfig {
        jump_length: 2,
        resampling: 3,
        ..RepaintConfig::default()
    };
    let fps = Fps::new(schedule(), prior, data(), grid(), FpsConfig::default()).unwrap();
    assert_one_path("FPS", |noise| fps.sample_with(SHAPE, noise, blind));
    let mcg = Mcg::new(schedule(), prior, data(), grid(), McgConfig::default()).unwrap();
    assert_one_path("MCG", |noise| mcg.sample_with(SHAPE, noise, blind));
    let ddnm = DdnmPlus::new(schedule(), prior, data(), grid(), travel).unwrap();
    assert_one_path("DDNM+", |noise| ddnm.sample_with(SHAPE, noise, blind));
    let repaint = Repaint::new(schedule(), prior, masked(&y(), 0.0), grid(), jumps).unwrap();
    assert_one_path("RePaint", |noise| repaint.sample_with(SHAPE, noise, blind));
    let ddrm = Ddrm::new(schedule(), prior, data(), grid(), DdrmConfig::default()).unwrap();
    assert_one_path("DDRM", |noise| ddrm.sample_with(SHAPE, noise, blind));
    let daps = Daps::new(schedule(), prior, data(), grid(), DapsConfig::default()).unwrap();
    assert_one_path("DAPS", |noise| daps.sample_with(SHAPE, noise, blind));
}
