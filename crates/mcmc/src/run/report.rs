//! What a run has come to, in numbers, and whether its chains have converged.

use std::fmt;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_metrics::StoredChains;

use super::{ACCEPTANCE, ChainConfig, ChainRun, Outcome, Statistics, Trace};
use crate::{MarkovKernel, StepSize};

/// The largest R-hat of chains that have converged: Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021,
/// <https://doi.org/10.1214/20-BA1221>.
pub const RHAT_BOUND: f64 = 1.01;
/// The effective sample size that they need for each chain before their numbers can be relied on; of the same paper.
pub const ESS_PER_CHAIN: f64 = 100.0;

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainReport {
    /// The kernel and its settings.
    pub kernel: String,
    /// The length of its step.
    pub step_size: Option<f64>,
    /// Up to which length it should go.
    pub step_bound: Option<f64>,
    /// Why the run ended.
    pub outcome: Outcome,
    /// How many chains there are.
    pub chains: usize,
    /// Iterations done, the burn-in included.
    pub iterations: usize,
    /// Iterations of the burn-in.
    pub burn_in: usize,
    /// Iterations from one draw to the next.
    pub thinning: usize,
    /// Draws of each chain.
    pub draws: usize,
    /// Gradients of the potential in each iteration of a chain.
    pub gradients_per_iteration: usize,
    /// Gradients of the potential of each chain.
    pub gradients: usize,
    /// The mean acceptance probability at the draws; none without a Metropolis test, and without draws.
    pub acceptance_rate: Option<f64>,
    /// The smallest effective sample size of a pixel, of all chains together; none while there are too few draws.
    pub pixel_ess_min: Option<f64>,
    /// The median of that of the pixels.
    pub pixel_ess_median: Option<f64>,
    /// The largest split R-hat of a pixel.
    pub pixel_rhat_max: Option<f64>,
    /// Directions and the energy, the slowest first: that of the smallest bulk effective sample size.
    pub slowest: Vec<TraceSummary>,
    /// Whether the chains have converged.
    pub verdict: Verdict,
}

/// A trace in numbers, those of all chains together; none where there are too few draws, or the chains never moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSummary {
    /// Its name.
    pub name: String,
    /// Mean of the draws.
    pub mean: Option<f64>,
    /// Monte-Carlo standard error of the mean.
    pub mcse: Option<f64>,
    /// Rank-normalised split R-hat.
    pub rhat: Option<f64>,
    /// Effective sample size of the bulk.
    pub ess_bulk: Option<f64>,
    /// Effective sample size of the tails.
    pub ess_tail: Option<f64>,
}

/// Whether chains have converged, and why.
///
/// Every number must be on its side of its bound: R-hat below [`RHAT_BOUND`], each effective sample size at least
/// [`ESS_PER_CHAIN`] for each chain. Chains that converged to a part of the target alone cannot be told apart from others
/// unless they started far from each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether all reasons hold.
    pub converged: bool,
    /// What was asked.
    pub reasons: Vec<Reason>,
}

/// A number that must be on one side of a bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What it is.
    pub quantity: String,
    /// The number; none where it is not known, which is not enough.
    pub found: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// Whether it must be below the bound; otherwise it must be the bound at least.
    pub below: bool,
    /// Whether it is.
    pub holds: bool,
}

impl Reason {
    fn new(quantity: String, found: Option<f64>, bound: f64, below: bool) -> Self {
        let found = found.filter(|found| !found.is_nan());
        let holds = found.is_some_and(|found| if below { found < bound } else { found >= bound });
        Self {
            quantity,
            found,
            bound,
            below,
            holds,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.below { "below" } else { "at least" };
        let known = self.found.map(|found| format!("{found:.4}"));
        let found = known.as_deref().unwrap_or("not known");
        let (quantity, bound) = (&self.quantity, self.bound);
        write!(f, "{quantity} is {found}, required {side} {bound}")
    }
}

/// What a report tells that was known before the run.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    kernel: String,
    step: Option<StepSize>,
    gradients: usize,
    gradients_to_start: usize,
    burn_in: usize,
    thinning: usize,
}

impl Settings {
    pub(super) fn of<K: MarkovKernel<D>, const D: usize>(kernel: &K, config: &ChainConfig) -> Self {
        Self {
            kernel: kernel.describe(),
            step: kernel.step_size(),
            gradients: kernel.gradients(),
            gradients_to_start: kernel.gradients_to_start(),
            burn_in: config.burn_in,
            thinning: config.thinning,
        }
    }
}

