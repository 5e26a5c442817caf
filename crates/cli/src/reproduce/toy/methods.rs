//! The methods, one line each. Their settings are in their names where they are not the defaults.

use std::f64::consts::FRAC_1_SQRT_2;

use tweedie::{
    core::{FullGaussian, TimeGrid, VariancePreserving},
    fidelity::{
        Ald, Diagonal, Dps, Full, GaussianGuidance, Isotropic, L2, LgdMc, Mmps, Pigdm,
        ReconstructionGuidance, Sda, Tmpd,
    },
    samplers::{
        Daps, DapsConfig, DdnmConfig, DdnmPlus, DiffPirConfig, Dpnp, DpnpConfig, Fps, FpsConfig,
        Mcg, McgConfig, McgDiff, McgDiffConfig, PigdmConfig, PigdmSampler, PnpDm, PnpDmConfig,
        PosteriorDiffusion, PosteriorSampler, Projected, ProjectionConfig, RedDiff, RedDiffConfig,
        Tds, TdsConfig,
    },
    solvers::{Ddpm, DpmSolverPp2M},
};

use super::{
    builders::{
        Exact, ddrm, diffpir, dps, guided, karras, leap, log_snr, repaint, schedule, unguided,
    },
    peer::Peer,
    problem::{NOISE_STD, PIXEL_VARIANCE, Problem, batch, denoiser},
};
use crate::{failure::Outcome, reproduce::probe::Probe};

/// The denoiser of the prior.
pub(crate) type Prior<'a> = &'a Probe<&'a FullGaussian>;

/// A method on a problem; none where it does not fit.
pub(crate) type Built<'a> = Outcome<Option<Box<dyn PosteriorSampler + 'a>>>;

type Build = for<'a> fn(&'a Problem, Prior<'a>) -> Built<'a>;

/// A sampler with its settings.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// The same method in deepinv.
    pub(crate) peer: Option<Peer>,
    pub(crate) build: Build,
}

const fn ours(name: &'static str, build: Build) -> Method {
    Method {
        name,
        peer: None,
        build,
    }
}

const fn shared(name: &'static str, peer: Peer, build: Build) -> Method {
    Method {
        name,
        peer: Some(peer),
        build,
    }
}

fn isotropic() -> Outcome<Isotropic> {
    Ok(Isotropic::new(PIXEL_VARIANCE)?)
}

/// A sampler that fits every problem.
fn any<'a>(sampler: impl PosteriorSampler + 'a) -> Built<'a> {
    Ok(Some(Box::new(sampler)))
}

