//! What `mcmc` is asked for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::mcmc::{ChainConfig, StopRule};

use crate::{
    method::{non_negative, positive},
    model, problem,
};

/// A prior by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PriorName {
    /// Total variation, through its Moreau-Yosida envelope: --weight, --lambda.
    Tv,
    /// Squared differences of neighbours, a Gaussian prior: --weight.
    Tikhonov,
    /// Haar wavelets of sparse details, through the Moreau-Yosida envelope: --weight, --lambda.
    Wavelet,
    /// The score of a model's denoiser at one noise level: --checkpoint, --sigma, --weight. It has no value, so the kernels
    /// with a Metropolis test refuse it.
    Model,
}

/// A prior without a network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Classical {
    Tv,
    Tikhonov,
    Wavelet,
}

impl PriorName {
    /// None for a model.
    pub(crate) fn classical(self) -> Option<Classical> {
        match self {
            Self::Tv => Some(Classical::Tv),
            Self::Tikhonov => Some(Classical::Tikhonov),
            Self::Wavelet => Some(Classical::Wavelet),
            Self::Model => None,
        }
    }
}

/// A kernel by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KernelName {
    /// Unadjusted Langevin steps; with the priors tv and wavelet this is MYULA.
    Ula,
    /// Stabilised Langevin steps of several gradients. Settings: stages, eta, share (of the largest step).
    SkRock,
    /// Langevin steps with a Metropolis test, their length adapted in the burn-in. Settings: adapt.
    Mala,
    /// Hamiltonian steps with a Metropolis test, their length adapted in the burn-in. Settings: leapfrog_steps, adapt.
    Hmc,
    /// ULA in the singular basis of the operator. Settings: prior_std.
    PreconditionedUla,
    /// MALA in the singular basis of the operator, its step adapted in the burn-in. Settings: prior_std, adapt.
    PreconditionedMala,
    /// ULA kept near [0, 1] by a penalty, for the prior model. Settings: box_lambda.
    PnpUla,
    /// ULA projected onto [0, 1].
    ProjectedUla,
    /// ULA reflected at 0 and 1.
    ReflectedUla,
    /// Kinetic Langevin steps. Settings: friction.
    Underdamped,
    /// Split Gibbs sampling: exact draws given the data, Langevin steps for the prior. Settings: rho, prior_steps.
    SplitGibbs,
}

/// Where chains start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StartName {
    /// The transposed operator applied to the measurement.
    Adjoint,
    /// The least-squares solution of least norm; far off where a blur amplifies noise.
    PseudoInverse,
    /// 0.5 everywhere.
    Grey,
}

/// Run Markov chains on the posterior of an image given a measurement
///
/// The target is exp(-f - g): a Gaussian data term f and a prior g. Takes a clean image and simulates the measurement, or takes a
/// measurement as it is. Writes clean.png, measurement.png, mask.png (inpainting), samples.png (the last states), mean.png,
/// std.png, ess.png (effective sample size, pixel by pixel), overview.png, traces.svg, chains.npz (for numpy and ArviZ) and
/// report.json, and says whether the chains have converged.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) problem: problem::Arguments,
    /// What is known of images before the measurement.
    #[arg(long, value_enum, default_value = "tv", value_name = "NAME")]
    pub(crate) prior: PriorName,
    /// Weight of the prior; 10 for tv, wavelet and tikhonov unless given, and 1, Bayes' rule, for model.
    #[arg(long, value_name = "W", value_parser = positive)]
    pub(crate) weight: Option<f64>,
    /// Prior model: the noise level of its denoiser, in units of pixels in [0, 1].
    #[arg(long, default_value_t = 0.05, value_name = "S", value_parser = positive)]
    pub(crate) sigma: f64,
    /// Priors tv and wavelet: smoothing of the envelope, in squared units of pixels; the reciprocal of the Lipschitz constant of
    /// the data term unless given.
    #[arg(long, value_name = "L", value_parser = positive)]
    pub(crate) lambda: Option<f64>,
    #[command(flatten)]
    pub(crate) model: model::Arguments,
    /// How the chains move.
    #[arg(long, value_enum, default_value = "sk-rock", value_name = "NAME")]
    pub(crate) kernel: KernelName,
    /// Settings of the kernel, as JSON, such as '{"stages": 15}'.
    #[arg(long, value_name = "JSON")]
    pub(crate) settings: Option<String>,
    /// Length of a step; the largest that the kernel's theory admits unless given, or what the kernel's settings say.
    #[arg(long, value_name = "H", value_parser = positive, allow_negative_numbers = true)]
    pub(crate) step_size: Option<f64>,
    /// How many chains, all moved at once.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) chains: u32,
    /// Iterations of each chain, the burn-in included.
    #[arg(long, default_value_t = 1500, value_name = "N")]
    pub(crate) iterations: usize,
    /// Iterations that are not counted, in which steps adapt.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) burn_in: usize,
    /// Each so many-th iteration is a draw.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) thinning: usize,
    /// A box into which each state is clipped.
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], allow_negative_numbers = true)]
    pub(crate) clip: Option<Vec<f64>>,
    /// Where the chains start; grey where the operator is not linear.
    #[arg(long, value_enum, default_value = "adjoint", value_name = "NAME")]
    pub(crate) start: StartName,
    /// Standard deviation of the noise that keeps the starts apart, in units of pixels: R-hat sees only what starts far apart.
    #[arg(long, default_value_t = 0.2, value_name = "S", value_parser = non_negative, allow_negative_numbers = true)]
    pub(crate) spread: f64,
    /// Stop when the effective sample size of each pixel, of all chains together, has reached this.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) stop_ess: Option<f64>,
    /// Stop when R-hat of each pixel is at most this, such as 1.01.
    #[arg(long, value_name = "R", value_parser = positive)]
    pub(crate) stop_rhat: Option<f64>,
    /// Also write the draws, the first so many of each chain, to chains.npz.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) keep: usize,
    /// Iterations between two checkpoints, with which --resume goes on after an interruption.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) checkpoint_every: u32,
    /// Go on from the checkpoint in the folder of --out; the other arguments must be those of that run.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where everything is written; made if it does not exist.
    #[arg(long, default_value = "runs/mcmc", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

impl Arguments {
    /// Bayes' rule for a model, and a prior that shows for the others.
    pub(crate) fn weight(&self) -> f64 {
        let usual = match self.prior {
            PriorName::Model => 1.0,
            PriorName::Tv | PriorName::Wavelet | PriorName::Tikhonov => 10.0,
        };
        self.weight.unwrap_or(usual)
    }

    /// How long the chains run.
    pub(crate) fn config(&self) -> ChainConfig {
        let asked = self.stop_ess.is_some() || self.stop_rhat.is_some();
        ChainConfig {
            iterations: self.iterations,
            burn_in: self.burn_in,
            thinning: self.thinning,
            clip: self.clip.as_deref().map(|ends| [ends[0], ends[1]]),
            keep: self.keep,
            stop: asked.then_some(StopRule {
                min_ess: self.stop_ess,
                max_rhat: self.stop_rhat,
            }),
            ..ChainConfig::default()
        }
    }
}
