//! How long chains run, and what is wanted of them.

use serde::{Deserialize, Serialize};

use crate::{ChainError, error::require};

/// How long chains run, and what is wanted of them.
///
/// Iterations are numbered from 1. The state after iteration `burn_in + k thinning`, `k = 1, 2, ..`, is a draw; neither
/// the start nor a state of the burn-in ever is.
///
/// ```
/// use tweedie_mcmc::{ChainConfig, StopRule};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = r#"{ "iterations": 5000, "burn_in": 1000, "stop": { "min_ess": 400.0 } }"#;
/// let config: ChainConfig = serde_json::from_str(text)?;
/// assert_eq!(config.draws(), 4000);
/// assert_eq!(config.stop, Some(StopRule { min_ess: Some(400.0), max_rhat: None }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// Iterations in all, the burn-in included; at least 1.
    pub iterations: usize,
    /// Iterations at the start in which kernels adapt, and no state is a draw.
    pub burn_in: usize,
    /// Each so many-th iteration after the burn-in gives a draw; at least 1.
    pub thinning: usize,
    /// A box into which each state is clipped, `[low, high]`; not for kernels with a Metropolis test. The energy is traced
    /// of the state before.
    pub clip: Option<[f64; 2]>,
    /// Levels of pixel-wise quantiles, in [0, 1]. They cost a read-back of each draw, and what
    /// [`StreamingQuantiles`](tweedie_metrics::StreamingQuantiles) hold.
    pub quantiles: Vec<f64>,
    /// Lags of pixel-wise autocorrelations, in draws, at least 1. They hold as many draws as the largest lag.
    pub lags: Vec<usize>,
    /// How many draws of each chain are kept in memory: the first, or all where there are fewer.
    pub keep: usize,
    /// Iterations between two checks, at which traces are read back and the stop rule is asked; at least 1.
    pub check_every: usize,
    /// When to stop before `iterations`.
    pub stop: Option<StopRule>,
}

/// Runs end early when each of the bounds holds for each pixel, at a check after the burn-in.
///
/// A pixel that no chain ever moved from one value counts as known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRule {
    /// The smallest effective sample size, of all chains together, above 0.
    #[serde(default)]
    pub min_ess: Option<f64>,
    /// The largest split R-hat, above 1.
    #[serde(default)]
    pub max_rhat: Option<f64>,
}

impl Default for ChainConfig {
    /// 1000 iterations, of which 200 are burn-in; mean and standard deviation alone.
    fn default() -> Self {
        Self {
            iterations: 1000,
            burn_in: 200,
            thinning: 1,
            clip: None,
            quantiles: Vec::new(),
            lags: Vec::new(),
            keep: 0,
            check_every: 100,
            stop: None,
        }
    }
}

impl ChainConfig {
    /// How many draws each chain gives, unless it is stopped before.
    pub fn draws(&self) -> usize {
        self.draws_after(self.iterations)
    }

    /// How many draws each chain has given after so many iterations.
    pub(super) fn draws_after(&self, iteration: usize) -> usize {
        iteration.saturating_sub(self.burn_in) / self.thinning
    }

    /// Whether the state after that iteration is a draw.
    pub(super) fn is_draw(&self, iteration: usize) -> bool {
        iteration > self.burn_in && (iteration - self.burn_in).is_multiple_of(self.thinning)
    }

    /// # Errors
    /// The first setting that is out of its range.
    pub(super) fn check(&self) -> Result<(), ChainError> {
        for (name, value) in [
            ("iterations", self.iterations),
            ("thinning", self.thinning),
            ("check_every", self.check_every),
        ] {
            require(name, value as f64, value > 0, "at least 1")?;
        }
        if self.draws() == 0 {
            return Err(ChainError::NoDraws {
                iterations: self.iterations,
                burn_in: self.burn_in,
                thinning: self.thinning,
            });
        }
        for level in &self.quantiles {
            let valid = (0.0..=1.0).contains(level);
            require("quantiles", *level, valid, "levels in [0, 1]")?;
        }
        for lag in &self.lags {
            require("lags", *lag as f64, *lag > 0, "at least 1")?;
        }
        if let Some([low, high]) = self.clip {
            let valid = low < high;
            if !valid {
                return Err(ChainError::EmptyBox { low, high });
            }
        }
        self.stop.map_or(Ok(()), |rule| rule.check())
    }
}

impl StopRule {
    fn check(&self) -> Result<(), ChainError> {
        if self.min_ess.is_none() && self.max_rhat.is_none() {
            return Err(ChainError::EmptyStopRule);
        }
        if let Some(ess) = self.min_ess {
            require(
                "min_ess",
                ess,
                ess > 0.0 && ess.is_finite(),
                "finite and above 0",
            )?;
        }
        if let Some(rhat) = self.max_rhat {
            require(
                "max_rhat",
                rhat,
                rhat > 1.0 && rhat.is_finite(),
                "finite and above 1",
            )?;
        }
        Ok(())
    }

    /// Whether it is time to stop; not while a number that is asked for is unknown.
    pub(super) fn holds(&self, ess: Option<f64>, rhat: Option<f64>) -> bool {
        let enough = |bound: f64| ess.is_some_and(|ess| ess >= bound);
        let mixed = |bound: f64| rhat.is_some_and(|rhat| rhat <= bound);
        self.min_ess.is_none_or(enough) && self.max_rhat.is_none_or(mixed)
    }
}