/// Every method, those of one kind together.
#[rustfmt::skip]
pub(crate) const METHODS: &[Method] = &[
    ours("exact draws", |p, _| any(Exact(denoiser(&p.posterior)?))),

    // The default of deepinv's class of that name is DPS.
    shared("PosteriorDiffusion, defaults", Peer::Dps, |p, prior| {
        any(PosteriorDiffusion::new(prior, p.operator(), p.y.clone(), NOISE_STD)?)
    }),

    shared("MMPS, 7 iterations, 2M", Peer::MomentMatching, |p, prior| {
        let guidance = Mmps::new(p.operator(), p.y.clone(), NOISE_STD)?.with_iterations(7)?;
        guided(prior, guidance, DpmSolverPp2M, leap(1.2, 0.008, 14)?)
    }),
    shared("MMPS, 16 iterations, 2M", Peer::MomentMatchingExact, |p, prior| {
        let guidance = Mmps::new(p.operator(), p.y.clone(), NOISE_STD)?.with_iterations(16)?;
        guided(prior, guidance, DpmSolverPp2M, leap(1.2, 0.003, 40)?)
    }),
    ours("Gaussian guidance, full covariance, 2M", |p, prior| {
        let covariance = Full::new(p.prior.clone());
        let guidance = GaussianGuidance::new(p.operator(), p.y.clone(), NOISE_STD, covariance)?;
        guided(prior, guidance, DpmSolverPp2M, leap(1.2, 0.003, 50)?)
    }),
    ours("Gaussian guidance, diagonal covariance, DDPM", |p, prior| {
        let covariance = Diagonal::new(p.y.full_like(PIXEL_VARIANCE))?;
        let guidance = GaussianGuidance::new(p.operator(), p.y.clone(), NOISE_STD, covariance)?;
        guided(prior, guidance, Ddpm, karras(0.002, 100)?)
    }),
    shared("PiGDM, DDPM", Peer::Pigdm, |p, prior| {
        guided(prior, Pigdm::new(p.operator(), p.y.clone(), NOISE_STD, isotropic()?)?, Ddpm, karras(0.002, 100)?)
    }),
    // deepinv has the score alone.
    ours("PiGDM, its own step, 100 steps", |p, prior| {
        let config = PigdmConfig { prior_variance: PIXEL_VARIANCE, ..PigdmConfig::default() };
        any(PigdmSampler::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, config)?)
    }),
    ours("TMPD, DDPM", |p, prior| {
        guided(prior, Tmpd::new(p.operator(), p.y.clone(), NOISE_STD)?, Ddpm, karras(0.002, 50)?)
    }),
    shared("DPS annealed, DDPM", Peer::DpsAnnealed, |p, prior| {
        guided(prior, Dps::annealed(p.operator(), p.y.clone(), NOISE_STD, isotropic()?)?, Ddpm, karras(0.002, 100)?)
    }),
    shared("DPS, its own step, zeta 1, 100 steps", Peer::Dps, |p, prior| dps(p, prior, 1.0)),
    shared("DPS, its own step, zeta 0.2, 100 steps", Peer::Dps, |p, prior| dps(p, prior, 0.2)),
    ours("SDA, gamma 0.25, DDPM", |p, prior| {
        guided(prior, Sda::new(p.operator(), p.y.clone(), NOISE_STD, 0.25)?, Ddpm, karras(0.002, 100)?)
    }),
    shared("ALD, gamma 0.5 sigma, DDPM", Peer::Ald, |p, prior| {
        let guidance = Ald::new(p.operator(), p.y.clone(), NOISE_STD)?.with_gamma_per_sigma(0.5)?;
        guided(prior, guidance, Ddpm, karras(0.002, 100)?)
    }),
    ours("LGD-MC, 10 draws, DDPM", |p, prior| {
        guided(prior, LgdMc::new(p.operator(), p.y.clone(), NOISE_STD, isotropic()?)?, Ddpm, karras(0.002, 100)?)
    }),
    ours("reconstruction guidance, DDPM", |p, prior| {
        guided(prior, ReconstructionGuidance::new(p.operator(), p.y.clone(), 1.0)?, Ddpm, karras(0.002, 100)?)
    }),

    shared("DDRM, eta 0.95, 20 steps", Peer::Ddrm, |p, prior| ddrm(p, prior, 0.95, log_snr(5.0, 0.04, 20)?)),
    shared("DDRM, eta 0.95, 100 steps", Peer::Ddrm, |p, prior| ddrm(p, prior, 0.95, log_snr(5.0, 0.04, 100)?)),
    shared("DiffPIR, lambda 2, zeta 0.7, 20 steps", Peer::DiffPir, |p, prior| {
        diffpir(p, prior, DiffPirConfig { lambda: 2.0, zeta: 0.7 }, 20)
    }),
    shared("DiffPIR, lambda 2, zeta 0.7, 100 steps", Peer::DiffPir, |p, prior| {
        diffpir(p, prior, DiffPirConfig { lambda: 2.0, zeta: 0.7 }, 100)
    }),
    ours("DDNM+, 100 steps", |p, prior| {
        any(DdnmPlus::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, DdnmConfig::default())?)
    }),
    ours("MCG, 100 steps", |p, prior| {
        any(Mcg::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, McgConfig::default())?)
    }),
    ours("FPS, 100 steps", |p, prior| {
        any(Fps::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, FpsConfig::default())?)
    }),
    ours("ScoreSDE projection, 100 steps", |p, prior| {
        let solver = Projected::new(Ddpm, p.measurement(), batch(1), ProjectionConfig::default())?;
        unguided(prior, solver, karras(0.002, 100)?)
    }),
    ours("RePaint, 100 steps, 10 times", |p, prior| repaint(p, prior, karras(0.002, 100)?)),

    ours("RED-diff, 1000 steps", |p, prior| {
        // The paper's data term, schedule and times.
        let data = L2::new(p.operator(), p.y.clone(), FRAC_1_SQRT_2)?;
        let (schedule, grid) = (VariancePreserving::new(0.1, 20.0)?, TimeGrid::uniform(1.0, 0.0, 1000)?);
        any(RedDiff::new(schedule, prior, data, grid, RedDiffConfig::default())?)
    }),
    ours("DAPS, 200 rounds of 5", |p, prior| {
        any(Daps::new(schedule()?, prior, p.measurement(), log_snr(5.0, 0.01, 200)?, DapsConfig::default())?)
    }),
    ours("PnP-DM, defaults", |p, prior| any(PnpDm::new(prior, p.measurement(), PnpDmConfig::default())?)),
    ours("DPnP, defaults", |p, prior| any(Dpnp::new(prior, p.measurement(), DpnpConfig::default())?)),

    ours("TDS, 16 particles a draw, 100 steps", |p, prior| {
        let config = TdsConfig { particles: 16, prior_variance: PIXEL_VARIANCE, ..TdsConfig::default() };
        any(Tds::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, config)?)
    }),
    ours("MCGDiff, 16 particles a draw, 100 steps", |p, prior| {
        let config = McgDiffConfig { particles: 16, ..McgDiffConfig::default() };
        any(McgDiff::new(schedule()?, prior, p.measurement(), karras(0.002, 100)?, config)?)
    }),
];
