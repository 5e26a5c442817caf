//! The methods, one line each. Their settings are in their names where they are not the defaults.

use tweedie::{
    core::FullGaussian,
    fidelity::{Dps, Full, GaussianGuidance, Mmps, Pigdm, Tmpd},
    samplers::{
        Daps, DapsConfig, DdnmConfig, DdnmPlus, Ddrm, DdrmConfig, Dpnp, DpnpConfig, Fps, FpsConfig,
        McgDiff, McgDiffConfig, PigdmConfig, PigdmSampler, PnpDm, PnpDmConfig, PosteriorDiffusion,
        PosteriorSampler, Tds, TdsConfig,
    },
    solvers::{Ddpm, DpmSolverPp2M},
};

use super::{
    super::probe::Probe,
    builders::{Case, built, diffpir, dpnp, dps, guided, isotropic, karras, log_snr, schedule},
    problem::SAMPLE_VARIANCE,
};
use crate::failure::Outcome;

/// The denoiser of the prior.
pub(crate) type Prior<'a> = &'a Probe<&'a FullGaussian>;

/// A method on measurements.
pub(crate) type Built<'a> = Outcome<Box<dyn PosteriorSampler + 'a>>;

/// How a method is built.
#[derive(Clone, Copy)]
pub(crate) enum Build {
    Fixed(for<'a> fn(&Case<'a>, Prior<'a>) -> Built<'a>),
    /// With the value of a setting that restores validation signals best.
    Searched(Values, for<'a> fn(&Case<'a>, Prior<'a>, f64) -> Built<'a>),
}

/// Values of a setting, evenly in their logarithm.
#[derive(Clone, Copy)]
pub(crate) struct Values {
    pub(crate) setting: &'static str,
    /// Decimal logarithms of the least and of the greatest.
    exponents: [f64; 2],
    count: usize,
}

impl Values {
    pub(crate) const fn new(setting: &'static str, exponents: [f64; 2], count: usize) -> Self {
        Self {
            setting,
            exponents,
            count,
        }
    }

    pub(crate) fn all(self) -> impl Iterator<Item = f64> {
        let ([from, to], last) = (self.exponents, (self.count - 1) as f64);
        (0..self.count).map(move |index| 10f64.powf(from + (to - from) * index as f64 / last))
    }
}

/// A sampler with its settings.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What was published for the identity and for the convolution, in decibels.
    published: Option<[f64; 2]>,
    pub(crate) build: Build,
}

impl Method {
    /// The published gap in decibels, with a learned denoiser. These figures are second-hand.
    pub(crate) fn published(&self, operator: &str) -> Option<f64> {
        let [identity, convolution] = self.published?;
        match operator {
            "identity" => Some(identity),
            "convolution" => Some(convolution),
            _ => None,
        }
    }
}

const fn fixed(name: &'static str, build: for<'a> fn(&Case<'a>, Prior<'a>) -> Built<'a>) -> Method {
    Method {
        name,
        published: None,
        build: Build::Fixed(build),
    }
}

const fn searched(
    name: &'static str,
    published: [f64; 2],
    values: Values,
    build: for<'a> fn(&Case<'a>, Prior<'a>, f64) -> Built<'a>,
) -> Method {
    Method {
        name,
        published: Some(published),
        build: Build::Searched(values, build),
    }
}

/// The grids of the publication.
const ZETA: Values = Values::new("zeta", [-3.0, 1.0], 40);
const RHO: Values = Values::new("rho", [-4.0, 1.0], 20);
const ETA_0: Values = Values::new("eta_0", [-1.0, 4.0], 40);

