//! The methods, one line each. Their settings are in their names where they are neither the protocol's nor the defaults.

use std::f64::consts::FRAC_1_SQRT_2;

use tweedie::{
    burn::tensor::Tensor,
    core::{DdpmTable, Rng, Scaled, Spacing, TimeGrid},
    fidelity::{
        Ald, Dps, Isotropic, L2, LgdMc, Mmps, NoisyFidelity, Pigdm, ReconstructionGuidance, Sda,
        Tmpd,
    },
    samplers::{
        Daps, DapsConfig, DdnmConfig, DdnmPlus, Ddrm, DdrmConfig, DiffPir, DiffPirConfig,
        DiffusionSampler, Dpnp, DpnpConfig, DpsConfig, DpsSampler, Fps, FpsConfig, Mcg, McgConfig,
        McgDiff, McgDiffConfig, Particles, PigdmConfig, PigdmSampler, PnpDm, PnpDmConfig,
        PosteriorDiffusion, PosteriorSampler, Projected, ProjectionConfig, RedDiff, RedDiffConfig,
        SampleError, Tds, TdsConfig,
    },
    sde::Reverse,
    solvers::{Ddim, Step},
};

use super::problem::{EXTENT, Problem};
use crate::failure::Outcome;

/// Steps of the forward chain.
const TABLE: usize = 999;

/// Particles of a run.
const PARTICLES: usize = 1000;

/// Images in [-1, 1] of a paper, as the samplers know them: of width 1.
const HALF: f64 = 0.5;

/// All means of a pixel within a width of 1.
const PIXELS: f64 = 1.0 / EXTENT;

/// The steps of a run: how many, and their stochasticity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) count: usize,
    eta: f64,
}

impl Steps {
    /// Those of the protocol.
    pub(crate) const PROTOCOL: [Self; 2] = [
        Self {
            count: 20,
            eta: 0.6,
        },
        Self {
            count: 100,
            eta: 0.85,
        },
    ];
}

/// The chain of the protocol in some unit, and the steps along it.
pub(crate) struct Walk {
    schedule: Scaled<DdpmTable>,
    grid: TimeGrid,
    eta: f64,
}

impl Walk {
    pub(crate) fn new(steps: Steps, unit: f64) -> Outcome<Self> {
        let (first, last) = (0.02, 1e-4);
        let gap = (last - first) / (TABLE - 1) as f64;
        // As published: the cleanest step has the largest beta.
        let betas: Vec<f64> = (0..TABLE).map(|step| first + gap * step as f64).collect();
        Ok(Self {
            schedule: Scaled::new(DdpmTable::new(&betas)?, unit),
            grid: TimeGrid::table(TABLE, steps.count, Spacing::Trailing)?,
            eta: steps.eta,
        })
    }
}

type Built<'a> = Outcome<Box<dyn PosteriorSampler + 'a>>;

/// A sampler with its settings.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What the method calls 1 in pixels of the protocol: see [`Problem::in_unit`].
    pub(crate) unit: f64,
    /// The number of steps, where the method has its own.
    pub(crate) steps: Option<usize>,
    pub(crate) build: for<'a> fn(&'a Problem, Walk) -> Built<'a>,
}

const fn method(name: &'static str, build: for<'a> fn(&'a Problem, Walk) -> Built<'a>) -> Method {
    in_unit(1.0, name, build)
}

const fn in_unit(
    unit: f64,
    name: &'static str,
    build: for<'a> fn(&'a Problem, Walk) -> Built<'a>,
) -> Method {
    Method {
        name,
        unit,
        steps: None,
        build,
    }
}

