//! Runs of chains: burn-in, thinning, statistics, and when to stop.

mod chains;
mod checkpoint;
mod config;
mod event;
mod export;
mod function;
mod health;
mod npy;
mod report;
mod session;
mod start;
mod statistics;
mod store;
mod traces;

pub use chains::{ChainFailure, ChainRun, Chains, Outcome, sample_chains};
pub use checkpoint::fingerprint;
pub use config::{ChainConfig, StopRule};
pub use event::{ChainEvent, Phase};
pub use report::{ChainReport, ESS_PER_CHAIN, RHAT_BOUND, Reason, TraceSummary, Verdict};
pub use start::Start;
pub use statistics::Statistics;
pub use traces::{ACCEPTANCE, ENERGY, Trace};

/// What the draws themselves are called.
const DRAWS: &str = "x";