/// Every method, those of one kind together.
#[rustfmt::skip]
pub(crate) const METHODS: &[Method] = &[
    fixed("exact draws", |c, _| built(c.exact())),

    fixed("PosteriorDiffusion, defaults", |c, prior| {
        built(PosteriorDiffusion::new(prior, c.operator(), c.y.clone(), c.noise_std)?)
    }),
    fixed("MMPS, 16 iterations, 2M, 40 steps", |c, prior| {
        let guidance = Mmps::new(c.operator(), c.y.clone(), c.noise_std)?.with_iterations(16)?;
        guided(prior, guidance, DpmSolverPp2M, log_snr(40)?)
    }),
    fixed("Gaussian guidance, full covariance, 2M, 60 steps", |c, prior| {
        let covariance = Full::new(c.prior().clone());
        let guidance = GaussianGuidance::new(c.operator(), c.y.clone(), c.noise_std, covariance)?;
        guided(prior, guidance, DpmSolverPp2M, log_snr(60)?)
    }),
    fixed("PiGDM, DDPM, 100 steps", |c, prior| {
        guided(prior, Pigdm::new(c.operator(), c.y.clone(), c.noise_std, isotropic()?)?, Ddpm, karras(100)?)
    }),
    fixed("PiGDM, its own step, 100 steps", |c, prior| {
        let config = PigdmConfig { prior_variance: SAMPLE_VARIANCE, ..PigdmConfig::default() };
        built(PigdmSampler::new(schedule()?, prior, c.measurement(), karras(100)?, config)?)
    }),
    fixed("TMPD, DDPM, 100 steps", |c, prior| {
        guided(prior, Tmpd::new(c.operator(), c.y.clone(), c.noise_std)?, Ddpm, karras(100)?)
    }),
    fixed("DPS annealed, DDPM, 100 steps", |c, prior| {
        guided(prior, Dps::annealed(c.operator(), c.y.clone(), c.noise_std, isotropic()?)?, Ddpm, karras(100)?)
    }),
    searched("DPS, its own step (C-DPS), 1000 steps", [0.12, 0.12], ZETA, dps),

    fixed("DDRM, 100 steps", |c, prior| {
        built(Ddrm::new(schedule()?, prior, c.measurement(), log_snr(100)?, DdrmConfig::default())?)
    }),
    searched("DiffPIR, zeta 0.3, 1000 steps", [0.16, 0.07], RHO, |c, prior, rho| diffpir(c, prior, rho, 0.3)),
    searched("DiffPIR, zeta 0.7, 1000 steps", [0.16, 0.07], RHO, |c, prior, rho| diffpir(c, prior, rho, 0.7)),
    fixed("DDNM+, 100 steps", |c, prior| {
        built(DdnmPlus::new(schedule()?, prior, c.measurement(), karras(100)?, DdnmConfig::default())?)
    }),
    fixed("FPS, 100 steps", |c, prior| {
        built(Fps::new(schedule()?, prior, c.measurement(), karras(100)?, FpsConfig::default())?)
    }),

    fixed("DAPS, 100 rounds of 5", |c, prior| {
        built(Daps::new(schedule()?, prior, c.measurement(), log_snr(100)?, DapsConfig::default())?)
    }),
    fixed("PnP-DM, defaults", |c, prior| built(PnpDm::new(prior, c.measurement(), PnpDmConfig::default())?)),
    fixed("DPnP, defaults", |c, prior| built(Dpnp::new(prior, c.measurement(), DpnpConfig::default())?)),
    searched("DPnP, 40 rounds to eta 0.1", [0.24, 0.10], ETA_0, dpnp),

    fixed("TDS, 4 particles a draw, 50 steps", |c, prior| {
        let config = TdsConfig { particles: 4, prior_variance: SAMPLE_VARIANCE, ..TdsConfig::default() };
        built(Tds::new(schedule()?, prior, c.measurement(), karras(50)?, config)?)
    }),
    fixed("MCGDiff, 8 particles a draw, 50 steps", |c, prior| {
        let config = McgDiffConfig { particles: 8, ..McgDiffConfig::default() };
        built(McgDiff::new(schedule()?, prior, c.measurement(), karras(50)?, config)?)
    }),
];