/// Every method, those of one kind together.
#[rustfmt::skip]
pub(crate) const METHODS: &[Method] = &[
    Method { name: "exact draws", unit: 1.0, steps: Some(0), build: |p, _| any(Exact(p)) },
    Method { name: "PosteriorDiffusion, defaults", unit: PIXELS, steps: Some(14), build: |p, _| {
        any(PosteriorDiffusion::new(&p.prior, &p.operator, p.y.clone(), p.noise_std)?)
    } },

    method("MMPS, dy iterations", |p, walk| {
        // As many iterations as measurements solve the equations.
        let guidance = Mmps::new(&p.operator, p.y.clone(), p.noise_std)?.with_iterations(p.y.dims()[3])?;
        guided(p, walk, guidance)
    }),
    method("TMPD", |p, walk| guided(p, walk, Tmpd::new(&p.operator, p.y.clone(), p.noise_std)?)),
    method("PiGDM", |p, walk| guided(p, walk, Pigdm::new(&p.operator, p.y.clone(), p.noise_std, isotropic(p)?)?)),
    method("PiGDM, its own step", |p, Walk { schedule, grid, eta }| {
        let config = PigdmConfig { eta, prior_variance: p.pixel_variance };
        any(PigdmSampler::new(schedule, &p.prior, p.measurement(), grid, config)?)
    }),
    method("DPS annealed", |p, walk| guided(p, walk, Dps::annealed(&p.operator, p.y.clone(), p.noise_std, isotropic(p)?)?)),
    in_unit(HALF, "DPS, its own step, zeta 0.1", |p, Walk { schedule, grid, eta }| {
        let config = DpsConfig { zeta: 0.1, eta };
        any(DpsSampler::new(schedule, &p.prior, &p.operator, p.y.clone(), grid, config)?)
    }),
    method("SDA, gamma 0.25", |p, walk| guided(p, walk, Sda::new(&p.operator, p.y.clone(), p.noise_std, 0.25)?)),
    method("ALD, gamma 0.5 sigma", |p, walk| {
        guided(p, walk, Ald::new(&p.operator, p.y.clone(), p.noise_std)?.with_gamma_per_sigma(0.5)?)
    }),
    method("LGD-MC, 10 draws", |p, walk| guided(p, walk, LgdMc::new(&p.operator, p.y.clone(), p.noise_std, isotropic(p)?)?)),
    method("reconstruction guidance", |p, walk| guided(p, walk, ReconstructionGuidance::new(&p.operator, p.y.clone(), 1.0)?)),

    method("DDRM", |p, Walk { schedule, grid, .. }| {
        any(Ddrm::new(schedule, &p.prior, p.measurement(), grid, DdrmConfig::default())?)
    }),
    method("DDNM+", |p, Walk { schedule, grid, eta }| {
        let config = DdnmConfig { eta, ..DdnmConfig::default() };
        any(DdnmPlus::new(schedule, &p.prior, p.measurement(), grid, config)?)
    }),
    method("DiffPIR", |p, Walk { schedule, grid, .. }| {
        let data = L2::new(&p.operator, p.y.clone(), p.noise_std)?;
        any(DiffPir::new(schedule, &p.prior, data, grid, DiffPirConfig::default())?)
    }),
    method("MCG", |p, Walk { schedule, grid, eta }| {
        let config = McgConfig { eta, ..McgConfig::default() };
        any(Mcg::new(schedule, &p.prior, p.measurement(), grid, config)?)
    }),
    method("FPS", |p, Walk { schedule, grid, eta }| {
        any(Fps::new(schedule, &p.prior, p.measurement(), grid, FpsConfig { eta })?)
    }),
    method("ScoreSDE projection", |p, Walk { schedule, grid, eta }| {
        let image = p.image().dims();
        let solver = Projected::new(Ddim::new(eta)?, p.measurement(), image, ProjectionConfig::default())?;
        any(DiffusionSampler::new(Reverse::flow(schedule, &p.prior), solver, grid))
    }),
    in_unit(PIXELS, "RED-diff", |p, Walk { schedule, grid, .. }| {
        // The paper weighs the data in the same way whatever their noise.
        let data = L2::new(&p.operator, p.y.clone(), FRAC_1_SQRT_2)?;
        any(RedDiff::new(schedule, &p.prior, data, grid, RedDiffConfig::default())?)
    }),
    in_unit(PIXELS, "DAPS, 5 evaluations a step", |p, Walk { schedule, grid, .. }| {
        any(Daps::new(schedule, &p.prior, p.measurement(), grid, DapsConfig::default())?)
    }),
    in_unit(PIXELS, "PnP-DM, 7 evaluations a step", |p, Walk { grid, .. }| {
        let config = PnpDmConfig { iterations: grid.steps(), ..PnpDmConfig::default() };
        any(PnpDm::new(&p.prior, p.measurement(), config)?)
    }),
    in_unit(PIXELS, "DPnP, 7 evaluations a step", |p, Walk { grid, .. }| {
        let config = DpnpConfig { iterations: grid.steps(), ..DpnpConfig::default() };
        any(Dpnp::new(&p.prior, p.measurement(), config)?)
    }),

    method("TDS, 1000 particles", |p, Walk { schedule, grid, eta }| {
        let config = TdsConfig { particles: PARTICLES, eta, prior_variance: p.pixel_variance, ..TdsConfig::default() };
        let sampler = Tds::new(schedule, &p.prior, p.measurement(), grid, config)?;
        any(Runs(move |shape, rng: &mut Rng| sampler.run(shape, rng, &mut |_| ())))
    }),
    method("MCGDiff, 1000 particles", |p, Walk { schedule, grid, eta }| {
        let config = McgDiffConfig { particles: PARTICLES, kappa: 1e-2, eta, ..McgDiffConfig::default() };
        let sampler = McgDiff::new(schedule, &p.prior, p.measurement(), grid, config)?;
        any(Runs(move |shape, rng: &mut Rng| sampler.run(shape, rng, &mut |_| ())))
    }),
];

fn any<'a>(sampler: impl PosteriorSampler + 'a) -> Built<'a> {
    Ok(Box::new(sampler))
}

fn isotropic(problem: &Problem) -> Outcome<Isotropic> {
    Ok(Isotropic::new(problem.pixel_variance)?)
}

/// DDIM on the guided denoiser.
fn guided<'a>(problem: &'a Problem, walk: Walk, guidance: impl NoisyFidelity + 'a) -> Built<'a> {
    let sampler = PosteriorDiffusion::guided(&problem.prior, guidance)
        .with_schedule(walk.schedule)?
        .with_solver(Ddim::new(walk.eta)?)
        .with_grid(walk.grid)?;
    any(sampler)
}

/// Draws of the posterior itself.
struct Exact<'a>(&'a Problem);

impl PosteriorSampler for Exact<'_> {
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        _: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        Ok(self.0.exact(shape[0], rng))
    }
}

/// Particles instead of one draw of each run: as few runs as have that many particles, resampled to the number of draws.
struct Runs<F>(F);

impl<F> PosteriorSampler for Runs<F>
where
    F: Fn([usize; 4], &mut Rng) -> Result<Particles, SampleError>,
{
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        _: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        let [draws, image @ ..] = shape;
        let runs = draws.div_ceil(PARTICLES);
        let particles = (self.0)([runs, image[0], image[1], image[2]], rng)?;
        Ok(particles
            .resample(draws.div_ceil(runs), rng)
            .slice(0..draws))
    }
}