impl<const D: usize> ChainRun<D> {
    /// The run in numbers. Sorts each trace, and reads two maps back.
    ///
    /// # Panics
    /// If the maps cannot be read from their device.
    pub fn report(&self) -> ChainReport {
        let settings = &self.settings;
        let ess = self.map(|statistics| statistics.ess.as_ref());
        let rhat = self.map(|statistics| statistics.rhat.as_ref());
        let pixel_ess_min = ess.first().copied();
        let pixel_rhat_max = rhat.last().copied();
        let is_acceptance = |trace: &&Trace| trace.name == ACCEPTANCE;
        let acceptance = self.traces.iter().find(is_acceptance);
        let others = self.traces.iter().filter(|trace| !is_acceptance(trace));
        let mut slowest: Vec<TraceSummary> = others.map(TraceSummary::of).collect();
        // Of an unknown size none is smaller.
        let size = |trace: &TraceSummary| trace.ess_bulk.unwrap_or(0.0);
        slowest.sort_by(|a, b| size(a).total_cmp(&size(b)));
        let chains = self.position.dims()[0];
        ChainReport {
            kernel: settings.kernel.clone(),
            step_size: settings.step.map(|step| step.value),
            step_bound: settings.step.and_then(|step| step.bound),
            outcome: self.outcome,
            chains,
            iterations: self.iterations,
            burn_in: settings.burn_in,
            thinning: settings.thinning,
            draws: self.draws,
            gradients_per_iteration: settings.gradients,
            gradients: settings.gradients_to_start + settings.gradients * self.iterations,
            acceptance_rate: acceptance.and_then(Trace::mean),
            pixel_ess_min,
            pixel_ess_median: median(&ess),
            pixel_rhat_max,
            verdict: Verdict::of(chains, pixel_ess_min, pixel_rhat_max, &slowest),
            slowest,
        }
    }

    /// The numbers of a map in ascending order.
    fn map(&self, map: impl Fn(&Statistics<D>) -> Option<&Tensor<D>>) -> Vec<f64> {
        let map = self.statistics.as_ref().and_then(map);
        let values = map.map(|map| {
            map.try_to_vec_as::<f64>()
                .expect("the map can be read from its device")
        });
        let mut values = values.unwrap_or_default();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let above = *sorted.get(middle)?;
    if sorted.len().is_multiple_of(2) {
        Some(0.5 * (sorted[middle - 1] + above))
    } else {
        Some(above)
    }
}

impl Trace {
    /// The mean of all draws of all chains; none without one.
    fn mean(&self) -> Option<f64> {
        let draws = self.chains.iter().flatten();
        let count = draws.clone().count();
        (count > 0).then(|| draws.sum::<f64>() / count as f64)
    }
}

impl TraceSummary {
    fn of(trace: &Trace) -> Self {
        // Too few draws, or a potential that is infinite somewhere, are no chains that can be judged.
        let chains = StoredChains::new(&trace.chains).ok();
        let chains = chains.as_ref();
        let finite = |found: Option<f64>| found.filter(|found| found.is_finite());
        Self {
            name: trace.name.clone(),
            mean: finite(trace.mean()),
            mcse: finite(chains.map(StoredChains::mcse)),
            rhat: finite(chains.map(StoredChains::rank_rhat)),
            ess_bulk: finite(chains.map(StoredChains::bulk_ess)),
            ess_tail: finite(chains.map(StoredChains::tail_ess)),
        }
    }
}

impl Verdict {
    fn of(chains: usize, ess: Option<f64>, rhat: Option<f64>, traces: &[TraceSummary]) -> Self {
        let enough = ESS_PER_CHAIN * chains as f64;
        let rhat_of =
            |of: String, found| Reason::new(format!("R-hat of {of}"), found, RHAT_BOUND, true);
        let ess_of = |of: String, found| {
            Reason::new(
                format!("effective sample size of {of}"),
                found,
                enough,
                false,
            )
        };
        let mut reasons = vec![
            rhat_of("the worst pixel".into(), rhat),
            ess_of("the worst pixel".into(), ess),
        ];
        for TraceSummary {
            name,
            rhat,
            ess_bulk,
            ess_tail,
            ..
        } in traces
        {
            reasons.push(rhat_of(format!("{name:?}"), *rhat));
            reasons.push(ess_of(format!("the bulk of {name:?}"), *ess_bulk));
            reasons.push(ess_of(format!("the tails of {name:?}"), *ess_tail));
        }
        Self {
            converged: reasons.iter().all(|reason| reason.holds),
            reasons,
        }
    }
}
