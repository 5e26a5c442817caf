//! What `report.json` says, and what the terminal shows of it.

use std::fmt;

use serde::Serialize;
use tweedie::{
    burn::tensor::Tensor,
    mcmc::{ChainReport, ChainRun, fingerprint},
};

use super::arguments::{Arguments, KernelName, PriorName, StartName};
use crate::{
    problem::Problem,
    quality::{Quality, Spread},
};

/// What the arguments do not say.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) device: &'static str,
    /// Where the model came from.
    pub(crate) model: Option<String>,
    /// Smoothing of the prior that the data term asks for.
    pub(crate) lambda: Option<f64>,
}

/// A setting, and what the run took.
pub(crate) struct Timed {
    setting: Setting,
    seconds: f64,
    iterations: usize,
}

impl Setting {
    pub(crate) fn timed(self, seconds: f64, iterations: usize) -> Timed {
        Timed {
            setting: self,
            seconds,
            iterations,
        }
    }

    /// All that decides what the draws are of, for a checkpoint to compare.
    pub(crate) fn target(&self, arguments: &Arguments, problem: &Problem) -> String {
        let posed = &arguments.problem;
        format!(
            "{:?}, mask {:?}, noise {}, seed {}, y {}; prior {:?}, weight {}, sigma {}, lambda {:?}, model {:?}",
            posed.described(),
            posed.mask,
            posed.noise_std,
            posed.seed,
            fingerprint(&problem.measurement),
            arguments.prior,
            arguments.weight(),
            arguments.sigma,
            arguments.lambda.or(self.lambda),
            self.model,
        )
    }
}

/// How many reasons against convergence the terminal shows.
const REASONS: usize = 3;

/// Everything about a run.
#[derive(Serialize)]
pub(crate) struct Report {
    image: String,
    shape: [usize; 4],
    device: &'static str,
    operator: &'static str,
    operator_setting: Option<f64>,
    noise_std: f64,
    prior: PriorName,
    weight: f64,
    /// Prior model: its noise level, and where it came from.
    sigma: Option<f64>,
    checkpoint: Option<String>,
    /// Priors tv and wavelet: their smoothing.
    lambda: Option<f64>,
    kernel_name: KernelName,
    start: StartName,
    spread: f64,
    seed: u64,
    seconds: f64,
    iterations_per_second: f64,
    #[serde(flatten)]
    chains: ChainReport,
    /// The pseudo-inverse of the measurement.
    measurement: Option<Quality>,
    /// The mean of the draws.
    mean: Option<Quality>,
    std: Option<Spread>,
    /// The largest Monte-Carlo standard error of the mean of a pixel.
    mcse_max: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        arguments: &Arguments,
        problem: &Problem,
        run: &ChainRun,
        chains: ChainReport,
        Timed {
            setting,
            seconds,
            iterations,
        }: Timed,
    ) -> Self {
        let posed = &arguments.problem;
        let (operator, operator_setting) = posed.described();
        let quality = |estimate: Tensor<4>| {
            let clean = problem.clean.as_ref();
            clean.map(|clean| Quality::of(estimate, clean))
        };
        let statistics = run.statistics.as_ref();
        let std = statistics.and_then(|found| found.std.as_ref());
        let mcse = statistics.and_then(|found| found.mcse.clone());
        let learnt = arguments.prior == PriorName::Model;
        let smoothed = matches!(arguments.prior, PriorName::Tv | PriorName::Wavelet);
        Self {
            image: problem.name.clone(),
            shape: problem.image_shape,
            device: setting.device,
            operator,
            operator_setting,
            noise_std: posed.noise_std,
            prior: arguments.prior,
            weight: arguments.weight(),
            sigma: learnt.then_some(arguments.sigma),
            checkpoint: setting.model,
            lambda: arguments.lambda.or(setting.lambda).filter(|_| smoothed),
            kernel_name: arguments.kernel,
            start: arguments.start,
            spread: arguments.spread,
            seed: posed.seed,
            seconds,
            iterations_per_second: iterations as f64 / seconds,
            chains,
            measurement: quality(problem.back_projection()),
            mean: statistics.and_then(|found| quality(found.mean.clone())),
            std: std.map(|std| Spread::of(std, problem.mask.as_ref())),
            mcse_max: mcse.map(|mcse| mcse.max().into_scalar::<f64>()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
        };
        for (label, quality) in [
            ("measurement", &self.measurement),
            ("posterior mean", &self.mean),
        ] {
            if let Some(quality) = quality {
                writeln!(f, "{label:>20}:{quality}")?;
            }
        }
        if let Some(std) = &self.std {
            writeln!(f, "{:>20}:{std}", "standard deviation")?;
        }
        let chains = &self.chains;
        writeln!(
            f,
            "{:>20}: {} of {} chains, {} gradients each, {:.1} iterations/s, {:.1} s",
            "draws",
            chains.draws,
            chains.chains,
            chains.gradients,
            self.iterations_per_second,
            self.seconds
        )?;
        if let Some(rate) = chains.acceptance_rate {
            writeln!(f, "{:>20}: {rate:.3}", "acceptance rate")?;
        }
        for trace in &chains.slowest {
            writeln!(
                f,
                "{:>24}: mean {}, MCSE {}, bulk ESS {}, tail ESS {}, R-hat {}",
                trace.name,
                known(trace.mean),
                known(trace.mcse),
                known(trace.ess_bulk),
                known(trace.ess_tail),
                known(trace.rhat)
            )?;
        }
        let verdict = if chains.verdict.converged {
            "yes"
        } else {
            "NO"
        };
        writeln!(f, "{:>20}: {verdict}", "converged")?;
        let short = || chains.verdict.reasons.iter().filter(|reason| !reason.holds);
        for reason in short().take(REASONS) {
            writeln!(f, "{:>20}  {reason}", "")?;
        }
        match short().count().saturating_sub(REASONS) {
            0 => Ok(()),
            more => writeln!(f, "{:>20}  and {more} more in report.json", ""),
        }
    }
}
