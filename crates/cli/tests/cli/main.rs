//! The program as a user meets it: what it writes, what it says, and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anomaly;
mod average;
mod bad_input;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/train/report/chart.rs"]
mod chart;
mod classes;
mod data;
mod denoising;
mod evaluate;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/failure.rs"]
mod failure;
#[path = "../../src/anomaly/finding.rs"]
mod finding;
mod findings;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/evaluate/flow.rs"]
mod flow;
mod gmm;
mod latent;
mod learned;
mod learned_variance;
mod levy;
mod mcmc;
mod models;
mod objectives;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/train/presets/mod.rs"]
mod presets;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/reproduce/probe.rs"]
mod probe;
mod report;
mod reproduce;
mod restore;
mod resume;
mod run;
mod sample;
mod score;
mod settings;
mod sheets;
mod toy;
mod train;
